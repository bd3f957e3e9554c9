"""Jobs that run out of time, are queued again by hand or are killed go on as if nothing had happened."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e_support import DEADLINE, TWO_RANKS, Launcher, metrics, validations
from slurm_support import (
    accounts,
    ask,
    from_a_terminal,
    interrupt,
    job_ids,
    kill,
    misbehaving,
    short,
    wait_for_end,
    wait_until,
)

TRAINING = (
    "bptt=4", "trainer.cpu_threads=1", "phase.sample_every=100", "phase.video_every=100",
    "launcher.mem_gb=2",
)  # fmt: skip


def _requeue(job: str, process: int) -> None:
    ask("scontrol", "requeue", job)


def _let_time_run_out(job: str, process: int) -> None:
    """Cut the limit, so that the warning comes at the next of SLURM's checks, which are half a minute apart."""
    minutes = int(float(ask("sacct", "-X", "-n", "-P", "-o", "ElapsedRaw", "-j", job)) // 60)
    ask("scontrol", "update", f"jobid={job}", f"timelimit={minutes + 2}")


ARRAY = {"by_hand": _requeue, "killed": kill, "out_of_time": _let_time_run_out, "untouched": None}
"""Tasks with one process each, and what happens to them."""


@pytest.fixture(scope="module")
def jobs(cluster: Path, tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path, finished: Path) -> Path:
    """Run an array and a job of two ranks at the same time, interrupt both; return where they ran.

    Of ``finished`` the tokenizer is used: otherwise every job would train it.
    """
    launcher = Launcher(tmp_path_factory.mktemp("requeue"), tokenizer_cache)
    folder, sweep = launcher.directory, launcher.directory / "sweep"
    env = {**os.environ, **misbehaving(folder)}
    words = [*short(tokenizer_cache, *TRAINING)]
    command = launcher.command()[:3]
    array = [
        f"name={','.join(ARRAY)}",
        "hydra/launcher=f1rl_slurm",
        "hydra.sweep.dir=sweep",
        "hydra.sweep.subdir='${name}'",
    ]
    with (folder / "sweep.txt").open("w") as said:
        waiting = subprocess.Popen([*command, "-m", *words, *array], cwd=folder, env=env, stdout=said, stderr=said)
    words += [*TWO_RANKS, "trainer.devices=1", "trainer.num_nodes=2"]
    parted = [*command, "submit", *words, "name=two_ranks", "output_dir=two_ranks"]
    (job,) = job_ids(from_a_terminal(parted, folder, env))
    # Two ranks on one machine round some sums differently, so this is compared with two machines left alone.
    (whole,) = job_ids(launcher.plain("submit", *words, "name=whole", "output_dir=whole").stdout)
    wait_until(lambda: any((sweep / "jobs").glob("*_submission.sh")), "the array")
    number = next((sweep / "jobs").glob("*_submission.sh")).name.partition("_")[0]
    with ThreadPoolExecutor() as pool:
        interruptions = [
            pool.submit(interrupt, f"{number}_{task}", folder / "notes" / name, 1, *filter(None, [way]))
            for task, (name, way) in enumerate(ARRAY.items())
        ]
        interrupt(job, folder / "notes" / "two_ranks", 2, _requeue, kill, _let_time_run_out)
        for each in interruptions:
            each.result()
    wait_for_end(number, job, whole)
    assert waiting.wait(DEADLINE) == 0, (folder / "sweep.txt").read_text()
    names = (*(f"{number}_{task}" for task in range(len(ARRAY))), job, whole)
    assert accounts(f"{number},{job},{whole}") == dict.fromkeys(names, ("COMPLETED", "0:0"))
    return folder


def about(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["by_hand", "killed", "out_of_time"])
def test_a_task_of_an_array_goes_on_with_equal_metrics(jobs: Path, name: str) -> None:
    run, untouched = jobs / "sweep" / name, jobs / "sweep" / "untouched"
    assert [about(each)["segment"] for each in (run, untouched)] == [1, 0]
    assert metrics(run) == metrics(untouched)
    assert validations(run) == validations(untouched)


@pytest.mark.slow
def test_the_sweep_waits_for_interrupted_tasks_to_complete(jobs: Path) -> None:
    with (jobs / "sweep" / "summary.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {name: row["state"] for name, row in rows.items()} == dict.fromkeys(ARRAY, "COMPLETED")
    assert len({row["val_loss"] for row in rows.values()}) == 1


@pytest.mark.slow
def test_two_ranks_on_two_machines_go_on_with_equal_metrics(jobs: Path) -> None:
    """The job was queued again by hand, then its second rank was killed, then its time ran out.

    It was submitted from a terminal that was closed, with everything in it, as soon as the command had returned.
    """
    parted, whole = jobs / "two_ranks", jobs / "whole"
    assert [about(run)["segment"] for run in (parted, whole)] == [3, 0]
    assert metrics(parted) == metrics(whole)
    assert validations(parted) == validations(whole)


@pytest.mark.slow
def test_the_log_says_that_a_job_was_queued_again(jobs: Path) -> None:
    killed = "f1rl: the job was killed; it is queued again\n"
    made_room = "f1rl: the job made room, with its state saved; it is queued again\n"
    by_task = [log.read_text() for log in sorted((jobs / "sweep" / "jobs").glob("*_0_log.out"))]
    assert [[text.count(killed), text.count(made_room)] for text in by_task] == [[0, 0], [1, 0], [0, 1], [0, 0]]
    (log,) = (jobs / "slurm").glob("*two_ranks*/*_0_log.out")
    assert log.read_text().index(killed) < log.read_text().index(made_room)
