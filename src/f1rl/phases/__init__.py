"""What each phase learns, one LightningModule each."""

from __future__ import annotations
