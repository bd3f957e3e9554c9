"""The command line of the guides is that of ``python -m f1rl`` in other words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from f1rl.config.compose import compose


def words(repository: Path, tmp_path: Path, *given: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a Python that says what it is asked."""
    echo = tmp_path / "python"
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    echo.chmod(0o755)
    command = ["bash", repository / "launchers" / "train.sh", *given]
    return subprocess.run(command, env={**os.environ, "PYTHON": str(echo)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["teacher"], "phase=teacher rollout.num_workers=1 trainer.devices=1"),
        (
            ["teacher", "4", "2", "--num_episodes", "10000"],
            "phase=teacher rollout.num_workers=2 trainer.devices=4 trainer.strategy=ddp phase.num_episodes=10000",
        ),
        (["teacher", "1", "--auto_resume"], "phase=teacher rollout.num_workers=1 trainer.devices=1 resume=auto"),
        (
            ["student", "1", "1", "--teacher_path", "a/checkpoint-5", "--resume", "b/checkpoint-6", "env=toy"],
            "phase=student rollout.num_workers=1 trainer.devices=1 phase.teacher_path=a/checkpoint-5 "
            "resume=b/checkpoint-6 env=toy",
        ),
    ],
)
def test_the_guides_words(repository: Path, tmp_path: Path, given: list[str], expected: str) -> None:
    done = words(repository, tmp_path, *given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["-m", "f1rl", *expected.split()]
    compose(expected.split())  # a run that is not refused


def test_a_phase_that_trains_in_one_process_gets_the_workers_of_all(repository: Path, tmp_path: Path) -> None:
    done = words(repository, tmp_path, "student", "4", "2", "--teacher_path", "a/checkpoint-5")
    assert done.stdout.split()[2:5] == ["phase=student", "rollout.num_workers=8", "trainer.devices=1"]
    assert "phase=student trains in one process, on one GPU; it gets 8 environment workers" in done.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "the first word must be teacher, student or adversarial"),
        (["trainer"], "got 'trainer'"),
        (["teacher", "0"], "must be at least 1"),
        (["teacher", "1", "1", "--num_episodes"], "--num_episodes needs a value"),
        (["teacher", "1", "1", "1"], "'1' is neither an option nor a word"),
    ],
)
def test_mistakes_are_told(repository: Path, tmp_path: Path, given: list[str], message: str) -> None:
    done = words(repository, tmp_path, *given)
    assert done.returncode == 2
    assert message in done.stderr
