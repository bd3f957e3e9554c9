"""Jobs that run out of time, are queued again by hand or are killed go on as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from e2e_support import Launcher, lines, metrics, validations
from slurm_support import accounts, ask, job_ids, misbehaving, short, wait_for_end, wait_until

RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1", "bptt=4")
CASES = {
    "requeued_by_hand": (),
    "killed": (),
    "time_one_rank": (),
    "time_two_ranks": (*RANKS, "trainer.devices=1", "trainer.num_nodes=2"),
    "whole_two_ranks": (*RANKS, "trainer.devices=1", "trainer.num_nodes=2"),
}
WHOLE = ("whole_two_ranks",)  # what the others are compared with: ranks on one machine may round their sums differently


def _requeue(job: str, run: Path) -> None:
    ask("scontrol", "requeue", job)


def _kill(job: str, run: Path) -> None:
    ask("kill", "-9", str(json.loads((run / "run.json").read_text())["process"]["pid"]))


def _let_time_run_out(job: str, run: Path) -> None:
    """Cut the limit, so that the warning comes at the next of SLURM's checks, which are half a minute apart."""
    minutes = int(float(ask("sacct", "-X", "-n", "-P", "-o", "ElapsedRaw", "-j", job)) // 60)
    ask("scontrol", "update", f"jobid={job}", f"timelimit={minutes + 2}")


@pytest.fixture(scope="module")
def jobs(cluster: Path, tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path, finished: Path) -> Launcher:
    """Submit all jobs at once, interrupt them in the middle, and wait for their ends; return where they ran."""
    launcher = Launcher(tmp_path_factory.mktemp("requeue"), tokenizer_cache)
    held = misbehaving(launcher.directory, "held")
    ids = {}
    for name, overrides in CASES.items():
        env = None if name in WHOLE else held
        said = launcher.plain("submit", *short(tokenizer_cache, f"output_dir={name}", *overrides), env=env)
        assert said.returncode == 0, said.stderr
        (ids[name],) = job_ids(said.stdout)
    interrupt = {"requeued_by_hand": _requeue, "killed": _kill}
    interrupted = {name: job for name, job in ids.items() if name not in WHOLE}
    for name, job in interrupted.items():
        records = launcher.directory / name / "episode_metrics.jsonl"
        wait_until(lambda: lines(records) >= 8, "records")  # noqa: B023  # called at once
        interrupt.get(name, _let_time_run_out)(job, records.parent)
    for job in interrupted.values():
        wait_until(lambda: "Restarts=0" not in ask("scontrol", "show", "job", job), "a new start")  # noqa: B023
        longer = ["scontrol", "update", f"jobid={job}", "timelimit=15"]
        subprocess.run(longer, check=False, capture_output=True)  # refused if the job has completed by now
    wait_for_end(*ids.values())
    assert {name: accounts(job) for name, job in ids.items()} == {
        name: {job: ("COMPLETED", "0:0")} for name, job in ids.items()
    }
    return launcher


@pytest.mark.slow
@pytest.mark.parametrize("name", ["time_one_rank", "requeued_by_hand", "killed"])
def test_a_job_goes_on_with_equal_metrics(jobs: Launcher, finished: Path, name: str) -> None:
    run = jobs.directory / name
    assert json.loads((run / "run.json").read_text())["segment"] >= 1
    assert metrics(run) == metrics(finished)
    assert validations(run) == validations(finished)


@pytest.mark.slow
def test_two_ranks_on_two_machines_go_on_with_equal_metrics(jobs: Launcher) -> None:
    parted, whole = jobs.directory / "time_two_ranks", jobs.directory / "whole_two_ranks"
    assert [json.loads((run / "run.json").read_text())["segment"] for run in (parted, whole)] == [1, 0]
    assert metrics(parted) == metrics(whole)
    assert validations(parted) == validations(whole)


@pytest.mark.slow
def test_the_log_says_that_a_job_was_queued_again(jobs: Launcher) -> None:
    said = [log.read_text() for log in sorted((jobs.directory / "slurm").glob("*/*_0_log.out"))]
    by_hand, killed, *out_of_time, whole = said
    assert all("it is queued again" not in text for text in (by_hand, whole))
    assert "f1rl: the job was killed; it is queued again" in killed
    assert all("f1rl: the job made room, with its state saved; it is queued again" in text for text in out_of_time)
