"""From ``conf/`` and the command line to one checked, typed ``Config``; imports nothing heavy."""

from __future__ import annotations
