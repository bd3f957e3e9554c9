"""``python -m f1rl dashboard``: the view of a W&B project that shows what f1rl's runs record."""

from __future__ import annotations
