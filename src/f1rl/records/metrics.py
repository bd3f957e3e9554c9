"""Which numbers of a run belong into one picture: training and validation together, with what they are judged against.

Nothing here knows a phase. A column's name says what it is: ``val_`` or ``eval_`` in front is a validation, ``_stderr``
behind is the standard error of another column; ``copy_last_``, ``unigram_``, ``random_policy_`` mark a reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from f1rl.records.fields import ADVERSARY, EXPLORER
from f1rl.records.reader import RunRecords
from f1rl.records.table import MetricTable

CLOCKS = ("env_step", "step", "episode")
"""What curves are drawn over, the best first."""

_BOOKKEEPING = {
    *CLOCKS, "epoch", "samples", "decision_step", "optimizer_step", "total_steps", "timestamp", "wall_time", "segment",
    "seed", "scene_seed", "rank", "worker", "attempts", "seconds",
}  # fmt: skip
_SAME = {
    "avg_loss": "loss",
    "avg_acc": "accuracy",
    "acc": "accuracy",
    "episode_reward": "reward",
    "learning_rate": "lr",
}
_TITLES = {
    "loss": "Loss",
    "reward": "Reward",
    "kl": "KL divergence",
    "approx_kl": "KL divergence of an update",
    "clip_fraction": "Share of clipped ratios",
    "entropy": "Entropy of the policy",
    "wm_entropy": "Entropy of the world model's predictions",
    "wm_loss": "Loss of the world model's updates",
    "explorer_loss": "Loss of the world model on what the explorer found at first",
    "voxels": "Voxels visited",
    "coverage": "Voxels visited in all episodes together",
    "lr": "Learning rate",
    "psnr": "PSNR (dB)",
    "grad_norm": "Gradient norm",
    "health.score": "Health (0 to 100)",
    "env_steps_per_s": "Environment steps per second",
    "wait_env_share": "Share of time spent waiting for episodes",
    "inference_share": "Share of time spent on inference",
    "update_share": "Share of time spent on updates",
    "media_share": "Share of time spent on pictures",
}
_TERMS = tuple(name for name in (*EXPLORER, *ADVERSARY) if name.startswith("reward_"))
_TITLES |= {name: f"Reward: {name.removeprefix('reward_')}" for name in _TERMS}
_WITH_EXPLORER = {"loss": "Loss of the world model", "accuracy": "Accuracy of the world model"}
_ORDER = (
    "loss", "reward", *_TERMS, "kl", "approx_kl", "entropy", "policy_loss", "value_loss", "explained_variance",
    "clip_fraction", "accuracy", "psnr", "action_sensitivity", "memory_gain", "lr", "grad_norm",
)  # fmt: skip
_REFERENCES = {
    "^copy_last_|_copy_last$": "copy last frame",
    "^unigram_|_unigram$": "unigram",
    "_tokenizer$": "tokenizer (ceiling)",
    "^random_policy_|_random_policy$": "random policy",
}
_LOWER = ("loss", "error", "perplexity", "kl", "wait")
_NEITHER = ("policy_loss", "approx_kl", "entropy")  # a policy's loss has no level; updates may be too small as well
_HIGHER = (
    "reward", "return", "acc", "psnr", "success", "score", "coverage", "contact_rate", "displacement", "margin", "gain",
    "sensitivity", "explained_variance", "voxels", "per_s",
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One column of a run, as a curve."""

    label: str
    """``training``, ``validation``, or what the curve is to be compared with."""
    history: Literal["train", "val"]
    column: str
    error: str | None = None
    """Column of the standard errors."""
    is_reference: bool = False
    """Whether it is something to compare with rather than a result."""


@dataclass(frozen=True)
class Panel:
    """Curves of one quantity."""

    key: str
    """Name without blanks, for files and identifiers."""
    title: str
    curves: tuple[Curve, ...]

    @property
    def goal(self) -> Literal["min", "max"] | None:
        """Whether lower or higher is better; None if neither."""
        return goal_of(self.key)


@dataclass(frozen=True)
class Best:
    """The best validation of a run."""

    metric: str
    """Field of the ``val_history``."""
    goal: Literal["min", "max"]
    value: float
    row: int
    """Its place in the ``val_history``."""
    path: str | None
    """Its checkpoint, if the log names one."""


def panels(run: RunRecords) -> list[Panel]:
    """Return a panel for every quantity that the run recorded."""
    found: dict[str, list[Curve]] = {}
    for history, table in (("train", run.train), ("val", run.val)):
        for column in table.numeric():
            if column in _BOOKKEEPING or column.endswith("_stderr") or _is_double(column, table):
                continue
            if column == "approx_kl" and _are_equal(table, "kl", column):  # there is no other policy to keep to
                continue
            key, curve = _place(column, history)
            error = f"{column}_stderr"
            found.setdefault(key, []).append(replace(curve, error=error) if error in table else curve)
    titles = {**_TITLES, **_WITH_EXPLORER} if has_explorer(run) else _TITLES
    made = [Panel(key, titles.get(key, _words(key)), tuple(curves)) for key, curves in found.items()]
    order = (headline(run), *_ORDER)
    return sorted(made, key=lambda p: (order.index(p.key) if p.key in order else len(order), p.key))


