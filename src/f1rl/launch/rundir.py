"""The run directory: never overwritten by accident, resumed where it stopped."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from f1rl import __file__ as package_file
from f1rl.checkpoint import Checkpoint, list_checkpoints, load_checkpoint, set_aside_newer
from f1rl.errors import ConfigError
from f1rl.pipeline import membership
from f1rl.ranks import Ranks
from f1rl.records.differences import INCIDENTAL, differences, is_among, table
from f1rl.records.files import disk_error
from f1rl.records.process import this_process
from f1rl.records.run_file import RunFile, git_state, versions

# Keys that may differ between a checkpoint and the run that goes on from it.
_FREE = (
    *INCIDENTAL, "rollout", "phase.num_episodes",
    "model.weights.source",  # adapters know the weights that they belong to
)  # fmt: skip
# Among them, keys that decide which episodes are trained on. Datasets may move: their contents are compared instead.
_BOUND = ("rollout.online_fraction", "rollout.dataset_weights")


@dataclass
class RunDirectory:
    """Where a run writes, and what it goes on from."""

    path: Path
    file: RunFile
    """``run.json``."""
    checkpoint: Checkpoint | None
    """State to go on from; None for a new run."""
    segment: int
    """How often the run was resumed."""
    lock: BinaryIO | None = None
    """Open file that holds the directory for this process; None on all ranks but the first."""
    rank: int = 0

    @property
    def is_owned(self) -> bool:
        """Whether this process writes ``run.json``."""
        return self.lock is not None

    @property
    def own_state(self) -> dict[str, Any]:
        """What the checkpoint holds of this rank: its position in the data, random states, sums and memory."""
        training = self.checkpoint.training
        return training["others"][self.rank - 1] if self.rank else training


def go_on_if_requeued(config: dict[str, Any]) -> dict[str, Any]:
    """Return ``config`` for the first start of a SLURM job, and for its later starts one that goes on with its own run.

    Whatever the command line said, the run of a job that SLURM started again is neither refused nor deleted.
    """
    path = Path(config["output_dir"])
    if os.environ.get("SLURM_RESTART_COUNT", "0") == "0" or not (path / "run.json").exists():
        return config
    if RunFile(path / "run.json").data.get("process", {}).get("slurm_job") != os.environ.get("SLURM_JOB_ID"):
        return config
    if list_checkpoints(path) or config["resume"] is None:
        return {**config, "resume": "auto", "overwrite": False}
    return {**config, "overwrite": config["resume"] != "auto"}  # it had saved nothing of what it took from elsewhere


def open_together(config: dict[str, Any], ranks: Ranks) -> RunDirectory:
    """Open the run directory on all ranks: the first creates or re-opens it, the others use what it found.

    Raises:
        F1RLError: see :func:`open_run`.
        ConfigError: the checkpoint was saved by another number of ranks.
    """
    if ranks.is_first:
        directory = open_run(config)
        resumed = directory.file.data["resumed_from"]
        ranks.from_first((directory.segment, resumed))
    else:
        segment, resumed = ranks.from_first()
        path = Path(config["output_dir"])
        checkpoint = load_checkpoint(Path(resumed)) if resumed else None
        directory = RunDirectory(path, RunFile(path / "run.json"), checkpoint, segment, rank=ranks.rank)
    if directory.checkpoint is not None:
        _check_ranks(1 + len(directory.checkpoint.training.get("others", [])), ranks.size)
    return directory


def _check_ranks(saved: int, now: int) -> None:
    """Refuse to go on with another number of ranks: each of them goes on with streams of its own."""
    if saved != now:
        raise ConfigError(
            f"the checkpoint was saved by {saved} training processes and this run has {now}; give trainer.devices and "
            "trainer.num_nodes their old values"
        )


def open_run(config: dict[str, Any]) -> RunDirectory:
    """Create or re-open the run directory that ``config`` (plain, resolved) names.

    Raises:
        ConfigError: it holds another run, or the configuration differs from the checkpoint's where it must not.
        CheckpointError: the checkpoint to resume from is missing or damaged.
        EnvironmentFailure: the directory cannot be written.
    """
    path = Path(config["output_dir"])
    checkpoint_at = checkpoint_to_resume(config)
    own = checkpoint_at is not None and checkpoint_at.resolve().parent == path.resolve()
    if (path / "run.json").exists() and not (own or config["overwrite"] or config["resume"] == "auto"):
        _refuse(path)
    checkpoint = load_checkpoint(checkpoint_at) if checkpoint_at else None
    if checkpoint is not None:
        _check_same(checkpoint.training.get("config", {}), config, checkpoint_at)
    try:
        if config["overwrite"]:
            _clear(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    except OSError as error:
        raise disk_error(path, error) from error
    file = RunFile(path / "run.json")
    segment = file.data.get("segment", -1) + 1 if file.data else int(checkpoint is not None)
    if own:
        set_aside_newer(path, checkpoint.training["clocks"]["episode"], segment)
    file.update(
        id=file.data.get("id", uuid.uuid4().hex[:12]),
        name=config["name"],
        phase=config["phase"]["name"],
        seed=config["seed"],
        tags=config["tags"],
        status="starting",
        process=this_process(path),
        segment=segment,
        started=file.data.get("started", time.time()),
        resumed_from=str(checkpoint_at) if checkpoint_at else None,
        pipeline=membership(path),
        parents=file.data.get("parents", [] if own or not checkpoint_at else [str(checkpoint_at)]),
        error=None,
        ended=None,
        fallbacks=[],
        timings={},
        versions=versions(),
        git=git_state(Path(package_file).parent),
    )
    return RunDirectory(path, file, checkpoint, segment, lock)


def _lock(path: Path) -> BinaryIO:
    """Hold the directory for as long as this process lives; two writers would cut each other's records."""
    lock = (path / ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(
            f"{path} is being written by another process that is still running. Wait for it or stop it, or choose "
            "another output_dir=..."
        ) from error
    return lock


def checkpoint_to_resume(config: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint that a run with ``config`` goes on from; None for a new run."""
    if config["resume"] is None:
        return None
    if config["resume"] != "auto":
        return Path(config["resume"])
    found = list_checkpoints(Path(config["output_dir"]))
    return found[-1] if found else None


def _clear(path: Path) -> None:
    """Delete the run in ``path``; refuse to delete what is not one."""
    if not path.exists():
        return
    if any(path.iterdir()) and not (path / "run.json").exists():
        raise ConfigError(
            f"overwrite=true would delete {path}, which is not empty and holds no run (no run.json). "
            "Choose another output_dir, or empty it yourself"
        )
    with _lock(path):  # not under the hands of a run that is still going on
        shutil.rmtree(path)


def _refuse(path: Path) -> None:
    run = RunFile(path / "run.json").data
    raise ConfigError(
        f"{path} holds run {run.get('name')} ({run.get('status')}). Continue it with resume=auto, replace it with "
        "overwrite=true, or choose another output_dir=..."
    )


def _check_same(saved: dict[str, Any], config: dict[str, Any], origin: Path) -> None:
    differing = {
        key: values for key, values in differences(saved, config).items() if key in _BOUND or not is_among(key, _FREE)
    }
    if differing:
        raise ConfigError(
            f"{origin} was trained with another configuration:\n{table(differing, 'in the checkpoint', 'now')}\n"
            "Give these keys their old values to go on, or start a new run with another output_dir=..."
        )
