"""Bad input through the command line: one clear error, its exit code, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch

from e2e_support import DEADLINE, Launcher, lines, metrics, wait_until


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path) -> Path:
    """Return the directory of a short finished run, to be copied."""
    launcher = Launcher(tmp_path_factory.mktemp("template"), tokenizer_cache)
    result = launcher.run("output_dir=run", "phase.num_episodes=8", "phase.val_every=8")
    assert result.returncode == 0, result.stdout + result.stderr
    return launcher.directory / "run"


@pytest.fixture
def run(template: Path, launcher: Launcher) -> Path:
    """Return a copy of the finished run that a test may damage."""
    return Path(shutil.copytree(template, launcher.directory / "run"))


def refused(launcher: Launcher, code: int, *overrides: str, env: dict[str, str] | None = None) -> str:
    """Run and return what was said on stderr; it must be an explanation, not a traceback."""
    result = launcher.run(*overrides, env=env)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def snapshot(run: Path) -> dict[str, bytes]:
    """Return every file of a run."""
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phase.learning_rat=0.1", "phase.learning_rate"),
        ("+phase.learning_rat=0.1", "phase.learning_rate"),
        ("phase.num_episodes=many", "phase.num_episodes"),
        ("phase.batch_size=0", "phase.batch_size"),
        ("env=frank", "franka"),
    ],
)
def test_a_wrong_key_type_or_value_is_refused_before_the_run_is_touched(
    launcher: Launcher, run: Path, override: str, message: str
) -> None:
    before = snapshot(run)
    assert message in refused(launcher, 3, "output_dir=run", "resume=auto", override)
    assert snapshot(run) == before


def test_a_directory_with_another_run_is_refused(launcher: Launcher, run: Path) -> None:
    before = snapshot(run)
    assert "overwrite=true" in refused(launcher, 3, "output_dir=run")
    assert snapshot(run) == before


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign", "other model"])
def test_a_checkpoint_that_cannot_be_used_is_refused(launcher: Launcher, run: Path, damage: str) -> None:
    path, code, extra = run / "checkpoint-8", 6, []
    if damage == "missing":
        path = run / "checkpoint-5000"
    elif damage == "truncated":
        data = (path / "model.pt").read_bytes()
        (path / "model.pt").write_bytes(data[: len(data) // 3])
    elif damage == "foreign":
        torch.save({"epoch": 1}, path / "training_state.pt")
    else:
        code, extra = 3, ["model.memory.hidden=64"]
    before = snapshot(run)
    said = refused(launcher, code, "output_dir=run", f"resume={path}", *extra)
    assert path.name in said
    assert snapshot(run) == before


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoints(launcher: Launcher) -> None:
    wild = ("phase.learning_rate=1e30", "phase.warmup_steps=0", "phase.grad_clip=1e30", "phase.lr_schedule=constant")
    said = refused(launcher, 5, "output_dir=wild", *wild)
    assert "phase.learning_rate" in said
    assert "output_dir" in said
    assert '"status": "failed"' in (launcher.directory / "wild" / "run.json").read_text()


@pytest.mark.sim
@pytest.mark.parametrize("variable", ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"])
def test_no_vulkan_driver_is_one_clear_error(launcher: Launcher, variable: str) -> None:
    said = refused(launcher, 4, "env=franka", "output_dir=none", env={variable: "/nowhere/icd.json"})
    assert "mesa-vulkan-drivers" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root to be mounted")
def test_a_full_disk_ends_the_run_and_leaves_whole_files(launcher: Launcher) -> None:
    small = launcher.directory / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "none", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let root mount a tmpfs: {mounted.stderr.decode().strip()}")
    try:
        # A checkpoint of some megabytes every second episode fills the disk soon.
        said = refused(launcher, 4, "output_dir=small/run", "phase.save_every=2", "phase.keep_checkpoints=100")
        assert "resume=auto" in said
        run = small / "run"
        assert (run / "episode_metrics.jsonl").read_bytes().endswith(b"}\n")
        checkpoints = list(run.glob("checkpoint-*"))
        assert checkpoints
        for path in checkpoints:
            torch.load(path / "training_state.pt", weights_only=True)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_killed_worker_is_replaced_and_the_run_goes_on(launcher: Launcher) -> None:
    whole = launcher.run("output_dir=whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    process = launcher.start("output_dir=hurt")
    records = launcher.directory / "hurt" / "episode_metrics.jsonl"
    for after in (4, 10):
        wait_until(lambda after=after: lines(records) >= after, process)
        for worker in psutil.Process(process.pid).children():
            os.kill(worker.pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said
    assert metrics(launcher.directory / "hurt") == metrics(launcher.directory / "whole")


def test_a_worker_that_dies_twenty_times_ends_the_run_with_its_log(launcher: Launcher) -> None:
    process = launcher.start("output_dir=doomed", "phase.num_episodes=100000")
    deadline = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        for worker in psutil.Process(process.pid).children():
            os.kill(worker.pid, signal.SIGKILL)
        time.sleep(0.02)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4, said
    assert "Traceback" not in said
    assert "SIGKILL" in said
    assert "max_restarts" in said
