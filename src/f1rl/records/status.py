"""How a run stands, told honestly: a file that says ``training`` is no proof that anybody trains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f1rl.records.process import is_alive

GOING_ON = ("starting", "training")
"""What ``run.json`` says while its process lives; a process that is killed cannot correct it."""

DEAD, UNKNOWN, LOG_ONLY = "dead", "unknown", "log"


@dataclass(frozen=True)
class RunStatus:
    """Status of a run as seen from here."""

    name: str
    """As in ``run.json``; ``dead`` if its process is gone, ``unknown`` if that cannot be seen from here, ``log`` for a
    ``training_log.json`` of another program, which has no status."""
    detail: str
    """A few words that explain ``name``; may be empty."""
    last_seen: float | None
    """Unix time of the last sign of life."""

    @property
    def is_going_on(self) -> bool:
        """Whether its process was seen alive."""
        return self.name in GOING_ON

    @property
    def may_go_on(self) -> bool:
        """Whether more records can come without anybody resuming it."""
        return self.is_going_on or self.name == UNKNOWN

    def __str__(self) -> str:
        """Return name and detail."""
        return f"{self.name} ({self.detail})" if self.detail else self.name


def run_status(info: dict[str, Any], directory: Path, last_record: float | None, now: float | None = None) -> RunStatus:
    """Return the status of a run.

    Args:
        info: contents of ``run.json``; empty if there is none.
        directory: the run directory.
        last_record: Unix time of the newest record; None if there is none.
        now: Unix time; default: the clock's.
    """
    signs = [moment for moment in (info.get("updated"), last_record) if moment is not None]
    last_seen = max(signs, default=None)
    said = info.get("status")
    if said is None:
        return RunStatus(LOG_ONLY, "", last_seen)
    if said not in GOING_ON:
        return RunStatus(said, (info.get("error") or "").partition("\n")[0], last_seen)
    alive = is_alive(info.get("process", {}), directory)
    if alive:
        return RunStatus(said, "", last_seen)
    ago = "never seen"
    if last_seen is not None:
        ago = f"last seen {age((time.time() if now is None else now) - last_seen)} ago"
    if alive is None:
        host = info.get("process", {}).get("host", "another host")
        return RunStatus(UNKNOWN, f"was {said} on {host}, {ago}", last_seen)
    return RunStatus(DEAD, f"its process is gone without a word, {ago}", last_seen)


def age(seconds: float) -> str:
    """Return a duration in the largest fitting unit, e.g. ``35 s``, ``12 min``, ``3.5 h``, ``4 d``."""
    seconds = max(seconds, 0.0)
    for limit, unit, size in ((100, "s", 1), (100 * 60, "min", 60), (48 * 3600, "h", 3600)):
        if seconds < limit:
            number = seconds / size
            return f"{number:.1f} {unit}" if unit == "h" and number < 10 else f"{number:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
