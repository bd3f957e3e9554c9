"""A run while it goes on: a page of text, a terminal dashboard, charts, a live page."""

from __future__ import annotations
