"""What happens around training steps: clocks, records, evaluation, media, checkpoints, progress."""

from __future__ import annotations
