"""The progress that a person watches: a live bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY = 15.0  # seconds between lines where there is no terminal


class ProgressDisplay:
    """One thing that is done bit by bit."""

    def __init__(self, console: Console, what: str, total: int, completed: int = 0) -> None:
        """Show progress of ``what`` from ``completed`` to ``total``."""
        self._console, self._what, self._total, self._first = console, what, total, completed
        self._started = self._last_line = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(compact=True),
                console=console,
                expand=True,
            )
            self._task = self._bar.add_task(what, total=total, completed=completed, status="")
            self._bar.start()

    def update(self, completed: int, status: str = "") -> None:
        """Show that ``completed`` of the total are done, and ``status`` beside it."""
        if self._bar is not None:
            self._bar.update(self._task, completed=completed, status=status)
        elif time.monotonic() - self._last_line >= _LINE_EVERY:
            self._last_line = time.monotonic()
            parts = [f"{self._what} {completed}/{self._total}", status, f"{self._time_left(completed)} left"]
            self._console.print("  ".join(part for part in parts if part), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> ProgressDisplay:
        """Return the display itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self.close()

    def _time_left(self, completed: int) -> str:
        done = completed - self._first
        if done <= 0:
            return "?"
        seconds = int((time.monotonic() - self._started) / done * (self._total - completed))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
