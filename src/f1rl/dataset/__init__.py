"""Recorded episodes on disk, in the LeRobot dataset format v3.0: written while a run collects, read to train from."""

from __future__ import annotations
