"""The phases in their order, and in what a run must agree with the earlier one that it starts from.

Imports nothing heavy, so that a chain of phases can be checked before the first of them starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from f1rl.records.differences import differences, flatten

PHASES = ("teacher", "student", "adversarial")
START_KEYS = {"teacher": "phase.teacher_path", "student": "phase.student_checkpoint"}
"""Phases that the next one starts from, each with the key by which that one names its checkpoint or run."""

_SHARED = ("model", "embodiment", "control", "camera", "env.id", "env.task", "env.variant", "env.control_freq")
"""Keys of the configuration in which a parent and its child must agree: what pictures, states and actions mean."""
_HOW = tuple(
    f"model.{key}"
    for key in ("ema", "lr_ratios", "activation_checkpointing", "prefix_cache", "compile", "weights.source")
)
"""Keys of the model that say how it is trained, and from what, not what it is."""
_OWN = {"teacher": ("model.act", *_HOW), "student": _HOW}
"""Among the shared ones, those in which a parent of each phase may differ."""
_ACTING = ("policy",)
"""Keys in which a student and what goes on with its explorer must agree besides."""


def disagreement(phase: str, parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the keys in which a run does not fit the one of ``phase`` that it starts from, with both values.

    Args:
        phase: of the parent: ``teacher`` or ``student``.
        parent: its configuration, resolved and plain.
        child: that of the run that starts from it.
    """
    shared = (*_SHARED, *(_ACTING if phase == "student" else ()))
    return differences(_selected(parent, shared, _OWN[phase]), _selected(child, shared, _OWN[phase]))


def _selected(config: Mapping[str, Any], keys: tuple[str, ...], without: tuple[str, ...]) -> dict[str, Any]:
    def below(key: str, names: tuple[str, ...]) -> bool:
        return any(key == name or key.startswith(f"{name}.") for name in names)

    return {key: value for key, value in flatten(config).items() if below(key, keys) and not below(key, without)}
