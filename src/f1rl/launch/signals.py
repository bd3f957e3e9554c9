"""The one owner of signals: a signal sets a flag, training stops at the next step boundary."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from f1rl.errors import F1RLError, Interrupted, Preempted

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Somebody wants the run to end: Ctrl-C, ``kill``, ``scancel``, the end of a SLURM job."""
PREEMPTING = (signal.SIGUSR1, signal.SIGUSR2)
"""The time is nearly over, or others need the place: the run should be queued again (``sbatch --signal``)."""


class StopSignal:
    """Turn signals into a request that is honoured where the state can be saved; a context that gives them back.

    Libraries that want the same signals (Lightning, submitit) lose them: whoever installs last owns them.
    """

    def __init__(self) -> None:
        """Nothing is requested yet; the signals are taken over when the context is entered."""
        self._name: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignal:
        """Take over the signals."""
        self._before = {number: signal.getsignal(number) for number in (*STOPPING, *PREEMPTING)}
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # None: not set from Python

    def install(self) -> None:
        """Take over the signals; call again after a library has replaced the handlers."""
        for number in (*STOPPING, *PREEMPTING):
            signal.signal(number, self._handle)

    def requested(self) -> str | None:
        """Return the name of the signal that asked the run to stop, or None."""
        return self._name

    def raise_if_requested(self) -> None:
        """Stop here, where there is nothing to save yet.

        Raises:
            Interrupted: a signal asked for the end.
            Preempted: a signal asked for room.
        """
        if self._name is not None:
            raise stopped_by(self._name, "before training began; nothing had to be saved")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._name is not None and number == signal.SIGINT:
            raise Interrupted("stopped at once, without saving. Go on from the last checkpoint with resume=auto")
        if self._name is None or number in STOPPING:
            self._name = signal.Signals(number).name
        sys.stderr.write(f"\n{self._name}: saving and stopping at the end of this step (Ctrl-C again: stop at once)\n")


@contextmanager
def forward_signals(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass signals on to ``processes``, which may change meanwhile; a terminal's Ctrl-C reaches them by itself.

    Yields:
        The signals that came so far, for whoever starts more processes.
    """
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number != signal.SIGINT:
            for process in processes:
                process.send_signal(number)

    # A handler, and not SIG_IGN for Ctrl-C: processes started meanwhile would inherit that they ignore it.
    before = {number: signal.signal(number, forward) for number in (*STOPPING, *PREEMPTING)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stopped_by(name: str, where: str) -> F1RLError:
    """Return the error with which a run ends that signal ``name`` stopped, ``where`` in words."""
    kind = Preempted if signal.Signals[name] in PREEMPTING else Interrupted
    return kind(f"stopped by {name} {where}")
