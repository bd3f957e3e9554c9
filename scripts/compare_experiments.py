"""Compare training logs: the same as ``python -m f1rl compare``, under its customary name.

``python scripts/compare_experiments.py --logs outputs/*/training_log.json --output comparison_report.html``
"""

from __future__ import annotations

import sys

from f1rl.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
