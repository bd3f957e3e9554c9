"""What a check of a run's health says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is; the value is what it takes from the score of 100."""

    FINE = 0
    NOTE = 5
    """Worth knowing; a run with one of them is still healthy."""
    MINOR = 15
    SERIOUS = 35
    """The run may go on without learning what it should."""
    CRITICAL = 60
    """The run is of no use as it is."""


@dataclass(frozen=True)
class Finding:
    """The result of one check that had enough to judge by."""

    name: str
    """Of the check, for programs: ``divergence``, ``memory``, ..."""
    severity: Severity
    reason: str
    """What was seen, with the numbers."""
    advice: str
    """What to do about it; empty if all is well."""


def fine(name: str, reason: str) -> Finding:
    """Return a finding that takes nothing from the score."""
    return Finding(name, Severity.FINE, reason, "")
