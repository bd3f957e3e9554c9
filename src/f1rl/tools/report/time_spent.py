"""Where the time of a run went."""

from __future__ import annotations

import numpy as np

from f1rl.records.reader import RunRecords
from f1rl.records.status import age
from f1rl.tools.page.render import Section, fragment

_SHARE = "_share"
_NAMES = {"wait_env": "waiting for episodes", "update": "updates", "media": "pictures"}


def time_ledger(run: RunRecords) -> Section | None:
    """Return the section; None if nothing was timed."""
    spent = ledger(run)
    total = sum(spent.values())
    parts = [
        {"name": name, "seconds": f"{seconds:.3f}", "text": age(seconds), "percent": f"{100 * seconds / total:.0f}"}
        for name, seconds in spent.items()
        if seconds > 0
    ]
    startup = [(name.replace("_", " "), f"{seconds:.2f}") for name, seconds in run.info.get("timings", {}).items()]
    if not parts and not startup:
        return None
    return Section("time", "Time", fragment("time", parts=parts, startup=startup))


def ledger(run: RunRecords) -> dict[str, float]:
    """Return seconds by what they were spent on, over all segments; empty if the records do not say it.

    ``training`` is the rest: it includes encoding frames, writing records and saving checkpoints. The parts are those
    whose shares the records hold, as ``wait_env_share``.
    """
    train, val = run.train, run.val
    shares = [name for name in train.numeric() if name.endswith(_SHARE)]
    if "wall_time" not in train or not shares:
        return {}
    segment = train.column("segment") if "segment" in train else np.zeros(len(train))
    ends = np.append(np.flatnonzero(np.diff(segment)), len(train) - 1)  # the last record of each segment
    wall = train.column("wall_time")[ends]
    spent = {_part(name): float(np.nansum(wall * train.column(name)[ends])) for name in shares}
    spent["evaluation"] = float(np.nansum(val.column("seconds"))) if "seconds" in val else 0.0
    rest = max(float(np.nansum(wall)) - sum(spent.values()), 0.0)
    return {"training": rest, **spent}


def _part(column: str) -> str:
    name = column.removesuffix(_SHARE)
    return _NAMES.get(name, name.replace("_", " "))
