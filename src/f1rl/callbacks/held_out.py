"""Held-out evaluation every so many episodes and at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import lightning

from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import Scalars
from f1rl.records.training_log import TrainingLog

log = logging.getLogger(__name__)


class HeldOutEvaluation(lightning.Callback):
    """Call the phase's ``evaluate`` on episodes of fixed seeds that are never trained on."""

    def __init__(
        self, clock: ClockCallback, episodes: Sequence[Any], every: int, history: TrainingLog, scalars: Scalars
    ) -> None:
        """Evaluate on ``episodes`` every ``every`` training episodes."""
        self._clock, self._episodes, self._every = clock, episodes, every
        self._history, self._scalars = history, scalars
        self._reward = sum(float(e.episode.reward.sum()) for e in episodes) / len(episodes)
        self.latest: dict[str, float] = dict(history.val[-1]) if history.val else {}
        """The newest metrics."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Evaluate when a multiple of ``every`` episodes is complete."""
        if trainer.is_global_zero and self._clock.crossed(self._every):
            self._evaluate(module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Evaluate the final weights, unless that was just done."""
        if trainer.is_global_zero and self.latest.get("env_step") != self._clock.clocks.env_step:
            self._evaluate(module)

    def _evaluate(self, module: lightning.LightningModule) -> None:
        started, clocks = time.perf_counter(), self._clock.clocks
        metrics = module.evaluate(self._episodes)
        clock = {"step": clocks.optimizer_step, "epoch": 0, **clocks.as_dict()}
        entry = {**clock, "eval_loss": metrics["loss"], "val_loss": metrics["loss"]}
        entry["val_reward"] = self._reward
        entry |= {f"val_{key}": value for key, value in metrics.items()}
        entry["seconds"] = time.perf_counter() - started
        self.latest = entry
        self._history.add_val(entry)
        self._history.save()
        self._scalars({f"eval/{key}": value for key, value in metrics.items()}, clocks.env_step)
        log.info(
            "held out, episode %d: loss %.4f (copy last %.4f, unigram %.4f), accuracy %.3f, action sensitivity %.4f",
            clocks.episode,
            metrics["loss"],
            metrics["copy_last_loss"],
            metrics["unigram_loss"],
            metrics["accuracy"],
            metrics["action_sensitivity"],
        )
