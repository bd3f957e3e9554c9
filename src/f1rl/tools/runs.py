"""``python -m f1rl runs``: the runs below a folder, and how each of them stands."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from f1rl.errors import ConfigError
from f1rl.records.metrics import best_result
from f1rl.records.reader import RunRecords, find_runs
from f1rl.records.status import age
from f1rl.tools.arguments import Parser

FOLDERS = (Path("outputs"), Path("multirun"))
"""Where runs are looked for if no folder is named."""

WIDE = 110
"""Columns of a terminal from which on a run's parents have one of their own."""

_PIPE = 200  # columns where nobody's terminal sets a limit
_COLOURS = {
    "training": "green", "starting": "green", "done": "default", "log": "default", "interrupted": "yellow",
    "preempted": "yellow", "unknown": "yellow", "failed": "red", "dead": "red",
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """List runs.

    Raises:
        ConfigError: a named folder does not exist.
        UsageError: the words make no sense.
    """
    parser = Parser("runs", "List the runs below a folder with their status, the newest first.")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="default: outputs and multirun")
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")
    options = parser.parse_args(words)
    for folder in options.folders:
        if not folder.exists():
            raise ConfigError(f"there is no folder {folder}")
    folders = options.folders or FOLDERS
    rows = [describe(RunRecords(path, newest_only=True)) for folder in folders for path in find_runs(folder)]
    rows.sort(key=lambda row: row["last_seen"] or 0.0, reverse=True)
    if options.json:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    elif not rows:
        where = " and ".join(f"{folder}/" for folder in folders)
        print(f"no runs in {where}; python -m f1rl env=toy debug=smoke makes one in seconds")
    else:
        console = Console(width=None if sys.stdout.isatty() else _PIPE)
        console.print(table(rows, time.time(), is_wide=console.width >= WIDE))
    return 0


def describe(run: RunRecords) -> dict[str, Any]:
    """Return what the list says of one run: plain values, times as Unix time."""
    status, progress, best = run.status(), run.progress(), best_result(run)
    return {
        "path": str(run.directory),
        "name": run.name,
        "id": run.info.get("id"),
        "phase": run.phase,
        "status": status.name,
        "detail": status.detail,
        "done": progress.done,
        "total": progress.total,
        "unit": progress.unit,
        "seconds_left": progress.seconds_left if status.is_going_on else None,
        "metric": best.metric if best else None,
        "best": best.value if best else None,
        "best_checkpoint": best.path if best else None,
        "started": run.info.get("started"),
        "last_seen": status.last_seen,
        "segment": run.info.get("segment", 0),
        "parents": run.info.get("parents", []),
        "problems": run.problems,
    }


def table(rows: Sequence[dict[str, Any]], now: float, *, is_wide: bool) -> Table:
    """Return ``rows`` as a table for the terminal; ``now`` is Unix time."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    titles = ("run", "status", "phase", "progress", "best", "age")
    for title in (*titles, "parent") if is_wide else titles:
        justify = "right" if title in ("progress", "age") else "left"
        made.add_column(title, justify=justify, overflow="fold", no_wrap=title in ("status", "phase", "age"))
    for row in rows:
        colour = _COLOURS.get(row["status"], "default")
        seen = row["last_seen"]
        parents = escape(", ".join(_parent(parent) for parent in row["parents"]))
        cells = [
            escape(row["path"]) + (f"\n  [dim]from {parents}[/]" if parents and not is_wide else ""),
            f"[{colour}]{escape(row['status'])}[/]",
            escape(row["phase"] or ""),
            _progress(row),
            "" if row["best"] is None else f"{escape(row['metric'].removeprefix('val_'))} {row['best']:.4g}",
            "" if seen is None else age(now - seen),
        ]
        made.add_row(*cells, *([parents] if is_wide else []))
    return made


def _progress(row: dict[str, Any]) -> str:
    if not row["total"]:
        return f"{row['done']} {row['unit']}s"
    text = f"{row['done']}/{row['total']}"
    return f"{text}, {age(row['seconds_left'])} left" if row["seconds_left"] else text


def _parent(path: str) -> str:
    """Return the run and checkpoint in a checkpoint's path: ``outputs/teacher_rl/checkpoint-200`` is long enough."""
    return "/".join(Path(path).parts[-2:])
