"""The only assembler: from a checked configuration to a finished run."""

from __future__ import annotations
