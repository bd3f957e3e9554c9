from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from f1rl.tools.doctor.child import CommandError, ask, output_of


def python(code: str, deadline: float = 60.0) -> str:
    return output_of([sys.executable, "-c", code], deadline)


def is_gone(pid: int) -> bool:
    """Wait for a killed process to end; one that nobody has collected yet counts as ended."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_the_output_comes_back() -> None:
    assert python("print('one'); print('two')") == "one\ntwo"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("import sys; print('first\\nlast', file=sys.stderr); sys.exit(3)", "failed with exit code 3: last"),
        ("raise ValueError('no')", "failed with exit code 1: ValueError: no"),
    ],
)
def test_an_end_in_failure_is_told(code: str, message: str) -> None:
    with pytest.raises(CommandError, match=f"^{message}$"):
        python(code)


def test_what_is_not_there_cannot_be_started() -> None:
    with pytest.raises(CommandError, match=r"cannot be started: .*nonexistent"):
        output_of(["/nonexistent"], 1.0)


def test_a_hang_ends_at_the_deadline_with_everything_it_started(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"gave no answer within 0\.5 s"):
        output_of(["sh", "-c", f"sleep 600 & echo $! >{tmp_path}/pid; wait"], 0.5)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_an_answer_does_not_wait_for_what_is_left_behind() -> None:
    assert is_gone(int(output_of(["sh", "-c", "sleep 600 & echo $!"], 60.0)))


def test_a_probe_without_an_answer_says_why() -> None:
    assert ask("f1rl_envs.sim.probe", "nonesuch", 60.0) == {
        "error": "the process that tried it failed with exit code 1: KeyError: 'nonesuch'"
    }
