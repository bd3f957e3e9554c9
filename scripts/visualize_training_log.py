"""Summarise, draw or export a training_log.json: the same as ``python -m f1rl report``, under its customary name.

``python scripts/visualize_training_log.py --log outputs/teacher_rl/training_log.json [--output DIR] [--export-csv]``
"""

from __future__ import annotations

import sys

from f1rl.cli import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
