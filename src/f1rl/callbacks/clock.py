"""Advance the four clocks and the time ledger; the first callback, because all others read them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning

from f1rl.ranks import Ranks
from f1rl.records.clocks import Clocks


class ClockCallback(lightning.Callback):
    """Owner of the clocks. Rates count only what this segment did."""

    def __init__(self, clocks: Clocks, segment: int, ledger: Callable[[], Mapping[str, float]], ranks: Ranks) -> None:
        """Count on from ``clocks``.

        Args:
            clocks: state of a checkpoint, or zeros.
            segment: how often the run was resumed.
            ledger: seconds that each part of the run has taken so far in this segment.
            ranks: all training processes, whose steps and episodes are counted together.
        """
        self.clocks, self.segment, self._ranks = clocks, segment, ranks
        self._ledger, self._spent_before = ledger, dict[str, float]()
        self._started = time.perf_counter()
        self._first_step = clocks.env_step
        self._updates = 0
        self._episodes_at_update = (clocks.episode, clocks.episode)
        self.updated = False
        """Whether the last batch ended with an optimizer step. Between two of them the gradients of the first windows
        are gathered but not applied, and no checkpoint could hold the run's state."""
        self.first_episode = clocks.episode
        """Episodes finished when this segment began."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start measuring."""
        self._started, self._spent_before = time.perf_counter(), dict(self._ledger())

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Count what the batch did, on all ranks."""
        did = (batch.num_steps, batch.num_decisions, len(batch.finished))
        for steps, decisions, episodes in self._ranks.gather(did):
            self.clocks.env_step += steps
            self.clocks.decision_step += decisions
            self.clocks.episode += episodes
        self.updated = trainer.global_step > self._updates
        self.clocks.optimizer_step += trainer.global_step - self._updates
        self._updates = trainer.global_step
        if self.updated:
            self._episodes_at_update = (self._episodes_at_update[1], self.clocks.episode)

    @property
    def elapsed(self) -> float:
        """Seconds of training in this segment."""
        return time.perf_counter() - self._started

    def rates(self) -> dict[str, float]:
        """Return environment steps per second and the share of time that each part takes, in this segment."""
        seconds, before = max(self.elapsed, 1e-9), self._spent_before
        shares = {f"{part}_share": (s - before.get(part, 0.0)) / seconds for part, s in self._ledger().items()}
        return {"env_steps_per_s": (self.clocks.env_step - self._first_step) / seconds, **shares}

    def crossed(self, every: int) -> bool:
        """Return whether an update was just made, and a multiple of ``every`` episodes ended since the one before."""
        before, now = self._episodes_at_update
        return self.updated and now // every != before // every
