"""What a run writes; plain files are the truth, everything else is a view of them."""

from __future__ import annotations
