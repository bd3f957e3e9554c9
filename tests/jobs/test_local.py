"""Jobs on this machine: how many at once, how each ended, and what the summary says."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl.jobs import local
from f1rl.jobs.job import Job
from f1rl.jobs.local import run_locally
from f1rl.jobs.states import _from_accounts, _from_controller, ask
from f1rl.jobs.summary import line, write_summary
from processes import wait_for

PYTHON = sys.executable
# Stands in for python -m f1rl: notes when it runs, and ends as its configuration says.
PROGRAM = """#!{python}
import json, os, pathlib, sys, time, yaml
config = yaml.safe_load(pathlib.Path(sys.argv[-1].partition("=")[2]).read_text())
run = pathlib.Path(config["output_dir"])
run.mkdir(parents=True)
start = time.monotonic()
time.sleep(0.5)
(run / "span.json").write_text(json.dumps([start, time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES")]))
last = {{"val_loss": 1.5, "episode": 4, "val_accuracy": None}}
(run / "training_log.json").write_text(json.dumps({{"val_history": [last]}}))
if config["code"]:
    pathlib.Path(os.environ["F1RL_OUTCOME"]).write_text(f"{{config['code']}} 0\\nit went wrong\\n")
sys.exit(config["code"])
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the place of Python."""
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(program))


def jobs(folder: Path, *codes: int) -> list[Job]:
    return [
        Job(f"{number}_code={code}", {"output_dir": str(folder / f"{number}"), "code": code}, {"code": str(code)})
        for number, code in enumerate(codes)
    ]


@pytest.mark.parametrize("at_once", [1, 2])
def test_no_more_run_at_once_than_allowed(
    python: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    outcomes = list(run_locally(jobs(tmp_path, 0, 0, 0, 0), at_once, tmp_path / "jobs"))
    assert [outcome.state for outcome in outcomes] == ["COMPLETED"] * 4
    spans = [json.loads((tmp_path / str(number) / "span.json").read_text()) for number in range(4)]
    assert max(sum(start <= moment < end for start, end, _ in spans) for moment, *_ in spans) == at_once
    assert {devices for *_, devices in spans} == ({"4,5,6,7"} if at_once == 1 else {"4,5", "6,7"})


def test_each_job_is_told_as_it_ended(python: None, tmp_path: Path) -> None:
    outcomes = list(run_locally(jobs(tmp_path, 0, 3), 2, tmp_path / "jobs"))
    write_summary(tmp_path, outcomes)
    with (tmp_path / "summary.csv").open() as file:
        rows = {row["job"]: row for row in csv.DictReader(file)}
    assert rows["0_code=0"]["val_loss"] == "1.5"
    assert rows["0_code=0"]["val_accuracy"] == ""  # JSON has null for what is not a number
    assert rows["0_code=0"]["run_dir"] == "0"
    failed = rows["1_code=3"]
    assert [failed[key] for key in ("code", "state", "exit_code", "reason")] == ["3", "FAILED", "3", "it went wrong"]
    assert "1 of 2 jobs completed" in (tmp_path / "summary.html").read_text()
    said = {outcome.job.name: line(outcome) for outcome in outcomes}
    assert said["1_code=3"].startswith("1_code=3  FAILED (exit code 3)  held-out loss 1.5000")
    assert said["1_code=3"].endswith(f"it went wrong  log: {tmp_path / 'jobs' / '1_code=3.log'}")


@pytest.mark.parametrize(("code", "state"), [(130, "CANCELLED"), (75, "PREEMPTED")])
def test_no_further_job_is_started_after_one_was_told_to_stop(
    python: None, tmp_path: Path, code: int, state: str
) -> None:
    outcomes = list(run_locally(jobs(tmp_path, code, 0, 0), 1, tmp_path / "jobs"))
    assert [outcome.state for outcome in outcomes] == [state]


def test_slurms_answers_are_read() -> None:
    name, state = _from_accounts("12_3|CANCELLED by 0|0:15|61")
    assert (name, state.state, state.exit_code, state.seconds) == ("12_3", "CANCELLED", 143, 61.0)
    shown = "JobId=14 ArrayJobId=12 ArrayTaskId=3 JobName=x JobState=FAILED RunTime=1-00:01:02 ExitCode=3:0"
    name, state = _from_controller(shown)
    assert (name, state.state, state.exit_code, state.seconds) == ("12_3", "FAILED", 3, 86462.0)
    assert state.has_ended
    assert not _from_accounts("12_[0-3%2]|PENDING|0:0|0")[1].has_ended


@pytest.mark.parametrize("there_are_accounts", [True, False])
def test_tasks_that_never_started_are_shown_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there_are_accounts: bool
) -> None:
    answers = {
        "sacct": r"12_0|COMPLETED|0:0|61\n12_[1-2,4%%1]|CANCELLED by 0|0:0|0\n",
        "scontrol": r"JobId=13 ArrayJobId=12 ArrayTaskId=0 JobState=COMPLETED ExitCode=0:0\n"
        r"JobId=12 ArrayJobId=12 ArrayTaskId=1-2,4%%1 JobState=CANCELLED ExitCode=0:0\n",
    }
    for program, answer in answers.items():
        code = 0 if program == "scontrol" or there_are_accounts else 1
        (tmp_path / program).write_text(f"#!/bin/sh\nprintf '{answer}'\nexit {code}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    states = ask([f"12_{task}" for task in range(5)])
    assert {name: state.state for name, state in states.items()} == {
        "12_0": "COMPLETED", "12_1": "CANCELLED", "12_2": "CANCELLED", "12_4": "CANCELLED",
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_ends_a_sweep_whose_jobs_cannot_hear_it_yet(python: None, tmp_path: Path, number: int) -> None:
    """The stand-in handles no signal, as a program that is still importing."""
    program = (
        "import signal, sys; from pathlib import Path; from f1rl.jobs import local; from f1rl.jobs.job import Job\n"
        f"local.sys.executable = {str(tmp_path / 'program')!r}\n"
        f"jobs = [Job(str(n), {{'output_dir': '{tmp_path}/' + str(n), 'code': 0}}) for n in range(3)]\n"
        "try:\n"
        "    for outcome in local.run_locally(jobs, 1, Path('jobs')):\n"
        "        print(outcome.job.name, outcome.exit_code, flush=True)\n"
        "except Exception as error: sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    sweep = subprocess.Popen(
        [PYTHON, "-c", program], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for((tmp_path / "0").exists)
    sweep.send_signal(number)
    said, errors = sweep.communicate(timeout=60)
    kind = "Preempted" if number == signal.SIGUSR2 else "Interrupted"
    assert errors.startswith(f"{kind}: stopped by {signal.Signals(number).name} during the sweep"), errors
    assert said.split()[0] == "0"
    assert len(said.splitlines()) == 1  # the others were not begun
    assert not (tmp_path / "1").exists()
