"""What the processes of one run note of its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from f1rl.launch.outcome import VARIABLE, Noted, note_outcome, read_outcome


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have this process note into a file that is not there yet."""
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "outcome"))
    return tmp_path / "outcome"


def test_the_first_that_notes_something_is_believed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_outcome(file) is None
    monkeypatch.setenv("SLURM_PROCID", "3")
    note_outcome(5, "the loss is infinite\nmore of it")
    monkeypatch.setenv("SLURM_PROCID", "0")
    note_outcome(4, "another rank is gone")
    assert read_outcome(file) == Noted(5, 3, "the loss is infinite")


def test_processes_started_inside_a_slurm_task_have_their_own_ranks(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("RANK", "1")
    note_outcome(1, "ValueError: a fault")
    assert read_outcome(file) == Noted(1, 1, "ValueError: a fault")


@pytest.mark.parametrize("why", ["", "\ud800 and \x00", "Zoë"])
def test_whatever_an_error_says_can_be_noted(file: Path, why: str) -> None:
    note_outcome(1, why)
    noted = read_outcome(file)
    assert (noted.code, noted.rank) == (1, 0)
    assert noted.why == why.replace("\ud800", "?")


def test_a_full_disk_hides_no_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A child may write no file of any length; what it says and its exit code are what counts then."""
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "from f1rl.cli import main; sys.exit(main(['phase.lr=1']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "phase.lr is not a key of phase" in done.stderr
    assert read_outcome(file) is None
    assert list(file.parent.iterdir()) == []  # another rank may still say why


def test_nobody_may_want_to_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    note_outcome(1, "a fault")
