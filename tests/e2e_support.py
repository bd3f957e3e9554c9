"""What the end-to-end tests share: runs of the real command line in processes of their own, and readers of records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from f1rl.config.schema import Config
from f1rl.launch.build import optimizer_plan
from f1rl.typed import from_tree

# Every part of a run, as short as it gets; one worker, so that nothing depends on scheduling.
SHORT = (
    "env=toy",
    "phase.num_episodes=24",
    "phase.batch_size=2",
    "phase.warmup_steps=2",
    "phase.save_every=8",
    "phase.sample_every=8",
    "phase.video_every=16",
    "phase.val_every=8",
    "phase.val_episodes=3",
    "phase.tokenizer.num_episodes=4",
    "phase.tokenizer.steps=15",
    "phase.tokenizer.batch_size=16",
    "env.max_steps=13",
    "env.scene_reset_interval=3",
    "rollout.num_workers=1",
)
TWO_RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1", "bptt=4")
"""Two training processes on this machine."""
TEACHER = ("phase.num_episodes=24", "env.max_steps=7", "bptt=4", "trainer.cpu_threads=1")
"""A teacher for them."""
# Phases with an explorer, as short as they get.
EXPLORER = (
    "phase.num_episodes=16",
    "phase.save_every=4",
    "phase.val_every=16",
    "phase.val_episodes=2",
    "algo.episodes_per_update=4",
    "algo.minibatch_size=8",
    "phase.batch_size=3",
    "env.max_steps=7",
    "policy.exec_horizon=2",
    "env.scene_reset_interval=1",
    "bptt=4",
    "trainer.cpu_threads=1",
)
ADVERSARY = (
    "phase.adversary.surprise=progress",
    "phase.adversary.wm_updates_per_iter=2",
    "phase.adversary.wm_batch_size=2",
    "phase.adversary.buffer_size=6",
    "phase.adversary.random_episodes=4",
    "model.ema=0.8",
)
DEADLINE = 900  # seconds after which a hanging run fails its test


class Launcher:
    """Starts ``python -m f1rl`` with the short preset and a tokenizer cache shared by the session."""

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory, self.cache = directory, cache

    def command(self, *overrides: str, name: str = "train") -> list[str]:
        words = [*SHORT, f"phase.tokenizer.cache_dir={self.cache}", *overrides]
        return [sys.executable, "-m", "f1rl", name, *words]

    def run(self, *overrides: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the short preset to its end and return what was said."""
        return self.plain(*self.command(*overrides)[3:], env=env)

    def plain(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``python -m f1rl`` with nothing but ``words``."""
        return subprocess.run(
            [sys.executable, "-m", "f1rl", *words],
            cwd=self.directory,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def start(self, *overrides: str, command: str = "train") -> subprocess.Popen[str]:
        """Start without waiting; a process group of its own, as a shell gives it."""
        return subprocess.Popen(
            self.command(*overrides, name=command),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for ``condition``; fail if the process ends or takes too long before."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"the run ended with {process.returncode} before its time:\n{process.stdout.read()}")
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("the run did not get there in time")
        time.sleep(0.005)


def lines(path: Path) -> int:
    """Return the number of whole lines of a file that may not exist yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


# What depends on the clock on the wall, on scheduling, or counts the segments themselves.
_VARYING = {
    "timestamp", "wall_time", "env_steps_per_s", "wait_env_share", "inference_share", "update_share",
    "media_share", "segment", "worker", "attempts", "seconds", "health",
}  # fmt: skip


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return the records of a run without what may differ between two equal runs."""
    text = (run / "episode_metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [{k: v for k, v in json.loads(line).items() if k not in _VARYING} for line in text.splitlines()]


def assert_scheduled(run: Path) -> None:
    """The learning rate follows the optimizer steps that were made, and these are as many as were planned."""
    plan = optimizer_plan(from_tree(Config, yaml.safe_load((run / "config.yaml").read_text()), []))
    records = metrics(run)
    assert records[-1]["optimizer_step"] == plan.total_steps
    for record in records:
        assert record["lr"] == pytest.approx(plan.learning_rate * plan.scale(record["optimizer_step"]))


def validations(run: Path) -> list[dict[str, Any]]:
    """Return the held-out evaluations of a run without what may differ between two equal runs."""
    history = json.loads((run / "training_log.json").read_text())["val_history"]
    return [{k: v for k, v in entry.items() if k not in _VARYING} for entry in history]
