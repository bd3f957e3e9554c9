"""``python -m f1rl``."""

from __future__ import annotations

from f1rl.cli import entry

if __name__ == "__main__":
    entry()
