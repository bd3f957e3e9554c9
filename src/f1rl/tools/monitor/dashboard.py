"""The live dashboard in a terminal."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from f1rl.health.finding import Severity
from f1rl.records.status import age
from f1rl.tools.monitor.machine import Gpu
from f1rl.tools.monitor.snapshot import Snapshot, Watch
from f1rl.tools.monitor.status_page import change_words, seconds_words
from f1rl.tools.words import number

_WIDE, _HIGH = 110, 32  # columns and lines from which on everything has room
_TOLD = 2  # findings that a small terminal has room for
_SPARKS = "▁▂▃▄▅▆▇█"
_STATUS = {"training": "green", "starting": "green", "done": "cyan", "dead": "bold red", "failed": "bold red"}
_SEVERITY = {Severity.NOTE: "cyan", Severity.MINOR: "yellow", Severity.SERIOUS: "red", Severity.CRITICAL: "bold red"}
_METRICS = {
    "loss": "loss", "accuracy": "accuracy", "entropy": "entropy", "approx_kl": "KL of an update", "kl": "KL",
    "explained_variance": "explained variance", "lr": "learning rate", "grad_norm": "gradient norm", "reward": "reward",
    "env_steps_per_s": "steps per second", "policy_loss": "policy loss", "value_loss": "value loss",
}  # fmt: skip
_VALIDATION = {
    "val_loss": "held-out loss", "val_copy_last_loss": "  copy last frame", "val_accuracy": "accuracy",
    "val_psnr": "PSNR (dB)", "val_action_sensitivity": "action sensitivity", "val_memory_gain": "memory gain",
    "val_reward": "reward",
}  # fmt: skip
_PARTS = {"training": "green", "updates": "green", "waiting for episodes": "yellow"}  # what else there is: blue


def show_dashboard(watch: Watch, refresh: float, console: Console | None = None) -> None:
    """Draw the dashboard every ``refresh`` seconds until Ctrl-C; a run that is over stays on the screen."""
    console = console or Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                moment = watch.look()
                live.update(dashboard(moment, console.width, console.height), refresh=True)
                if not console.is_terminal:  # nobody can watch a pipe: one picture is enough
                    return
                time.sleep(refresh)
        except KeyboardInterrupt:
            return


def dashboard(moment: Snapshot, width: int, height: int) -> Layout:
    """Return the screen for a terminal of this size; a small one shows what matters most."""
    root = Layout()
    body = Layout(name="body")
    root.split_column(Layout(_head(moment), size=3), body, Layout(_foot(moment), size=1))
    if width >= _WIDE and height >= _HIGH:
        left, middle, right = Layout(ratio=4), Layout(ratio=5), Layout(ratio=4)
        left.split_column(_panel("Training", training(moment), ratio=3), _panel("Held-out", held_out(moment), ratio=2))
        middle.split_column(
            _panel("Health", health(moment, advice=True), ratio=3), _panel("Workers", workers(moment), ratio=2)
        )
        right.split_column(
            _panel("Machine", machine(moment), ratio=2),
            _panel("Time", time_spent(moment), ratio=2),
            _panel("Checkpoints", checkpoints(moment), ratio=1),
        )
        body.split_row(left, middle, right)
    else:
        left, right = Layout(ratio=1), Layout(ratio=1)
        left.split_column(_panel("Training", training(moment), ratio=3), _panel("Machine", machine(moment), size=5))
        right.split_column(
            _panel("Health", health(moment, advice=height >= _HIGH), ratio=3),
            _panel("Held-out", held_out(moment), size=6),
            _panel("Workers", workers(moment), size=5),
        )
        body.split_row(left, right)
    return root


def training(moment: Snapshot) -> RenderableType:
    """Return the newest numbers of training, with the headline of the last ten records as a sparkline."""
    names = sorted(_METRICS, key=lambda name: name != moment.headline)
    rows = [(_METRICS[name], number(moment.metrics[name])) for name in names if name in moment.metrics]
    if not rows:
        return Text("no records yet", style="dim")
    if moment.change is not None:
        colour = "green" if (moment.change < 0) == (moment.headline == "loss") else "yellow"
        rows.insert(1, ("  change", Text(change_words(moment), style=colour)))
    if moment.recent:
        rows.insert(1, ("  last ten", Text(spark([value for _, value in moment.recent]), style="blue")))
    if moment.seconds_per_episode is not None:
        rows.append(("per episode", seconds_words(moment.seconds_per_episode)))
    return _pairs(rows)


def held_out(moment: Snapshot) -> RenderableType:
    """Return the newest evaluation, and the best."""
    values = moment.validation
    names = sorted(_VALIDATION, key=lambda name: name != f"val_{moment.headline}")
    rows = [(_VALIDATION[name], number(values[name])) for name in names if name in values]
    if not rows:
        return Text("no evaluation yet", style="dim")
    best = [("best", moment.best.split()[-1])] if moment.best else []
    return _pairs([rows[0], *best, *rows[1:]])


def health(moment: Snapshot, *, advice: bool) -> RenderableType:
    """Return the score, and its findings with their reasons; with ``advice`` all of them, and what to do."""
    found = moment.health
    score = "--" if found.score is None else str(found.score)
    lines = [Text.assemble((f"{score:>3}", f"bold {score_colour(found.score)}"), f" / 100  {found.band}")]
    for finding in found.findings if advice else found.findings[:_TOLD]:
        lines.append(Text.assemble((f"● {finding.name} ", _SEVERITY[finding.severity]), finding.reason))
        if advice:
            lines.append(Text(f"  → {finding.advice}", style="dim"))
    if not advice and len(found.findings) > _TOLD:
        names = ", ".join(finding.name for finding in found.findings[_TOLD:])
        lines.insert(1, Text(f"also: {names}", style="yellow"))
    if not found.findings:
        lines.append(Text(f"{len(found.judged)} checks made, nothing found", style="dim"))
    return Group(*lines)


def workers(moment: Snapshot) -> RenderableType:
    """Return what each worker does, as the run last said."""
    if not moment.workers:
        return Text("the run does not say" if moment.status.is_going_on else "none: the run is over", style="dim")
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", expand=True)
    for title in ("#", "stage", "episode", "restarts", "MiB"):
        table.add_column(title, justify="left" if title == "stage" else "right", no_wrap=True)
    for worker in moment.workers:
        restarts = worker.get("restarts", 0)
        episode = worker.get("episode", -1)
        table.add_row(
            str(worker.get("worker", "")), str(worker.get("stage", "")), str(episode) if episode >= 0 else "",
            Text(str(restarts), style="yellow" if restarts else ""), f"{worker.get('rss_mb', 0):.0f}",
        )  # fmt: skip
    if moment.live_age is not None and moment.live_age > 15:
        return Group(Text(f"as of {age(moment.live_age)} ago", style="yellow"), table)
    return table


def machine(moment: Snapshot) -> RenderableType:
    """Return the load of processors, memory and GPUs of the machine that the dashboard runs on."""
    here = moment.machine
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_row("CPU", _bar(here.cpu, 100), f"{here.cpu:.0f} % of {here.cores}")
    table.add_row("memory", _bar(here.used, here.total), f"{here.used:.1f}/{here.total:.0f} GiB")
    for gpu in here.gpus:
        table.add_row("GPU", _bar(gpu.utilisation, 100), f"{gpu.utilisation:.0f} %")
        table.add_row("", _bar(gpu.used, gpu.total), _gpu_words(gpu))
    if not moment.is_here:
        return Group(Text("this machine, not the run's", style="yellow"), table)
    return table


def time_spent(moment: Snapshot) -> RenderableType:
    """Return where the time went."""
    total = sum(moment.spent.values())
    if not total:
        return Text("not known yet", style="dim")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    for name, seconds in moment.spent.items():
        colour = _PARTS.get(name, "blue")
        bar = ProgressBar(total=total, completed=seconds, complete_style=colour, finished_style=colour)
        table.add_row(name.removesuffix(" for episodes"), bar, f"{seconds / total:.0%}  {age(seconds)}")
    return table


def checkpoints(moment: Snapshot) -> RenderableType:
    """Return the newest checkpoints and whether the best is among them."""
    if not moment.checkpoints:
        return Text("none yet", style="dim")
    best = Text("best saved", style="green") if moment.best_is_saved else Text("best not saved yet", style="yellow")
    return Group(Text(", ".join(f"{number:,}" for number in moment.checkpoints[-6:])), best)


def spark(values: list[float]) -> str:
    """Return values as blocks between their lowest and their highest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_SPARKS[round((value - low) / span * (len(_SPARKS) - 1))] for value in values)


