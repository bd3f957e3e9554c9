"""From episodes to training windows: seeds, collection, token encoding, batches."""

from __future__ import annotations
