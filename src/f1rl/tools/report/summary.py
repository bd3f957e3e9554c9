"""The summary of a run in plain text."""

from __future__ import annotations

from typing import Any

from f1rl.records.metrics import best_result
from f1rl.records.reader import RunRecords
from f1rl.records.table import MetricTable

_RULE = "=" * 60
_SETTINGS = {
    "Model": ("model_path",),
    "Output": ("output_dir",),
    "Epochs": ("num_epochs", "epochs"),
    "Batch Size": ("batch_size",),
    "Learning Rate": ("learning_rate", "lr"),
    "Gradient Accumulation": ("gradient_accumulation_steps", "gradient_accumulation"),
}
_CLOCKS = {"step": "Step", "optimizer_step": "Step", "epoch": "Epoch", "samples": "Samples", "episode": "Episode"}
_LEFT_OUT = {
    *_CLOCKS, "env_step", "decision_step", "total_steps", "segment", "seed", "scene_seed", "timestamp", "wall_time",
    "attempts", "rank", "worker", "seconds",
}  # fmt: skip


def text_summary(run: RunRecords) -> str:
    """Return configuration, last numbers, best checkpoint and status of ``run``, a line each."""
    lines = [_RULE, "Training Summary", _RULE, *_identity(run), "", "Configuration:"]
    settings = _settings(run)
    lines += [f"  {label}: {_number(value)}" for label, value in settings.items()] or ["  (none recorded)"]
    lines += ["", f"Training History: {len(run.train)} entries", *_last(run.train, "Final ", "Final ")]
    lines += ["", f"Validation History: {len(run.val)} entries", *_last(run.val, "Final Val ", "")]
    lines += ["", "Best Checkpoint:", *_best(run)]
    if run.problems:
        lines += ["", "Problems:", *(f"  {problem}" for problem in run.problems)]
    return "\n".join([*lines, _RULE])


def _identity(run: RunRecords) -> list[str]:
    if not run.info:
        return []
    progress = run.progress()
    total = f" of {progress.total}" if progress.total else ""
    lines = ["", f"Run: {run.name}", f"  Status: {run.status()}", f"  Progress: {progress.unit} {progress.done}{total}"]
    if run.info.get("segment"):
        lines.append(f"  Resumed: {run.info['segment']} times")
    return [*lines, *(f"  Parent: {parent}" for parent in run.info.get("parents", []))]


def _settings(run: RunRecords) -> dict[str, Any]:
    """Return the well-known settings that the log or the configuration of ``run`` holds."""
    config = {**run.config, **run.log.get("config", {})}
    found = {}
    for label, names in _SETTINGS.items():
        value = next((config[name] for name in names if config.get(name) is not None), None)
        if value is not None:
            found[label] = value
    found.setdefault("Output", run.directory)
    return {label: found[label] for label in _SETTINGS if label in found}


def _last(table: MetricTable, clock: str, metric: str) -> list[str]:
    """Return the newest record's numbers; ``clock`` and ``metric`` stand before their names."""
    last = {key: value for key, value in table.last.items() if isinstance(value, int | float)}
    clocks = {_CLOCKS[key]: value for key, value in last.items() if key in _CLOCKS}
    lines = [f"  {clock}{label}: {_number(value)}" for label, value in clocks.items()]
    rest = {key: _number(value) for key, value in last.items() if key not in _LEFT_OUT}
    return lines + [f"  {metric}{key}: {value}" for key, value in _scales_together(rest).items()]


def _scales_together(values: dict[str, str]) -> dict[str, str]:
    """Join what differs only in the scale: ``loss_scale_1``, ``loss_scale_2`` become ``loss by scale``."""
    joined: dict[str, str] = {}
    for key, value in values.items():
        base, scale, _ = key.partition("_scale_")
        name = f"{base} by scale" if scale else key
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _best(run: RunRecords) -> list[str]:
    best = best_result(run)
    if best is None:
        return ["  (no validation yet)"]
    clocks = [key for key in ("step", "epoch", "episode") if key in run.val]
    lines = [f"  {key.capitalize()}: {run.val.column(key)[best.row]:g}" for key in clocks]
    return [*lines, f"  {best.metric}: {_number(best.value)}", f"  Path: {best.path or '(not saved yet)'}"]


def _number(value: Any) -> str:
    """Return a number with the digits that matter, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if value and abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.0f}"
