"""``python -m f1rl sync`` where there is nothing to upload, or nowhere to upload it to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl import cli
from f1rl.tools.sync import waiting_segments, was_moved
from records_support import make_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_with_segments(*names: str, status: str = "done") -> Path:
    run = Path("outputs/mine")
    make_run(run, status=status).close()
    for name in names:
        (run / "wandb" / name).mkdir(parents=True)
        (run / "wandb" / name / "run-1.wandb").write_bytes(b"")
    return run


def test_nothing_to_upload(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sync"]) == 0
    assert capsys.readouterr().out == "nothing to upload in 0 runs\n"
    assert cli.main(["sync", "nowhere"]) == 3
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_segments_wait_in_order_until_they_are_uploaded(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with_segments("offline-run-20260102_000000-1", "offline-run-20260101_000000-1", "run-20260103_000000-1")
    assert [path.name[12:20] for path in waiting_segments(run)] == ["20260101", "20260102"]
    (waiting_segments(run)[0] / "run-1.wandb.synced").touch()
    assert cli.main(["sync", "--dry-run"]) == 0
    assert capsys.readouterr().out == "outputs/mine: 1 to upload (offline-run-20260102_000000-1)\n"


def test_the_segment_that_is_being_written_waits() -> None:
    run = run_with_segments("offline-run-20260101_000000-1", "offline-run-20260102_000000-1", status="training")
    assert [path.name[12:20] for path in waiting_segments(run)] == ["20260101"]


def test_tables_of_a_run_that_was_moved_are_missed() -> None:
    run = run_with_segments("offline-run-20260101_000000-1", "offline-run-20260102_000000-1")
    with_tables, without = waiting_segments(run)
    with_tables.joinpath("run-1.wandb").write_text(f"{run.resolve()}/wandb/data/artifacts/staging/tmp1")
    assert not was_moved(run, with_tables)
    moved = run.rename("elsewhere")
    assert was_moved(moved, moved / "wandb" / with_tables.name)
    assert not was_moved(moved, moved / "wandb" / without.name)


def test_a_server_that_does_not_answer() -> None:
    run_with_segments("offline-run-20260101_000000-1")
    environment = {**os.environ, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "local-" + "0" * 40}
    command = [sys.executable, "-m", "f1rl", "sync"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("f1rl: nothing was uploaded, and nothing is lost: http://127.0.0.1:9 does not answer")
