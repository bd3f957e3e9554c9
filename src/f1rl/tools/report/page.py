"""The HTML page of one run, a section at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from f1rl.health.of_run import run_health
from f1rl.records.metrics import Curve, Panel, best_result, is_constant, is_minor, panels, points
from f1rl.records.reader import RunRecords
from f1rl.records.statistics import Summary, summarise
from f1rl.records.status import age
from f1rl.tools.page.figures import Figure, Trace, drawing_note, noisy_trace, plain_trace
from f1rl.tools.page.render import Section, fragment, write_document
from f1rl.tools.report.health import health_section
from f1rl.tools.report.media import media
from f1rl.tools.report.time_spent import time_ledger
from f1rl.tools.words import config_groups, number, value_text


@dataclass(frozen=True)
class Subject:
    """What a section may look at."""

    run: RunRecords
    panels: tuple[Panel, ...]
    clock: str | None
    """What curves are drawn over."""
    page: Path
    """Where the page will lie; links are relative to it."""


def write_page(run: RunRecords, path: Path, clock: str | None) -> Path:
    """Write the page of ``run`` and return ``path``."""
    subject = Subject(run, tuple(panels(run)), clock, path)
    sections = [section for make in SECTIONS if (section := make(subject)) is not None]
    return write_document(path, f"{run.name} (f1rl)", header(run), sections)


def header(run: RunRecords) -> Markup:
    """Return name, status and identity of ``run``."""
    status = run.status()
    return fragment(
        "run_header", name=run.name, status=status.name, detail=status.detail, line=_line(run), problems=run.problems
    )


def health(subject: Subject) -> Section:
    """Score the run, with reasons and advice."""
    return health_section(run_health(subject.run))


def overview(subject: Subject) -> Section:
    """Tell in a few figures how far and how good the run is."""
    run, progress = subject.run, subject.run.progress()
    share = f" ({progress.share:.0%})" if progress.share is not None else ""
    facts = [(f"{progress.unit}s", f"{progress.done:,}", f"of {progress.total:,}{share}" if progress.total else "")]
    best = best_result(run)
    if best is not None:
        where = f"{best.goal}imum, at {_clock_words(subject)} {_at(subject, best.row)}"
        facts.append((f"best {best.metric.replace('_', ' ')}", number(best.value), where))
    started, seen = run.info.get("started"), run.status().last_seen
    if started and seen:
        facts.append(("from start to last sign", age(seen - started), _when(started)))
    if "env_steps_per_s" in run.train:
        facts.append(
            ("environment steps per second", number(float(run.train.column("env_steps_per_s")[-1])), "in this segment")
        )
    if run.checkpoints():
        facts.append(("checkpoints", str(len(run.checkpoints())), run.checkpoints()[-1].name))
    return Section("overview", "Overview", fragment("overview", facts=facts, against=_against(subject)))


def curves(subject: Subject) -> Section:
    """Draw training and validation of every quantity that changes."""
    run = subject.run
    moving = _moving(subject)
    figures = tuple(_figure(subject, panel) for panel in moving)
    minor = [panel.title for panel in subject.panels if is_minor(panel)]
    constants = [_constant(run, p) for p in subject.panels if p not in moving and not is_minor(p)]
    body = fragment("curves", figures=figures, constants=constants, minor=minor, note=drawing_note(len(run.train)))
    return Section("curves", "Curves", body, figures)


def statistics(subject: Subject) -> Section | None:
    """Tabulate mean, variance, best and trend of every curve."""
    rows = [
        _statistics_row(subject, panel, curve, found)
        for panel in _moving(subject)
        for curve in panel.curves
        if not curve.is_reference and (found := summarise(*points(subject.run, curve, subject.clock)))
    ]
    if not rows:
        return None
    clock = _clock_words(subject)
    headings = ("quantity", "curve", "values", "last", "mean", "variance", "lowest", "highest", f"best at {clock}")
    note = (
        "Trend: change per 1,000 of the clock over the newest quarter (at least ten values), by least squares, with "
        "its 95 % interval (Student's t); an arrow to the right means that the interval holds zero."
    )
    body = fragment("statistics", headings=(*headings, "trend"), rows=rows, numbers=tuple(range(2, 9)), note=note)
    return Section("statistics", "Statistics", body)


def configuration(subject: Subject) -> Section | None:
    """Show every key, folded by group."""
    groups = config_groups(subject.run.config)
    if not groups:
        return None
    return Section("configuration", "Configuration", fragment("groups", groups=groups))


def environment(subject: Subject) -> Section | None:
    """Show on what the run ran: devices, versions, source, what it had to fall back to."""
    info = subject.run.info
    if not info:
        return None
    named = {"id": info.get("id"), "resumed from": info.get("resumed_from"), "parents": info.get("parents")}
    process, git = info.get("process") or {}, info.get("git") or {}
    named |= {"host": process.get("host"), "directory": process.get("directory")}
    named |= {"commit": git.get("commit"), "uncommitted changes": git.get("dirty")}
    fallbacks = [(entry["what"], entry["reason"]) for entry in info.get("fallbacks", [])]
    groups = [
        ("run", [(key, value_text(value)) for key, value in named.items() if value not in (None, [])], True),
        ("devices", [(key, value_text(value)) for key, value in info.get("devices", {}).items()], True),
        ("not the first choice", fallbacks, True),
        ("versions", list(info.get("versions", {}).items()), False),
    ]
    return Section("environment", "Environment", fragment("groups", groups=[group for group in groups if group[1]]))


def pictures(subject: Subject) -> Section | None:
    """Show predictions beside the truth."""
    return media(subject.run, subject.page)


def time_spent(subject: Subject) -> Section | None:
    """Show where the time went."""
    return time_ledger(subject.run)


SECTIONS: list[Callable[[Subject], Section | None]] = [
    overview,
    health,
    curves,
    statistics,
    pictures,
    time_spent,
    configuration,
    environment,
]
"""What a page consists of, in order; a section that has nothing to say is left out."""


def _moving(subject: Subject) -> list[Panel]:
    return [panel for panel in subject.panels if not is_minor(panel) and not is_constant(subject.run, panel)]


def _constant(run: RunRecords, panel: Panel) -> str:
    """Return the title of a panel in which nothing changes, with the value if it is one."""
    values = [y[-1] for curve in panel.curves if len(y := points(run, curve, None)[1])]
    return f"{panel.title} ({number(float(values[0]))})" if len(set(values)) == 1 else panel.title


def _line(run: RunRecords) -> str:
    parts = [run.phase and f"phase {run.phase}", run.info.get("id") and f"run {run.info['id']}"]
    if run.info.get("seed") is not None:
        parts.append(f"seed {run.info['seed']}")
    parts += [f"tag {tag}" for tag in run.info.get("tags", [])]
    if run.info.get("segment"):
        parts.append(f"resumed {run.info['segment']} times")
    seen = run.status().last_seen
    parts.append(f"last sign of life {_when(seen)}" if seen else str(run.directory))
    return " · ".join(part for part in parts if part)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _clock_words(subject: Subject) -> str:
    return (subject.clock or "record").replace("_", " ")


def _at(subject: Subject, row: int) -> str:
    val = subject.run.val
    column = subject.clock if subject.clock in val else None
    return f"{int(val.column(column)[row]):,}" if column else str(row + 1)


def _against(subject: Subject) -> dict[str, Any] | None:
    """Return the newest validation beside its references, as a table; None if there are none."""
    judged = [panel for panel in subject.panels if any(curve.is_reference for curve in panel.curves)]
    names = list(dict.fromkeys(c.label for panel in judged for c in panel.curves if c.is_reference))
    if not judged:
        return None
    rows = []
    for panel in judged:
        last = {c.label: y[-1] for c in panel.curves if len(y := points(subject.run, c, None)[1])}
        cells = [last.get("validation"), *(last.get(name) for name in names)]
        rows.append([panel.title, *("" if cell is None else number(cell) for cell in cells)])
    headings = ["", "this run", *names]
    return {"headings": headings, "rows": rows, "numbers": tuple(range(1, len(headings)))}


def _figure(subject: Subject, panel: Panel) -> Figure:
    plain = [curve for curve in panel.curves if curve.label not in ("training", "validation")]
    several = [curve for curve in plain if not curve.is_reference]
    traces = tuple(_trace(subject, curve, several) for curve in panel.curves)
    return Figure(f"figure-{panel.key}", panel.title, _clock_words(subject), traces)


def _trace(subject: Subject, curve: Curve, several: list[Curve]) -> Trace:
    x, y = points(subject.run, curve, subject.clock)
    if curve.history == "train" and not curve.is_reference:
        return noisy_trace(curve.label, x, y, "train" if curve not in several else str(several.index(curve)))
    role = "reference" if curve.is_reference else str(several.index(curve)) if curve in several else "val"
    error = None
    if curve.error is not None:
        _, error = points(subject.run, Curve("", curve.history, curve.error), subject.clock)
    return plain_trace(curve.label, x, y, role, error)


def _statistics_row(subject: Subject, panel: Panel, curve: Curve, found: Summary) -> list[Any]:
    best = {"min": found.low_at, "max": found.high_at}.get(panel.goal or "")
    line, word = found.trend, ("falling", "flat", "rising")[found.trend.direction + 1]
    wanted = {"min": -1, "max": 1}.get(panel.goal or "", 0) * line.direction
    kind = f"{word} {('worse', '', 'better')[wanted + 1]}"
    per_thousand = f"{1000 * line.slope:+.3g} ± {1000 * line.half_width:.2g}"
    return [
        panel.title, curve.label, f"{found.count:,}", number(found.last), number(found.mean), number(found.variance),
        number(found.low), number(found.high), "" if best is None else f"{int(best):,}", (per_thousand, kind),
    ]  # fmt: skip
