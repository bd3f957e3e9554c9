"""The progress that a person watches: a live bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

import lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import EpisodeRecords

_LINE_EVERY = 15.0  # seconds between lines where there is no terminal
_SMOOTHING = 0.98


class ProgressCallback(lightning.Callback):
    """Show episodes, loss, accuracy, learning rate, environment steps per second and the time left."""

    def __init__(self, console: Console, clock: ClockCallback, records: EpisodeRecords, num_episodes: int) -> None:
        """Show progress towards ``num_episodes`` on ``console``."""
        self._console, self._clock, self._records, self._total = console, clock, records, num_episodes
        self._loss: float | None = None
        self._bar: Progress | None = None
        self._last_line = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Draw the bar."""
        if not trainer.is_global_zero:
            return
        self._last_line = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(compact=True),
                console=self._console,
                expand=True,
            )
            self._task = self._bar.add_task(
                "episodes", total=self._total, completed=self._clock.clocks.episode, status=""
            )
            self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Redraw."""
        if not trainer.is_global_zero:
            return
        loss = float(outputs["loss"])
        self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        episode = self._clock.clocks.episode
        if self._bar is not None:
            self._bar.update(self._task, completed=episode, status=self._status(module))
        elif time.monotonic() - self._last_line >= _LINE_EVERY:
            self._last_line = time.monotonic()
            self._console.print(f"episode {episode}/{self._total}  {self._status(module)}  {self._time_left()} left")

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self._stop()

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _status(self, module: lightning.LightningModule) -> str:
        accuracy = self._records.latest.get("avg_acc")
        shown = "-" if accuracy is None else f"{accuracy:.3f}"
        rate = self._clock.rates()["env_steps_per_s"]
        return f"loss {self._loss:.3f}  acc {shown}  lr {module.learning_rate:.1e}  {rate:.0f} env steps/s"

    def _time_left(self) -> str:
        done = self._clock.clocks.episode - self._clock.first_episode
        if done <= 0:
            return "?"
        seconds = int(self._clock.elapsed / done * (self._total - self._clock.clocks.episode))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
