"""Runs that are killed or interrupted go on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from e2e_support import DEADLINE, Launcher, assert_scheduled, lines, metrics, validations, wait_until

SIMULATOR = (
    "env=franka",
    "env.scene_reset_interval=1",
    "phase.num_episodes=8",
    "phase.save_every=4",
    "phase.val_every=4",
    "phase.val_episodes=2",
)


def assert_same(first: Path, second: Path) -> None:
    """The records, the evaluations and the final weights of two runs are equal, bit for bit."""
    assert metrics(first) == metrics(second)
    assert validations(first) == validations(second)
    newest = [max(run.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1])) for run in (first, second)]
    a, b = (torch.load(path / "model.pt", weights_only=True) for path in newest)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def killed(launcher: Launcher, output: str, after: int, *overrides: str) -> None:
    """Start a run and SIGKILL it, and nothing else, once ``after`` episodes are recorded."""
    process = launcher.start(f"output_dir={output}", *overrides)
    records = launcher.directory / output / "episode_metrics.jsonl"
    wait_until(lambda: lines(records) >= after, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("after", "bptt", "accumulate"), [(3, "8", 3), (13, "off", 1)])
def test_a_killed_run_continues_with_equal_metrics(launcher: Launcher, after: int, bptt: str, accumulate: int) -> None:
    settings = (f"bptt={bptt}", f"phase.accumulate_grad_batches={accumulate}")
    whole = launcher.run("output_dir=whole", *settings)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert_scheduled(launcher.directory / "whole")
    killed(launcher, "parted", after, *settings)
    with (launcher.directory / "parted" / "episode_metrics.jsonl").open("a") as file:
        file.write('{"episode": 99, "avg_lo')  # what a kill inside a write leaves

    resumed = launcher.run("output_dir=parted", *settings, "resume=auto")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert_same(launcher.directory / "whole", launcher.directory / "parted")
    segments = [
        json.loads(line)["segment"]
        for line in (launcher.directory / "parted" / "episode_metrics.jsonl").read_text().splitlines()
    ]
    if after > 8:  # the first checkpoint is there
        before = segments.count(0)  # whole updates are saved: with gathered gradients a little after the eighth episode
        assert before == 8 if accumulate == 1 else 8 <= before < 14
        assert segments == [0] * before + [1] * (24 - before)


@pytest.mark.sim
def test_a_killed_run_on_the_simulator_continues_with_equal_metrics(launcher: Launcher) -> None:
    whole = launcher.run("output_dir=whole", *SIMULATOR)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    killed(launcher, "parted", 5, *SIMULATOR)
    resumed = launcher.run("output_dir=parted", *SIMULATOR, "resume=auto")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert_same(launcher.directory / "whole", launcher.directory / "parted")


@pytest.mark.parametrize(("signal_number", "accumulate"), [(signal.SIGINT, 1), (signal.SIGTERM, 3)])
def test_a_signal_saves_in_the_middle_of_an_episode_and_exits_with_130(
    launcher: Launcher, signal_number: signal.Signals, accumulate: int
) -> None:
    settings = ("bptt=4", f"phase.accumulate_grad_batches={accumulate}")
    whole = launcher.run("output_dir=whole", *settings)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    process = launcher.start("output_dir=parted", *settings)
    records = launcher.directory / "parted" / "episode_metrics.jsonl"
    wait_until(lambda: lines(records) >= 10, process)
    os.killpg(process.pid, signal_number)  # as a terminal does: the workers get it too
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, said
    assert f"stopped by {signal_number.name}" in said
    assert "resume=auto" in said
    assert json.loads((launcher.directory / "parted" / "run.json").read_text())["status"] == "interrupted"

    resumed = launcher.run("output_dir=parted", *settings, "resume=auto")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert_same(launcher.directory / "whole", launcher.directory / "parted")


def test_a_signal_before_training_leaves_quietly(launcher: Launcher) -> None:
    process = launcher.start("output_dir=early", "phase.tokenizer.steps=100000", "seed=3")
    wait_until(lambda: (launcher.directory / "early" / "config.yaml").exists(), process)
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_a_finished_run_can_be_made_longer(launcher: Launcher) -> None:
    constant = ("bptt=8", "phase.lr_schedule=constant")
    whole = launcher.run("output_dir=whole", *constant)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    for episodes in (15, 15, 24):  # to its end, once more with nothing left to do, and longer
        result = launcher.run("output_dir=longer", *constant, f"phase.num_episodes={episodes}", "resume=auto")
        assert result.returncode == 0, result.stdout + result.stderr
    records = metrics(launcher.directory / "longer")
    assert [record["episode"] for record in records] == list(range(1, 25))
    assert [r["seed"] for r in records] == [r["seed"] for r in metrics(launcher.directory / "whole")]
