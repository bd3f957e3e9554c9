"""Held-out evaluation every so many episodes and at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import lightning

from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import Scalars
from f1rl.records.training_log import TrainingLog

log = logging.getLogger(__name__)


class HeldOutEvaluation(lightning.Callback):
    """Call the phase's ``evaluate`` with what it is judged by, which is never trained on; on the first rank only."""

    def __init__(
        self,
        clock: ClockCallback,
        held_out: Any,
        every: int,
        history: TrainingLog,
        scalars: Scalars,
        judge: Callable[[Sequence[dict[str, Any]]], dict[str, Any]],
    ) -> None:
        """Evaluate every ``every`` training episodes.

        Args:
            clock: clocks to record.
            held_out: what the phase's ``evaluate`` takes.
            every: cadence in training episodes.
            history: takes each result.
            scalars: a view that takes it too.
            judge: returns the health of the run, given all evaluations, for the record of the last of them.
        """
        self._clock, self._held_out, self._every = clock, held_out, every
        self._history, self._scalars, self._judge = history, scalars, judge
        self.latest: dict[str, float] = dict(history.val[-1]) if history.val else {}
        """The newest metrics."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Evaluate when a multiple of ``every`` episodes is complete."""
        if self._clock.crossed(self._every):
            self._evaluate(module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Evaluate the final weights, unless that was just done."""
        if self.latest.get("env_step") != self._clock.clocks.env_step:
            self._evaluate(module)

    def _evaluate(self, module: lightning.LightningModule) -> None:
        started, clocks = time.perf_counter(), self._clock.clocks
        metrics = module.evaluate(self._held_out)
        clock = {"step": clocks.optimizer_step, "epoch": 0, "samples": clocks.episode, **clocks.as_dict()}
        entry = {**clock, "segment": self._clock.segment, "eval_loss": metrics["loss"]}
        entry |= {f"val_{key}": value for key, value in metrics.items()}
        entry["seconds"] = time.perf_counter() - started
        entry["health"] = health = self._judge([*self._history.val, entry])
        self.latest = entry
        self._history.add_val(entry)
        self._history.save()
        scalars = {f"eval/{key}": value for key, value in metrics.items()}
        if health["score"] is not None:
            scalars["health/score"] = health["score"]
        self._scalars(scalars, clocks.env_step)
        log.info("held out, episode %d: %s", clocks.episode, module.headline(metrics))
