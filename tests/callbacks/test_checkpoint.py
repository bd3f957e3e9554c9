"""When a checkpoint may not be written, and what it may not replace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from f1rl.callbacks.checkpoint import CheckpointCallback
from f1rl.callbacks.clock import ClockCallback
from f1rl.checkpoint import list_checkpoints
from f1rl.errors import Interrupted, Preempted
from f1rl.launch.signals import stopped_by
from f1rl.ranks import Ranks
from f1rl.records.clocks import Clocks
from f1rl.records.training_log import SUPERVISED, TrainingLog


class Run:
    """The parts of a run that a checkpoint is made of, and batches that finish one episode each."""

    def __init__(self, directory: Path, *, accumulate: int = 1, every: int = 100) -> None:
        self.signal: str | None = None
        self.clock = ClockCallback(Clocks(), segment=0, ledger=dict, ranks=Ranks())
        self.history = TrainingLog(directory / "training_log.json", {}, SUPERVISED)
        self.trainer = SimpleNamespace(is_global_zero=True, world_size=1, global_step=0)
        self.module = SimpleNamespace(model=torch.nn.Linear(1, 1), training_state=dict, rank_state=dict)
        self._accumulate, self._batches = accumulate, 0
        self.callback = CheckpointCallback(
            directory, self.clock, SimpleNamespace(state=dict), self.history, {}, Ranks(),
            every=every, keep=2, stop_requested=lambda: self.signal, stop=stopped_by, position=None,
        )  # fmt: skip

    def batch(self, finished: int = 1) -> None:
        """Train on one batch of ten steps."""
        batch: Any = SimpleNamespace(
            num_steps=10, num_decisions=10, finished=[None] * finished, position={"served": self._batches}
        )
        self._batches += 1
        if self._batches % self._accumulate == 0:
            self.trainer.global_step += 1
        for callback in (self.clock, self.callback):
            callback.on_train_batch_end(self.trainer, self.module, None, batch, self._batches - 1)


def saved(directory: Path) -> list[str]:
    return [path.name for path in list_checkpoints(directory)]


def test_gathered_gradients_put_the_checkpoint_off_until_they_are_applied(tmp_path: Path) -> None:
    run = Run(tmp_path, accumulate=3, every=4)
    for expected in ([], [], [], [], [], ["checkpoint-6"], ["checkpoint-6"]):
        run.batch()
        assert saved(tmp_path) == expected
    assert run.clock.clocks.optimizer_step == 2


def test_a_signal_waits_for_the_whole_update(tmp_path: Path) -> None:
    run = Run(tmp_path, accumulate=2)
    run.signal = "SIGTERM"
    run.batch()
    assert saved(tmp_path) == []
    with pytest.raises(Interrupted, match="stopped by SIGTERM after episode 2"):
        run.batch()
    assert saved(tmp_path) == ["checkpoint-2"]


def test_a_warning_of_the_scheduler_ends_the_run_as_preempted(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.signal = "SIGUSR2"
    with pytest.raises(Preempted, match="stopped by SIGUSR2 after episode 1; the state is saved"):
        run.batch()
    assert saved(tmp_path) == ["checkpoint-1"]


def test_a_later_checkpoint_of_the_same_episode_does_not_replace_the_best(tmp_path: Path) -> None:
    run = Run(tmp_path, every=1)
    run.history.add_val({"step": 1, "epoch": 0, "eval_loss": 1.0, "env_step": 10})
    run.batch()
    best = (tmp_path / "checkpoint-1" / "model.pt").read_bytes()
    torch.nn.init.ones_(run.module.model.weight)
    run.signal = "SIGINT"
    with pytest.raises(Interrupted):
        run.batch(finished=0)

    path = Path(run.history.best["path"])
    assert path.name == "checkpoint-1-best"
    assert (path / "model.pt").read_bytes() == best
    assert saved(tmp_path) == ["checkpoint-1"]
    assert (tmp_path / "checkpoint-1" / "model.pt").read_bytes() != best
