"""The moment of a run as plain text."""

from __future__ import annotations

import time
from collections.abc import Iterable

from f1rl.records.status import age
from f1rl.tools.monitor.snapshot import Snapshot
from f1rl.tools.words import number

_WIDTH = 80
_BAR = 36  # widest loss bar, in characters
_SHOWN = (
    "val_loss", "val_accuracy", "val_copy_last_loss", "val_psnr", "val_action_sensitivity", "val_memory_gain",
    "val_reward",
)  # fmt: skip
_POLICY = {"entropy": "Entropy", "approx_kl": "KL divergence of an update", "kl": "KL divergence"}


def status_page(moment: Snapshot) -> str:
    """Return progress, validation, newest losses, checkpoints and verdict of a run, at most 80 columns wide."""
    return "\n".join(
        [
            "=" * _WIDTH,
            f"Training monitor: {moment.name}",
            f"Run directory:    {moment.directory}",
            f"Updated:          {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(moment.now))}",
            "=" * _WIDTH,
            *_part("Progress", progress_lines(moment)),
            *_part("Validation", validation_lines(moment)),
            *_part(f"{moment.headline.capitalize()} of the last ten", bars(moment)),
            *_part("Checkpoints", checkpoint_lines(moment)),
            *_part("Verdict", verdict_lines(moment)),
            *(_part("Problems", moment.problems) if moment.problems else ()),
        ]
    )


def progress_lines(moment: Snapshot) -> list[str]:
    """Return status, progress, loss with its trend, learning rate, pace and time left."""
    progress, metrics = moment.progress, moment.metrics
    total = f" of {progress.total:,} ({progress.share:.1%})" if progress.share is not None else ""
    lines = [f"Status: {moment.status}", f"Current {progress.unit}: {progress.done:,}{total}"]
    if moment.headline in metrics:
        change = f" ({change_words(moment)} against the ten before)" if moment.change is not None else ""
        lines.append(f"Training {moment.headline}: {metrics[moment.headline]:.6g}{change}")
    lines += [f"{title}: {number(metrics[name])}" for name, title in _POLICY.items() if name in metrics]
    if "lr" in metrics:
        lines.append(f"Learning rate: {metrics['lr']:.2e}")
    if moment.seconds_per_episode is not None:
        lines.append(f"Time per episode: {seconds_words(moment.seconds_per_episode)}")
    if moment.status.is_going_on and progress.seconds_left is not None:
        lines.append(f"Remaining time: {age(progress.seconds_left)}")
    return lines


def change_words(moment: Snapshot) -> str:
    """Return how the mean of ten records changed: ``-5.2%`` of a loss, ``+0.13`` of a reward; empty if unknown."""
    if moment.change is None:
        return ""
    return f"{moment.change:+.1%}" if moment.headline == "loss" else f"{moment.change:+.3g}"


def seconds_words(seconds: float) -> str:
    """Return a short time, e.g. ``0.45 s``, ``12 s``, ``3.5 min``."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min"


def validation_lines(moment: Snapshot) -> list[str]:
    """Return the newest evaluation and the best one."""
    values = moment.validation
    shown = sorted(_SHOWN, key=lambda name: name != f"val_{moment.headline}")
    names = [name for name in shown if name in values]
    names = names or [name for name in values if name.startswith(("val_", "eval_"))]
    lines = [f"{name}: {number(values[name])}{_error(values, name)}" for name in names]
    return [*lines, f"best: {moment.best}"] if moment.best else ["none yet"]


def bars(moment: Snapshot, width: int = _BAR) -> list[str]:
    """Return the headline of the last ten records with a bar each, from 0 or from the lowest value below it."""
    if not moment.recent:
        return ["no records yet"]
    zero = min(0.0, *(value for _, value in moment.recent))
    most = max(value for _, value in moment.recent) - zero or 1.0
    digits, unit = max(len(f"{episode:,}") for episode, _ in moment.recent), moment.progress.unit.capitalize()
    return [
        f"{unit} {episode:>{digits},}: {value:<10.6g} {'█' * max(1, round(width * (value - zero) / most))}"
        for episode, value in moment.recent
    ]


def checkpoint_lines(moment: Snapshot) -> list[str]:
    """Return whether the best is saved, and which checkpoints there are."""
    if not moment.checkpoints:
        return ["none yet"]
    best = "saved" if moment.best_is_saved else "not saved yet"
    return [f"Best: {best}", f"Saved {moment.progress.unit}s: {', '.join(f'{n:,}' for n in moment.checkpoints)}"]


def verdict_lines(moment: Snapshot) -> list[str]:
    """Return status, health and what to do."""
    health = moment.health
    score = "" if health.score is None else f"{health.score}/100, "
    lines = [f"Run: {moment.status}", f"Health: {score}{health.band}"]
    for finding in health.findings:
        lines += [f"- {finding.name}: {finding.reason}", f"  {finding.advice}"]
    if health.judged:
        lines.append(f"Judged: {', '.join(health.judged)}")
    return lines


def _part(title: str, lines: Iterable[str]) -> list[str]:
    return ["", f"{title}:", "-" * _WIDTH, *lines]


def _error(values: dict[str, float], name: str) -> str:
    error = values.get(f"{name}_stderr")
    return "" if error is None else f" ± {number(error)}"
