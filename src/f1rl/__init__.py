"""f1rl: train F1-VLA robot policies by curiosity, from a laptop to a SLURM cluster."""

from __future__ import annotations

__version__ = "0.1.0"
