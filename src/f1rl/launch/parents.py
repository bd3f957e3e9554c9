"""The checkpoints that a later phase starts from: found, checked against the configuration, loaded strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f1rl.checkpoint import Checkpoint, list_checkpoints, load_checkpoint, named_checkpoint
from f1rl.errors import CheckpointError, ConfigError
from f1rl.lineage import START_KEYS, disagreement
from f1rl.records.differences import table


@dataclass
class Parent:
    """A checkpoint of an earlier phase."""

    phase: str
    path: Path
    checkpoint: Checkpoint

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of its run."""
        return self.checkpoint.training["config"]


def open_parent(phase: str, given: str | None, config: dict[str, Any]) -> Parent:
    """Return the checkpoint of an earlier ``phase`` that a run with ``config`` starts from.

    Args:
        phase: ``teacher`` or ``student``.
        given: a checkpoint, or a run whose newest checkpoint is meant; None takes the newest beside ``output_dir``.
        config: resolved configuration of the run that starts, plain.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of another phase.
        ConfigError: it was trained with a configuration that does not fit.
    """
    path = _newest(phase, Path(config["output_dir"])) if given is None else named_checkpoint(Path(given))
    checkpoint = load_checkpoint(path)
    found = checkpoint.training.get("phase")
    if found != phase:
        raise CheckpointError(
            f"{path} is a checkpoint of phase {found}, not {phase}; give another: {START_KEYS[phase]}=PATH"
        )
    parent = Parent(phase, path, checkpoint)
    _require_agreement(parent, phase, config)
    return parent


def _newest(phase: str, output_dir: Path) -> Path:
    """Return the newest checkpoint of the runs of ``phase`` beside ``output_dir``."""
    beside = output_dir.resolve().parent
    runs = [file.parent for file in sorted(beside.glob("*/run.json")) if _phase_of(file) == phase]
    found = [path for run in runs for path in list_checkpoints(run)]
    if not found:
        raise CheckpointError(
            f"there is no checkpoint of a {phase} in {beside}/*/. Train one (python -m f1rl phase={phase} ...), or "
            f"name one: {START_KEYS[phase]}=PATH"
        )
    # By the time of writing, not by the episode: a longer run may be an older one.
    return max(found, key=lambda path: (path / "training_state.pt").stat().st_mtime)


def _phase_of(run_file: Path) -> str | None:
    try:
        return json.loads(run_file.read_text()).get("phase")
    except (OSError, ValueError):  # not a run of ours, or one that is being deleted
        return None


def _require_agreement(parent: Parent, phase: str, config: dict[str, Any]) -> None:
    differing = disagreement(phase, parent.config, config)
    if differing:
        raise ConfigError(
            f"{parent.path} was trained with a configuration that does not fit:\n"
            f"{table(differing, f'for the {phase}', 'now')}\n"
            f"Give these keys the {phase}'s values, or start from another checkpoint: {START_KEYS[phase]}=PATH"
        )