def score_colour(score: int | None) -> str:
    """Return the colour of a score's band."""
    if score is None:
        return "white"
    return "green" if score >= 90 else "cyan" if score >= 70 else "yellow" if score >= 50 else "red"


def _head(moment: Snapshot) -> Panel:
    progress = moment.progress
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    status = Text(str(moment.status), style=_STATUS.get(moment.status.name, "yellow"), overflow="ellipsis")
    count = f"{progress.done:,}" + (f"/{progress.total:,}" if progress.total else "") + f" {progress.unit}s"
    if progress.seconds_left is not None and moment.status.is_going_on:
        count += f", {age(progress.seconds_left)} left"
    bar = ProgressBar(total=progress.total or 1, completed=min(progress.done, progress.total or 0), width=14)
    right = Table.grid(padding=(0, 1))
    right.add_row(bar, count)
    table.add_row(status, right)
    return Panel(table, title=Text(moment.name, style="bold"), title_align="left", border_style="dim")


def _foot(moment: Snapshot) -> Text:
    text = f" {time.strftime('%H:%M:%S', time.localtime(moment.now))}  {moment.directory}"
    problems = f"  {len(moment.problems)} problems: {moment.problems[0]}" if moment.problems else ""
    leave = "   Ctrl-C leaves; the run goes on" if moment.status.is_going_on else "   Ctrl-C leaves"
    return Text.assemble((text, "dim"), (problems, "yellow"), (leave, "dim"), no_wrap=True)


def _panel(title: str, content: RenderableType, ratio: int = 1, size: int | None = None) -> Layout:
    return Layout(Panel(content, title=title, title_align="left", border_style="dim"), ratio=ratio, size=size)


def _pairs(rows: list[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _bar(value: float, total: float) -> ProgressBar:
    colour = "red" if value > 0.95 * total else "green"
    return ProgressBar(total=total, completed=value, complete_style=colour, finished_style=colour)


def _gpu_words(gpu: Gpu) -> str:
    return f"{gpu.used:.0f}/{gpu.total:.0f} GiB {gpu.temperature:.0f} °C"
