"""A run is going on only if its process is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl.records.process import this_process
from f1rl.records.status import age, run_status


def training(tmp_path: Path, /, **changes: object) -> dict:
    return {"status": "training", "updated": 1000.0, "process": {**this_process(tmp_path), **changes}}


def test_a_living_process_is_going_on(tmp_path: Path) -> None:
    status = run_status(training(tmp_path), tmp_path, 1200.0)
    assert (status.name, status.last_seen, status.is_going_on) == ("training", 1200.0, True)


def test_a_killed_process_is_dead_even_before_its_parent_notices(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from f1rl.records.process import this_process; import json\n"
    code += "print(json.dumps(this_process(Path(sys.argv[1]))), flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    info = {"status": "training", "updated": 1000.0, "process": json.loads(child.stdout.readline())}
    assert run_status(info, tmp_path, None).is_going_on
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie until it is waited for
    zombie = run_status(info, tmp_path, None, now=1090.0)
    child.communicate()
    gone = run_status(info, tmp_path, None, now=1090.0)
    assert zombie == gone
    assert str(gone) == "dead (its process is gone without a word, last seen 90 s ago)"
    assert not gone.may_go_on


def test_a_number_that_another_process_has_by_now_does_not_count(tmp_path: Path) -> None:
    assert run_status(training(tmp_path, started=1.0), tmp_path, None).name == "dead"


@pytest.mark.parametrize("changes", [{"host": "node7"}, {"directory": "/the/original"}])
def test_what_cannot_be_seen_from_here_is_unknown(tmp_path: Path, changes: dict) -> None:
    status = run_status(training(tmp_path, **changes), tmp_path, None, now=1000.0 + 7200)
    assert (status.name, status.is_going_on, status.may_go_on) == ("unknown", False, True)
    assert status.detail.endswith("last seen 2.0 h ago")


def test_a_run_without_the_name_of_its_process_is_unknown(tmp_path: Path) -> None:
    assert (
        str(run_status({"status": "starting"}, tmp_path, None)) == "unknown (was starting on another host, never seen)"
    )


def test_an_end_that_was_written_down_is_believed(tmp_path: Path) -> None:
    info = {"status": "failed", "error": "DivergedError: nan\nmore", "updated": 5.0}
    assert str(run_status(info, tmp_path, 3.0)) == "failed (DivergedError: nan)"
    assert run_status({}, tmp_path, None).name == "log"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (35, "35 s"), (720, "12 min"), (3 * 3600 + 1800, "3.5 h"), (30 * 3600, "30 h"), (4 * 86400, "4 d")],
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert age(seconds) == text
