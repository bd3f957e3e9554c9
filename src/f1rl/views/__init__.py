"""Views that a run keeps up to date beside itself: processes of their own that read the run directory."""

from __future__ import annotations
