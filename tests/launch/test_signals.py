"""Who owns the signals, and for how long."""

from __future__ import annotations

import os
import signal

import pytest

from f1rl.errors import Interrupted, Preempted
from f1rl.launch.signals import StopSignal


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([signal.SIGTERM], Interrupted),
        ([signal.SIGUSR1], Preempted),
        ([signal.SIGUSR2], Preempted),
        ([signal.SIGUSR2, signal.SIGTERM], Interrupted),  # told to end while saving: not to be queued again
        ([signal.SIGTERM, signal.SIGUSR2], Interrupted),
    ],
)
def test_a_signal_is_a_request_of_its_kind(numbers: list[signal.Signals], expected: type[Exception]) -> None:
    with StopSignal() as stop:
        stop.raise_if_requested()
        for number in numbers:
            os.kill(os.getpid(), number)
        with pytest.raises(expected, match="before training began"):
            stop.raise_if_requested()


def test_the_signals_are_given_back() -> None:
    def own(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGUSR2, own)
    try:
        with StopSignal() as stop:
            signal.signal(signal.SIGTERM, own)  # as a library does
            stop.install()
            assert signal.getsignal(signal.SIGTERM) not in (own, signal.SIG_DFL)
        assert signal.getsignal(signal.SIGUSR2) is own
        assert signal.getsignal(signal.SIGTERM) is not own
    finally:
        signal.signal(signal.SIGUSR2, before)
