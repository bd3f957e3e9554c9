"""Whatever is wrong with W&B costs a warning and seconds, and is recorded; real processes, wandb's own reader."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl.records.run_file import RunFile
from f1rl.views import wandb_process
from f1rl.views.wandb_follower import identity
from f1rl.views.wandb_process import WandbProcess
from records_support import make_run
from wandb_support import rows, segments, wandb_server

NOBODY = "http://127.0.0.1:9"  # a port on which nothing listens


def run_of(directory: Path, mode: str) -> RunFile:
    """Write the directory of a run that has just ended."""
    make_run(directory, segment=0, tags=["mine"], status="done").close()
    with (directory / "config.yaml").open("a") as file:
        file.write(f'logger:\n  wandb: {{mode: "{mode}", project: f1rl, entity: null, group: null}}\n')
    return RunFile(directory / "run.json")


def show(directory: Path, mode: str) -> list[dict[str, str]]:
    """Show a run from its start to its end and return the fallbacks."""
    file = run_of(directory, mode)
    view = WandbProcess(directory, file)
    view.start()
    view.close()
    return RunFile(directory / "run.json").data.get("fallbacks", [])


@pytest.fixture
def _hidden_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 'raise ModuleNotFoundError("No module named \'wandb\'", name="wandb")')


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "wandb.py").write_text(source)
    path = os.pathsep.join([str(tmp_path / "packages"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.usefixtures("_hidden_package")
def test_a_missing_package(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (fallback,) = show(tmp_path / "run", "offline")
    assert fallback["what"] == "wandb"
    assert "pip install -e '.[wandb]'" in fallback["reason"]
    assert len(caplog.records) == 1


def test_without_w_and_b_there_is_no_process(tmp_path: Path) -> None:
    view = WandbProcess(tmp_path, run_of(tmp_path / "run", "off"))
    view.check()
    view.close()
    assert not (tmp_path / "run" / "wandb").exists()


def test_the_training_process_never_loads_it() -> None:
    code = "import sys, f1rl.launch.training; sys.exit(bool({'wandb', 'wandb_workspaces'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", NOBODY)
    monkeypatch.setenv("WANDB_API_KEY", "local-" + "0" * 40)
    (fallback,) = show(tmp_path / "run", "auto")
    assert fallback["reason"].startswith(f"offline, because {NOBODY} does not answer")
    (segment,) = segments(tmp_path / "run")
    assert [row["episode"] for row in rows(segment)] == list(range(1, 11))


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import time\ntime.sleep(1000)")
    monkeypatch.setattr(wandb_process, "LAST_SECONDS", 0.1)
    (fallback,) = show(tmp_path / "run", "offline")
    assert fallback["reason"].startswith("stopped after 0.1 s")


def test_a_process_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    (fallback,) = show(tmp_path / "run", "offline")
    assert "ended with code -9" in fallback["reason"]


def test_a_server_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wandb_server() as uploads:
        for name, value in uploads.environment().items():
            monkeypatch.setenv(name, value)
        assert show(tmp_path / "run", "auto") == []
    assert [row["episode"] for row in uploads.history] == list(range(1, 11))
    assert segments(tmp_path / "run") == []


def test_jobs_of_a_sweep_are_a_group(tmp_path: Path) -> None:
    run_of(tmp_path / "sweep" / "0_seed=1", "offline")
    assert identity(tmp_path / "sweep" / "0_seed=1")["group"] is None
    (tmp_path / "sweep" / "multirun.yaml").touch()
    told = identity(tmp_path / "sweep" / "0_seed=1")
    assert (told["group"], told["job_type"], told["id"]) == ("sweep", "teacher", "0_seed=1")
    assert told["tags"] == ["mine", "phase:teacher", "env:toy", "seed:0"]
