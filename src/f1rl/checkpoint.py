"""Checkpoints: written whole or not at all, read with ``weights_only=True``, checked before anything uses them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from f1rl.errors import CheckpointError
from f1rl.records.files import disk_error

FORMAT = 1
"""Raised when an older checkpoint can no longer be read."""

_FILES = ("model.pt", "training_state.pt", "metrics.pt")

Beside = Callable[[Mapping[str, torch.Tensor], Path], None]
"""Writes more files for others to read, from the state of the model, into the folder of a checkpoint."""
_FINGERPRINT = "base_fingerprint"
"""Last name of the tensor that says which weights adapters belong to."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped."""

    model: dict[str, torch.Tensor]
    """State of the model, without frozen tensors that files hold."""
    training: dict[str, Any]
    """Optimizer, schedule, clocks, memory, stream position, random states, configuration."""
    metrics: dict[str, Any]
    """Histories and the best validation so far."""


def checkpoint_path(run_dir: Path, episode: int) -> Path:
    """Return where the checkpoint after ``episode`` episodes lives."""
    return run_dir / f"checkpoint-{episode}"


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    for aside in run_dir.glob(".checkpoint-*.old"):  # killed between the two renames of a replacement
        target = run_dir / aside.name[1 : -len(".old")]
        if not target.exists():
            aside.rename(target)
    found = [p for p in run_dir.glob("checkpoint-*") if _NAME.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=_episode)


def _episode(path: Path) -> int:
    return int(_NAME.fullmatch(path.name).group(1))


def save_checkpoint(path: Path, checkpoint: Checkpoint, beside: Beside | None = None) -> None:
    """Write ``checkpoint`` to the directory ``path``, atomically, with what ``beside`` adds to it.

    Raises:
        EnvironmentFailure: the file system refuses (full, read-only); an older checkpoint of that name is intact.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    contents = (checkpoint.model, {"format": FORMAT, **checkpoint.training}, checkpoint.metrics)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in zip(_FILES, contents, strict=True):
            with (temporary / name).open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
        if beside is not None:
            beside(checkpoint.model, temporary)
        _swap(temporary, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        shutil.rmtree(temporary, ignore_errors=True)
        cause = error if isinstance(error, OSError) else OSError(None, _first_line(error))
        raise disk_error(path, cause) from error


def _swap(new: Path, path: Path) -> None:
    """Put ``new`` in the place of ``path``; a resumed run passes the same episode again."""
    aside = path.with_name(f".{path.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if path.exists():
        path.rename(aside)
    new.rename(path)
    shutil.rmtree(aside, ignore_errors=True)


def named_checkpoint(given: Path) -> Path:
    """Return the checkpoint that ``given`` names: itself, or the newest one if it is a run.

    Raises:
        CheckpointError: it is a run without a checkpoint.
    """
    if not (given / "run.json").exists():
        return given
    found = list_checkpoints(given)
    if not found:
        raise CheckpointError(f"the run {given} has no checkpoint yet; name another run or a checkpoint")
    return found[-1]


def load_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint in the directory ``path``.

    Raises:
        CheckpointError: it is missing, incomplete, damaged, or not a checkpoint of this program.
    """
    list_checkpoints(path.parent)  # puts a checkpoint back whose replacement was killed halfway
    if not path.is_dir():
        there = ", ".join(p.name for p in list_checkpoints(path.parent)) if path.parent.is_dir() else ""
        raise CheckpointError(f"no checkpoint at {path}. Beside it: {there or 'none'}. Name one of them")
    parts = [_load(path / name) for name in _FILES]
    if not isinstance(parts[1], dict) or parts[1].pop("format", None) != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this program (format {FORMAT}). Name another")
    if not all(isinstance(part, dict) for part in parts):
        raise CheckpointError(f"{path} does not hold what its file names say. Name another")
    return Checkpoint(*parts)


def _load(path: Path) -> Any:
    remedy = "Name another checkpoint of the run; or delete this directory, and resume=auto finds the one before it"
    if not path.is_file():
        raise CheckpointError(f"{path.parent} is not a whole checkpoint: {path.name} is missing. {remedy}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen unrelated types for damaged and foreign files
        raise CheckpointError(f"{path} cannot be read: {_first_line(error)}. {remedy}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def own_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of ``model`` without what a module names in ``elsewhere``: frozen tensors that files gave it."""
    elsewhere = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name in getattr(module, "elsewhere", ())
    }

    def outside(name: str) -> bool:
        parts = name.split(".")  # a tensor in 4 bits has parts of its own below its name
        return any(".".join(parts[:end]) in elsewhere for end in range(1, len(parts) + 1))

    state = model.state_dict()
    return {name: tensor for name, tensor in state.items() if not outside(name)} if elsewhere else state


def load_model_weights(model: torch.nn.Module, state: dict[str, torch.Tensor], origin: Path) -> None:
    """Load ``state`` into ``model``, strictly.

    Raises:
        CheckpointError: a key is missing, extra, or of another shape; the message names the first few.
    """
    own = own_state(model)
    for name in own:
        if name.endswith(_FINGERPRINT) and name in state and not torch.equal(own[name].cpu(), state[name]):
            raise CheckpointError(
                f"{origin} holds adapters of other weights than those that model.weights.source names now; name those "
                "that they were trained with"
            )
    problems = [f"missing: {k}" for k in own if k not in state] + [f"unknown: {k}" for k in state if k not in own]
    problems += [
        f"{k}: shape {tuple(state[k].shape)}, the model has {tuple(v.shape)}"
        for k, v in own.items()
        if k in state and state[k].shape != v.shape
    ]
    if problems:
        shown = "\n  ".join(problems[:8])
        raise CheckpointError(
            f"{origin} does not fit the model ({len(problems)} of {len(own)} entries):\n  {shown}\n"
            "It was saved with another model or tokenizer configuration; use the one in its run's config.yaml"
        )
    model.load_state_dict(state, strict=False)  # what is missing was read from elsewhere


def prune_checkpoints(run_dir: Path, keep: int, protected: set[str]) -> None:
    """Delete all but the newest ``keep`` checkpoints; those named in ``protected`` (the best) stay in any case."""
    for path in [*list_checkpoints(run_dir)[:-keep], *run_dir.glob("checkpoint-*-best")]:
        if path.name not in protected:
            shutil.rmtree(path)


def set_aside_newer(run_dir: Path, episode: int, segment: int) -> None:
    """Rename the checkpoints beyond ``episode``: the run goes on from there and leaves them behind."""
    for path in list_checkpoints(run_dir):
        if _episode(path) > episode:
            path.rename(run_dir / f"superseded-{segment}-{path.name}")
