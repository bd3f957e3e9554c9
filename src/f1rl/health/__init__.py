"""Whether a run learns: a score of 0 to 100 with its reasons, and what to do about each."""

from __future__ import annotations