def has_explorer(run: RunRecords) -> bool:
    """Return whether a policy learns in ``run``, by policy gradients."""
    return "policy_loss" in run.train


def headline(run: RunRecords) -> Literal["loss", "reward"]:
    """Return the quantity that says best how training goes: the reward where it decides, else the loss."""
    deciding = quantity(run.final_metrics.get("metric") or _deciding(run)[0])
    return "reward" if deciding == "reward" and "reward" in by_quantity(run.train) else "loss"


def shared_clocks(run: RunRecords) -> list[str]:
    """Return the clocks that all of the run's histories have, the best first."""
    tables = [table for table in (run.train, run.val) if len(table)]
    return [clock for clock in CLOCKS if all(_clock_column(table, clock) in table for table in tables)]


def is_minor(panel: Panel) -> bool:
    """Return whether ``panel`` holds details of a reference only, such as the unigram's loss at each scale."""
    return any(re.search(mark, panel.key) for mark in _REFERENCES)


def points(run: RunRecords, curve: Curve, clock: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return ``x`` and ``y`` of ``curve`` where both are known; without a clock, ``x`` counts the records from 1."""
    table = run.train if curve.history == "train" else run.val
    y = table.column(curve.column)
    x = np.arange(1.0, len(y) + 1) if clock is None else table.column(_clock_column(table, clock))
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


def is_constant(run: RunRecords, panel: Panel) -> bool:
    """Return whether nothing in ``panel`` ever changes, so that there is nothing to draw."""
    return all(len(np.unique(points(run, curve, None)[1])) <= 1 for curve in panel.curves)


def best_result(run: RunRecords) -> Best | None:
    """Return the run's best validation, by what decided while it trained; None if there is none."""
    name, goal = _deciding(run)
    if name not in run.val:
        return None
    values = run.val.column(name)
    if not np.isfinite(values).any():
        return None
    value = float(np.nanmin(values) if goal == "min" else np.nanmax(values))
    path = run.best.get("path") if run.best and run.best.get(name) == value else None
    if path is None and run.final_metrics.get("best_metric") == value:
        path = run.final_metrics.get("best_checkpoint")
    return Best(name, goal, value, int(np.flatnonzero(values == value)[0]), path)


def quantity(column: str) -> str:
    """Return the key of the panel that a column belongs to: ``val_loss``, ``avg_loss`` and ``loss`` are ``loss``."""
    return _place(column, "val")[0]


def by_quantity(table: MetricTable) -> dict[str, str]:
    """Return the numeric column of each quantity of a table."""
    return {quantity(name): name for name in table.numeric() if not _is_double(name, table)}


def goal_of(name: str) -> Literal["min", "max"] | None:
    """Return whether lower or higher values of a quantity are better, by its name; None if that is not known."""
    if any(word in name for word in _NEITHER):
        return None
    if any(word in name for word in _LOWER):
        return "min"
    return "max" if any(word in name for word in _HIGHER) else None


def _deciding(run: RunRecords) -> tuple[str, Literal["min", "max"]]:
    """Return the validation field that decides which checkpoint is best, as the log says or its fields suggest."""
    final = run.final_metrics
    if final.get("metric") in run.val and final.get("goal") in ("min", "max"):
        return final["metric"], final["goal"]
    usual = ["val_reward", "val_loss", "eval_loss"]
    if "val_reward_margin" in run.val:
        usual.insert(0, "val_accuracy")
    names = [*usual, *(name for name in run.val.numeric() if goal_of(name))]
    name = next((name for name in names if name in run.val), "")
    return name, goal_of(name) or "min"


def _clock_column(table: MetricTable, clock: str) -> str:
    return "optimizer_step" if clock == "step" and "step" not in table else clock


def _is_double(column: str, table: MetricTable) -> bool:
    """Return whether another column of ``table`` says the same, or is meant by its quantity (``records.fields``)."""
    return (column == "eval_loss" and "val_loss" in table) or (column == "loss" and "avg_loss" in table)


def _are_equal(table: MetricTable, first: str, second: str) -> bool:
    return first in table and np.array_equal(table.column(first), table.column(second), equal_nan=True)


def _place(column: str, history: Literal["train", "val"]) -> tuple[str, Curve]:
    """Return the panel that ``column`` belongs to, and the curve."""
    base = re.sub(r"^(val|eval)_", "", column)
    label = "training" if history == "train" else "validation"
    scale = re.fullmatch(r"(.+)_scale_(\d+)", base)
    if scale:
        return f"{scale.group(1)}_by_scale", Curve(f"scale {scale.group(2)}", history, column)
    for mark, meaning in _REFERENCES.items():
        rest = re.sub(mark, "", base)
        if rest != base:
            return _SAME.get(rest, rest), Curve(meaning, history, column, is_reference=True)
    return _SAME.get(base, base), Curve(label, history, column)


def _words(key: str) -> str:
    text = key.replace("_", " ").replace(".", ": ")
    return text[:1].upper() + text[1:]
