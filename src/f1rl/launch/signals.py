"""The one owner of signals: a signal sets a flag, training stops at the next step boundary."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from f1rl.errors import Interrupted


class StopSignal:
    """Turn Ctrl-C and SIGTERM into a request that is honoured where the state can be saved."""

    def __init__(self) -> None:
        """Nothing is requested yet; call :meth:`install`."""
        self._name: str | None = None

    def install(self) -> None:
        """Take over SIGINT and SIGTERM; call again after a library has replaced the handlers."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def requested(self) -> str | None:
        """Return the name of the signal that asked the run to stop, or None."""
        return self._name

    def raise_if_requested(self) -> None:
        """Stop here, where there is nothing to save yet.

        Raises:
            Interrupted: a signal asked for it.
        """
        if self._name is not None:
            raise Interrupted(f"stopped by {self._name} before training began; nothing had to be saved")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._name is not None and number == signal.SIGINT:
            raise Interrupted("stopped at once, without saving. Go on from the last checkpoint with resume=auto")
        self._name = signal.Signals(number).name
        sys.stderr.write(f"\n{self._name}: saving and stopping at the end of this step (Ctrl-C again: stop at once)\n")
