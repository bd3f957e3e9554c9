"""The clocks and rates of a run count what all of its training processes did, in this segment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from f1rl.callbacks.clock import ClockCallback
from f1rl.ranks import Ranks
from f1rl.records.clocks import Clocks


class Two(Ranks):
    """The first of two ranks, of which the other always does the same."""

    def __init__(self) -> None:
        super().__init__(rank=0, size=2)

    def gather(self, value: object) -> list[object]:
        return [value, value]


def test_rates_count_the_steps_of_all_ranks_in_this_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ClockCallback(Clocks(env_step=100, episode=4), segment=1, ledger=lambda: {"wait_env": 1.0}, ranks=Two())
    monkeypatch.setattr("f1rl.callbacks.clock.time.perf_counter", lambda: 10.0)
    trainer = SimpleNamespace(global_step=1)
    clock.on_train_start(trainer, None)
    batch = SimpleNamespace(num_steps=20, num_decisions=5, finished=["an episode"])
    clock.on_train_batch_end(trainer, None, None, batch, 0)
    assert (clock.clocks.env_step, clock.clocks.decision_step, clock.clocks.episode) == (140, 10, 6)
    monkeypatch.setattr("f1rl.callbacks.clock.time.perf_counter", lambda: 14.0)
    assert clock.rates()["env_steps_per_s"] == pytest.approx(40 / 4)
