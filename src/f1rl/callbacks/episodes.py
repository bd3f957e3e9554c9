"""One record per episode: ``episode_metrics.jsonl``, the training history, TensorBoard."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import lightning
import torch

from f1rl.callbacks.clock import ClockCallback
from f1rl.ranks import Ranks
from f1rl.records.jsonl import JsonlWriter
from f1rl.records.training_log import TrainingLog

_SCALARS = {
    "train/loss": "avg_loss",
    "train/accuracy": "avg_acc",
    "train/lr": "lr",
    "train/grad_norm": "grad_norm",
    "env/reward": "episode_reward",
    "time/env_steps_per_s": "env_steps_per_s",
    "time/wait_env_share": "wait_env_share",
}
_NOT_SHOWN = (
    "episode", "total_steps", "lr", "timestamp", "decision_step", "optimizer_step", "length", "seed", "scene_seed",
    "success", "attempts", "rank", "worker", "segment", "wall_time",
)  # fmt: skip
Scalars = Callable[[dict[str, float], int], None]
"""A view that takes named scalars at a step."""


class EpisodeRecords(lightning.Callback):
    """Sum the losses of each episode's steps over the windows that it spans, and write a record when it ends.

    Every rank sums up its own episodes; the records of all ranks are written by the first.
    """

    def __init__(
        self,
        clock: ClockCallback,
        ranks: Ranks,
        writer: JsonlWriter | None,
        log: TrainingLog,
        log_every: int,
        scalars: Scalars,
    ) -> None:
        """Write every ``log_every``-th episode to ``writer`` (None on other ranks), ``log`` and ``scalars``."""
        self.latest: dict[str, Any] = {}
        """The newest record."""
        self._clock, self._ranks, self._every = clock, ranks, log_every
        self._writer, self._log, self._scalars = writer, log, scalars
        self._sums: dict[int, list[float]] = {}

    def state(self) -> dict[str, Any]:
        """Return this rank's sums of unfinished episodes, and on the first the length of the file, for a checkpoint."""
        state: dict[str, Any] = {"sums": {k: list(v) for k, v in self._sums.items()}}
        return state if self._writer is None else {**state, "bytes": self._writer.size}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._sums = {k: list(v) for k, v in state["sums"].items()}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Add the batch to the sums; write the episodes that ended in it, on whichever rank.

        ``outputs`` has ``step_loss`` and ``step_accuracy`` of a batch of windows, or for a rollout, which has whole
        episodes, ``episodes``: by number, what to record of each.
        """
        if "step_loss" in outputs:
            self._add(batch.episode, outputs["step_loss"], outputs["step_accuracy"])
        own = []
        for finished in batch.finished:
            learned = outputs["episodes"][finished.index] if "episodes" in outputs else self._averages(finished)
            own.append((self._record(finished, module, learned), finished.tokens))
        gathered = self._ranks.gather(own)
        for tokens in (
            tokens for rank, ended in enumerate(gathered) if rank != self._ranks.rank for _, tokens in ended
        ):
            module.count_episode(tokens)
        for record, _ in sorted(itertools.chain(*gathered), key=lambda entry: entry[0]["episode"]):
            self.latest = record
            if record["episode"] % self._every == 0 and self._writer is not None:
                self._write(record)

    def _add(self, episode: torch.Tensor, loss: torch.Tensor, accuracy: torch.Tensor) -> None:
        numbers = episode.flatten().tolist()
        for number, one_loss, one_accuracy in zip(
            numbers, loss.flatten().tolist(), accuracy.flatten().tolist(), strict=True
        ):
            if number >= 0:
                sums = self._sums.setdefault(number, [0.0, 0.0, 0])
                sums[0] += one_loss
                sums[1] += one_accuracy
                sums[2] += 1

    def _averages(self, finished: Any) -> dict[str, float]:
        loss, accuracy, steps = self._sums.pop(finished.index)
        reward = float(finished.episode.reward.sum())
        return {"avg_loss": loss / steps, "avg_acc": accuracy / steps, "episode_reward": reward}

    def _record(self, finished: Any, module: lightning.LightningModule, learned: dict[str, float]) -> dict[str, Any]:
        episode = finished.episode
        clocks = self._clock.clocks
        first = ("avg_loss", "avg_acc", "episode_reward")
        return {
            "episode": finished.index + 1,
            **{name: learned[name] for name in first},
            "total_steps": clocks.env_step,
            "lr": module.learning_rate,
            "timestamp": time.time(),
            "env_step": clocks.env_step,
            "decision_step": clocks.decision_step,
            "optimizer_step": clocks.optimizer_step,
            "grad_norm": module.grad_norm,
            "length": len(finished),
            "seed": episode.request.seed,
            "scene_seed": episode.request.scene_seed,
            "success": bool(episode.info.get("success", False)),
            "attempts": episode.attempts,
            "rank": self._ranks.rank,
            "worker": episode.worker,
            "segment": self._clock.segment,
            "wall_time": self._clock.elapsed,
            **self._clock.rates(),
            **{name: value for name, value in learned.items() if name not in first},
        }

    def _write(self, record: dict[str, Any]) -> None:
        self._writer.write(record)
        entry = {
            "step": record["optimizer_step"],
            "epoch": 0,
            "samples": record["episode"],
            "episode": record["episode"],
            "env_step": record["env_step"],
            "loss": record.get("loss", record["avg_loss"]),
            "accuracy": record["avg_acc"],
            "reward": record["episode_reward"],
            "learning_rate": record["lr"],
        }
        self._log.add_train(entry | {name: record[name] for name in self._log.shape.train if name in record})
        known = {*_SCALARS.values(), *entry, *_NOT_SHOWN}
        shown = {tag: record[key] for tag, key in _SCALARS.items() if key in record}
        shown |= {f"explorer/{name}": value for name, value in record.items() if name not in known}
        self._scalars(shown, record["env_step"])
