"""Two training processes keep one model, one run directory and one set of records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from e2e_support import DEADLINE, TWO_RANKS, Launcher, assert_scheduled, lines, metrics, validations, wait_until

FAIL_ON_SECOND = """
import os
if os.environ.get("RANK") == "1":
    from f1rl.errors import DivergedError
    import f1rl.launch.run as run
    def fail(cfg):
        from f1rl.launch import training
        def diverge(*arguments):
            raise DivergedError("the second rank is ill")
        training._fit = diverge
        return train(cfg)
    train, run.run = run.run, fail
"""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def test_two_ranks_hold_equal_weights(two_ranks: Path) -> None:
    first, second = (weights(two_ranks / "weights" / rank) for rank in ("0", "1"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    saved = weights(two_ranks / "whole" / "checkpoint-24" / "model.pt")
    assert all(torch.equal(saved[key], first[key]) for key in first)


def test_the_records_are_those_of_all_ranks(two_ranks: Path) -> None:
    run = two_ranks / "whole"
    records = [json.loads(line) for line in (run / "episode_metrics.jsonl").read_text().splitlines()]
    assert [r["episode"] for r in records] == list(range(1, 25))
    assert [r["rank"] for r in records] == [0, 1] * 12
    assert records[-1]["total_steps"] == 24 * 13
    assert_scheduled(run)
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert [entry["episode"] for entry in validations(run)] == [8, 16, 24]
    # Cadences count the episodes of all ranks; even numbers are the second rank's.
    assert sorted(p.name[8:12] for p in (run / "samples").iterdir()) == ["0008", "0016", "0024"]
    assert [p.name for p in (run / "videos").iterdir()] == ["episode_0016.mp4"]
    assert list((run / "logs" / "rank1").glob("rl_training_*.log"))
    statistics = torch.load(run / "checkpoint-24" / "training_state.pt", weights_only=True)["module"]["baselines"]
    assert len(statistics["kept"]) == 24


def test_two_ranks_stop_together_and_go_on_as_if_nothing_had_happened(two_ranks: Path, launcher: Launcher) -> None:
    process = launcher.start("output_dir=parted", *TWO_RANKS)
    records = launcher.directory / "parted" / "episode_metrics.jsonl"
    wait_until(lambda: lines(records) >= 10, process)
    os.kill(process.pid, signal.SIGUSR2)  # as a scheduler warns of the end of the time
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 75, said
    assert "stopped by SIGUSR2 after episode" in said
    assert json.loads((launcher.directory / "parted" / "run.json").read_text())["status"] == "preempted"

    resumed = launcher.run("output_dir=parted", *TWO_RANKS, "resume=auto")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert metrics(launcher.directory / "parted") == metrics(two_ranks / "whole")
    assert validations(launcher.directory / "parted") == validations(two_ranks / "whole")
    ends = [weights(run / "checkpoint-24" / "model.pt") for run in (two_ranks / "whole", launcher.directory / "parted")]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])

    alone = launcher.run("output_dir=parted", "bptt=4", "resume=auto")
    assert alone.returncode == 3
    assert "trainer.devices: 2 in the checkpoint, 1 now" in alone.stderr


def test_the_guides_command_line_trains_with_two_processes(launcher: Launcher, repository: Path) -> None:
    """Also where the last round of episodes is not full: five episodes for two streams in each process."""
    words = [*launcher.command(*TWO_RANKS)[4:], "output_dir=guides", "logger=none", "phase.val_every=100"]
    command = ["bash", repository / "launchers" / "train.sh", "teacher", "2", "1", *words, "--num_episodes", "10"]
    env = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=launcher.directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    records = (launcher.directory / "guides" / "episode_metrics.jsonl").read_text().splitlines()
    assert [json.loads(record)["episode"] for record in records] == list(range(1, 11))


def test_the_rank_that_fails_decides_the_exit_code(launcher: Launcher) -> None:
    (launcher.directory / "sitecustomize.py").write_text(FAIL_ON_SECOND)
    path = f"{launcher.directory}:{os.environ.get('PYTHONPATH', '')}"
    result = launcher.run("output_dir=broken", *TWO_RANKS, env={"PYTHONPATH": path})
    assert result.returncode == 5, result.stdout + result.stderr
    assert "f1rl: the second rank is ill" in result.stderr
    assert "rank 0 cannot go on, because another of the 2 training processes has ended" in result.stderr
    assert json.loads((launcher.directory / "broken" / "run.json").read_text())["status"] == "failed"
