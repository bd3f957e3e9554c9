"""The recording of a run: files, views and the callbacks that feed them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import lightning
from rich.console import Console

from f1rl.callbacks.checkpoint import CheckpointCallback
from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import EpisodeRecords, Scalars
from f1rl.callbacks.health import HealthJudge
from f1rl.callbacks.held_out import HeldOutEvaluation
from f1rl.callbacks.media import EpisodeMedia
from f1rl.callbacks.progress import ProgressCallback
from f1rl.callbacks.tensorboard import TensorBoardView
from f1rl.checkpoint import Beside
from f1rl.config.schema import Config
from f1rl.launch.build import shown_cameras
from f1rl.launch.rundir import RunDirectory
from f1rl.launch.signals import stopped_by
from f1rl.models.lora import write_peft
from f1rl.ranks import Ranks
from f1rl.records.clocks import Clocks
from f1rl.records.heartbeat import Heartbeat
from f1rl.records.jsonl import JsonlWriter
from f1rl.records.media import MediaWriter
from f1rl.records.reader import EPISODE_FILE, LIVE_FILE
from f1rl.records.training_log import GRPO, PPO, SUPERVISED, LogShape, TrainingLog, common_config
from f1rl.rollout.datamodule import RolloutDataModule
from f1rl.rollout.explorer_data import ExplorerDataModule


def _shape(cfg: Config) -> LogShape:
    """Return what the phase writes into ``training_log.json``, and by what its best checkpoint is chosen."""
    if cfg.phase.name == "teacher":
        return SUPERVISED
    shape = {"ppo": PPO, "grpo": GRPO}[cfg.algo.name]
    if cfg.phase.name == "student":
        return shape
    # The explorer's reward is the world model's error here: the two cannot both be at their best.
    return replace(shape, val=(*shape.val, "val_explorer_loss"), metric="val_explorer_loss", goal="min")


@dataclass
class Recording:
    """Callbacks in the order in which they must run, and what to close at the end."""

    callbacks: list[lightning.Callback]
    history: TrainingLog
    _closing: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Finish encodings and close files."""
        with ExitStack() as stack:  # every one, also when one fails
            for close in self._closing:
                stack.callback(close)


def record(
    cfg: Config,
    config: dict[str, Any],
    directory: RunDirectory,
    data: RolloutDataModule | ExplorerDataModule,
    held_out: Any,
    ledger: Callable[[], dict[str, float]],
    ranks: Ranks,
    console: Console,
    stop_requested: Callable[[], str | None],
) -> Recording:
    """Open the files of the run and return the callbacks that write them; a resumed run goes on in the same files.

    The first rank writes the records of all. The others count along, and draw the episodes that they played themselves.

    Args:
        cfg: the configuration.
        config: the same, plain.
        directory: of the run.
        data: where the episodes come from.
        held_out: what the phase's ``evaluate`` takes; None on all ranks but the first.
        ledger: seconds that each part of the phase has taken so far.
        ranks: all training processes.
        console: shows the progress.
        stop_requested: name of the signal that asks the run to stop, or None.
    """
    saved = directory.checkpoint.training if directory.checkpoint else None
    clocks = Clocks(**saved["clocks"]) if saved else Clocks()
    phase, spec, media = cfg.phase, data.spec, MediaWriter()
    pictures = EpisodeMedia(
        directory.path, media, shown_cameras(spec), sample_every=phase.sample_every, video_every=phase.video_every
    )
    clock = ClockCallback(clocks, directory.segment, lambda: {**ledger(), "media": pictures.seconds}, ranks)
    metrics = directory.checkpoint.metrics if directory.checkpoint else None
    log_path, shape = directory.path / "training_log.json", _shape(cfg)
    history = TrainingLog(log_path, common_config(config), shape, metrics)
    files = _open_files(cfg, directory, data, clocks) if ranks.is_first else _Files()
    records = EpisodeRecords(clock, ranks, files.writer, history, phase.log_every, files.scalars)
    if saved:
        records.load_state(directory.own_state["records"])
    identity = {
        "phase": phase.name,
        "config": config,
        "versions": directory.file.data["versions"],
        "datasets": data.dataset_state() or None,
    }
    callbacks: list[lightning.Callback] = [clock, records]
    if ranks.is_first:
        judge = HealthJudge(directory.path / EPISODE_FILE, directory.file, config, lambda: data.restarts)
        callbacks.append(HeldOutEvaluation(clock, held_out, phase.val_every, history, files.scalars, judge))
    callbacks.append(pictures)
    if ranks.is_first:
        callbacks.append(ProgressCallback(console, clock, records, phase.num_episodes))
    callbacks.append(
        CheckpointCallback(
            directory.path,
            clock,
            records,
            history,
            identity,
            ranks,
            every=phase.save_every,
            keep=phase.keep_checkpoints,
            stop_requested=stop_requested,
            stop=stopped_by,
            position=directory.own_state["position"] if saved else None,
            beside=_adapters(cfg),
        )
    )
    return Recording(callbacks, history, [media.close, *files.closing])


def _adapters(cfg: Config) -> Beside | None:
    """Return what writes ``peft_adapter/`` into a checkpoint; None without adapters."""
    if cfg.model.lora.r == 0:
        return None
    return lambda state, folder: write_peft(cfg.model, state, folder / "peft_adapter")


@dataclass
class _Files:
    """What the first rank has open, and nothing on the others."""

    writer: JsonlWriter | None = None
    scalars: Scalars = lambda scalars, step: None
    closing: list[Callable[[], None]] = field(default_factory=list)


def _open_files(
    cfg: Config, directory: RunDirectory, data: RolloutDataModule | ExplorerDataModule, clocks: Clocks
) -> _Files:
    writer = JsonlWriter(
        directory.path / EPISODE_FILE,
        keep_bytes=directory.own_state["records"]["bytes"] if directory.checkpoint else 0,
        superseded=directory.path / "logs" / f"superseded_{directory.segment}.jsonl",
    )
    beat = Heartbeat(directory.path / LIVE_FILE, lambda: {"workers": data.worker_status()})
    files = _Files(writer, closing=[writer.close, beat.close])
    if cfg.logger.tensorboard:
        view = TensorBoardView(directory.path / "tensorboard", clocks.env_step)
        files.scalars = view.write
        files.closing.append(view.close)
    return files
