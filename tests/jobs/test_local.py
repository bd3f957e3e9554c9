"""Jobs on this machine: how many at once, how each ended, and what the summary says."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from f1rl.jobs import local
from f1rl.jobs.job import Job
from f1rl.jobs.local import run_locally
from f1rl.jobs.states import _from_accounts, _from_controller
from f1rl.jobs.summary import line, write_summary

# Stands in for python -m f1rl: notes when it runs, and ends as its configuration says.
PROGRAM = """#!{python}
import json, os, pathlib, sys, time, yaml
config = yaml.safe_load(pathlib.Path(sys.argv[-1].partition("=")[2]).read_text())
run = pathlib.Path(config["output_dir"])
run.mkdir(parents=True)
start = time.monotonic()
time.sleep(0.5)
(run / "span.json").write_text(json.dumps([start, time.monotonic(), os.environ.get("CUDA_VISIBLE_DEVICES")]))
(run / "training_log.json").write_text(json.dumps({{"val_history": [{{"val_loss": 1.5, "episode": 4}}]}}))
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
