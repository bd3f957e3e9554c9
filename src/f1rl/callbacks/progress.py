"""Show how training goes."""

from __future__ import annotations

from typing import Any

import lightning
from rich.console import Console

from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import EpisodeRecords
from f1rl.records.progress import ProgressDisplay

_SMOOTHING = 0.95


class ProgressCallback(lightning.Callback):
    """Show episodes, loss, accuracy, learning rate, environment steps per second and the time left."""

    def __init__(self, console: Console, clock: ClockCallback, records: EpisodeRecords, num_episodes: int) -> None:
        """Show progress towards ``num_episodes`` on ``console``."""
        self._console, self._clock, self._records, self._total = console, clock, records, num_episodes
        self._loss: float | None = None
        self._display: ProgressDisplay | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Draw the bar."""
        self._display = ProgressDisplay(self._console, "episodes", self._total, self._clock.clocks.episode)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Redraw."""
        loss = float(outputs["loss"])
        self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        latest = self._records.latest
        rate = self._clock.rates()["env_steps_per_s"]
        self._display.update(
            self._clock.clocks.episode,
            f"loss {self._loss:.3f}  {_latest(latest)}  lr {module.learning_rate:.1e}  {rate:.0f} env steps/s",
        )

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self._display.close()

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        if self._display is not None:
            self._display.close()


def _latest(record: dict[str, Any]) -> str:
    """Return what matters of the newest episode: an explorer's reward, else the world model's accuracy."""
    if "kl" in record:
        return f"reward {record['episode_reward']:.2f}  kl {record['kl']:.3f}"
    return f"acc {record['avg_acc']:.3f}" if record else "acc -"
