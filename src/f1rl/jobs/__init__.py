"""From checked configurations to runs in other processes: on this machine, a few at once, or on a SLURM cluster."""

from __future__ import annotations
