"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended; only ``FAIL`` keeps the main job from running."""

    OK = "ok"
    NONE = "-"
    """Not here, and the main job does without it."""
    WARN = "warn"
    """Here, but not working, or about to run out."""
    FAIL = "FAIL"


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    name: str
    status: Status
    detail: str
    """What was found."""
    advice: str = ""
    """What to do about it; empty if there is nothing to do."""


def ok(name: str, detail: str) -> Result:
    """Return the result of something that works."""
    return Result(name, Status.OK, detail)


def none(name: str, detail: str, advice: str = "") -> Result:
    """Return the result of something that is not here and need not be."""
    return Result(name, Status.NONE, detail, advice)


def warn(name: str, detail: str, advice: str) -> Result:
    """Return the result of something that does not work but keeps no run from starting."""
    return Result(name, Status.WARN, detail, advice)


def fail(name: str, detail: str, advice: str) -> Result:
    """Return the result of something without which the main job cannot run."""
    return Result(name, Status.FAIL, detail, advice)
