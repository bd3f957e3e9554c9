"""Where the environments keep files that they make themselves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_root() -> Path:
    """Return a folder that can be written: ``f1rl`` in the user's cache, or a temporary one of this user."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f1rl"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError:
        base = Path(tempfile.gettempdir()) / f"f1rl-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
        return base
