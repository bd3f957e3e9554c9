"""What a sweep leaves: a line for each job as it ends, and a table of all as CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from pathlib import Path

from f1rl.jobs.job import Outcome
from f1rl.records.files import write_atomically
from f1rl.records.status import age

_RESULTS = ("episode", "val_loss", "val_accuracy")
"""Of the last held-out evaluation."""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3em .8em; text-align: left; vertical-align: top; }}
tr.bad td {{ background: #fff1f0; }}
</style></head><body><h1>{title}</h1><p>{count}</p><table>{table}</table></body></html>
"""


def line(outcome: Outcome) -> str:
    """Return what is said of a job when it ends."""
    loss = outcome.results.get("val_loss")
    words = [
        outcome.job.name,
        f"{outcome.state} (exit code {outcome.exit_code})" if outcome.exit_code else outcome.state,
    ]
    words += [f"held-out loss {loss:.4f}"] if loss is not None else []
    words += [age(outcome.seconds), str(outcome.job.run_dir)]
    if not outcome.is_good:
        words += [outcome.reason, f"log: {outcome.log}" if outcome.log else ""]
    return "  ".join(word for word in words if word)


def write_summary(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write ``summary.csv`` and ``summary.html`` of the jobs that have ended so far into the sweep's ``folder``."""
    swept = list(dict.fromkeys(key for outcome in outcomes for key in outcome.job.swept))
    header = ["job", *swept, "state", "exit_code", "seconds", *_RESULTS, "run_dir", "log", "slurm_id", "reason"]
    rows = [_row(outcome, swept, folder) for outcome in outcomes]
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    write_atomically(folder / "summary.csv", text.getvalue().encode())
    cells = ["<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in header) + "</tr>"]
    for outcome, row in zip(outcomes, rows, strict=True):
        kind = "" if outcome.is_good else ' class="bad"'
        cells.append(f"<tr{kind}>" + "".join(f"<td>{html.escape(value)}</td>" for value in row) + "</tr>")
    good = sum(outcome.is_good for outcome in outcomes)
    count = f"{good} of {len(outcomes)} jobs completed"
    page = _PAGE.format(title=html.escape(folder.name), count=count, table="\n".join(cells))
    write_atomically(folder / "summary.html", page.encode())


def _row(outcome: Outcome, swept: Sequence[str], folder: Path) -> list[str]:
    results, job = outcome.results, outcome.job
    return [
        job.name,
        *(job.swept.get(key, "") for key in swept),
        outcome.state,
        str(outcome.exit_code),
        f"{outcome.seconds:.0f}",
        *("" if results.get(name) is None else f"{results[name]:.6g}" for name in _RESULTS),
        _relative(job.run_dir, folder),
        _relative(outcome.log, folder) if outcome.log else "",
        outcome.id,
        outcome.reason,
    ]


def _relative(path: Path, folder: Path) -> str:
    """Return ``path`` as seen from the sweep's folder where it lies in it: the folder may be copied elsewhere."""
    absolute = path.absolute()
    return str(absolute.relative_to(folder.absolute())) if absolute.is_relative_to(folder.absolute()) else str(absolute)
