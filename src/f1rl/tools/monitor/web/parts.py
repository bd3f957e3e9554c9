"""What the live page shows: the sections of a report, and what only a run that goes on has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from f1rl.records.metrics import panels, shared_clocks
from f1rl.records.reader import RunRecords, number_in
from f1rl.records.status import age
from f1rl.tools.monitor.machine import Gpu, Machine
from f1rl.tools.monitor.snapshot import Snapshot
from f1rl.tools.page.render import Section, fragment
from f1rl.tools.report import page
from f1rl.tools.report.health import health_section
from f1rl.tools.report.media import Item


def sections(run: RunRecords, moment: Snapshot) -> list[Section]:
    """Return all sections; the same ones at every moment, so that the page can fill them again."""
    clocks = shared_clocks(run)
    subject = page.Subject(run, tuple(panels(run)), clocks[0] if clocks else None, run.directory)
    spent = page.time_spent(subject) or Section("time", "Time", fragment("text", text="Nothing was timed yet."))
    return [
        health_section(moment.health),
        page.overview(subject),
        newest(run),
        page.curves(subject),
        now(moment),
        spent,
    ]


def newest(run: RunRecords) -> Section:
    """Show the newest prediction beside the truth, and the newest video."""
    samples, videos = ([_item(path) for path in found[-1:]] for found in (run.samples(), run.videos()))
    if samples or videos:
        body = fragment("media", samples=samples, videos=videos, left_out="")
    else:
        body = fragment("text", text="No pictures yet.")
    return Section("predictions", "Newest prediction", body)


def now(moment: Snapshot) -> Section:
    """Show the machine, and what the workers do."""
    rows = [
        (str(w.get("worker", "")), str(w.get("stage", "")), _episode(w), str(w.get("restarts", 0)), _memory(w))
        for w in moment.workers
    ]
    said = age(moment.live_age or 0.0)
    values = {"machine": _machine(moment.machine), "workers": rows, "said": said, "is_here": moment.is_here}
    return Section("now", "Now", fragment("now", **values, is_going_on=moment.status.is_going_on))


def _machine(machine: Machine) -> list[tuple[str, str, str]]:
    return [
        ("processors", f"{machine.cpu:.0f} %", f"of {machine.cores}"),
        ("memory", f"{machine.used:.1f} GiB", f"of {machine.total:.0f} GiB"),
        *((gpu.name, f"{gpu.utilisation:.0f} %", _gpu_words(gpu)) for gpu in machine.gpus),
    ]


def _gpu_words(gpu: Gpu) -> str:
    return f"{gpu.used:.0f} of {gpu.total:.0f} GiB, {gpu.temperature:.0f} °C"


def _item(path: Path) -> Item:
    address = f"media/{quote(path.name)}"
    return Item(path.name, f"episode {number_in(path)[0]:,}", address, address)


def _episode(worker: dict) -> str:
    return str(worker["episode"]) if worker.get("episode", -1) >= 0 else ""


def _memory(worker: dict) -> str:
    return f"{worker.get('rss_mb', 0):.0f}"
