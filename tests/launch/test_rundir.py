"""The run directory: refused, resumed, replaced, never lost by accident."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from f1rl.checkpoint import Checkpoint, save_checkpoint
from f1rl.errors import CheckpointError, ConfigError, EnvironmentFailure
from f1rl.launch.rundir import RunDirectory, go_on_if_requeued
from f1rl.launch.rundir import open_run as open_and_hold


def _config(path: Path, **changes: Any) -> dict[str, Any]:
    config = {"output_dir": str(path), "resume": None, "overwrite": False, "name": "n", "seed": 0, "tags": []}
    config |= {"phase": {"name": "teacher", "num_episodes": 10, "learning_rate": 1e-3}, "env": {"id": "toy"}}
    return deepcopy(config) | changes


def open_run(config: dict[str, Any]) -> RunDirectory:
    """Open a run and let go of it, as a process does that ends."""
    directory = open_and_hold(config)
    directory.lock.close()
    return directory


def _save(path: Path, config: dict[str, Any]) -> None:
    clocks = {"episode": int(path.name.rpartition("-")[2])}
    save_checkpoint(path, Checkpoint({}, {"config": config, "clocks": clocks}, {}))


def test_a_second_run_does_not_touch_the_first(tmp_path: Path) -> None:
    open_run(_config(tmp_path / "run"))
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ConfigError, match=r"resume=auto(.|\n)*overwrite=true(.|\n)*output_dir"):
        open_run(_config(tmp_path / "run"))
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_overwrite_replaces_a_run_but_nothing_else(tmp_path: Path) -> None:
    first = open_run(_config(tmp_path / "run")).file.data["id"]
    assert open_run(_config(tmp_path / "run", overwrite=True)).file.data["id"] != first
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds no run"):
        open_run(_config(tmp_path / "thesis", overwrite=True))
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_resume_goes_on_in_the_same_run_from_the_newest_checkpoint(tmp_path: Path) -> None:
    config = _config(tmp_path / "run")
    first = open_run(config)
    for episode in (9, 10):
        _save(tmp_path / "run" / f"checkpoint-{episode}", config)
    second = open_run(config | {"resume": "auto"})
    assert second.file.data["id"] == first.file.data["id"]
    assert (first.segment, second.segment) == (0, 1)
    assert second.file.data["resumed_from"].endswith("checkpoint-10")
    named = open_run(config | {"resume": str(tmp_path / "run" / "checkpoint-9")})
    assert named.file.data["resumed_from"].endswith("checkpoint-9")


def test_resume_auto_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    assert open_run(_config(tmp_path / "run", resume="auto")).checkpoint is None
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "starting"


def test_a_changed_configuration_is_shown_and_refused(tmp_path: Path) -> None:
    config = _config(tmp_path / "run")
    open_run(config)
    _save(tmp_path / "run" / "checkpoint-10", config)
    changed = config | {"resume": "auto", "seed": 1, "phase": {**config["phase"], "learning_rate": 1e-4}}
    with pytest.raises(ConfigError, match=r"phase\.learning_rate: 0\.001 in the checkpoint, 0\.0001 now\n  seed: 0"):
        open_run(changed)
    longer = config | {"resume": "auto", "phase": {**config["phase"], "num_episodes": 20}}
    assert open_run(longer).checkpoint is not None


def test_a_missing_checkpoint_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    open_run(_config(tmp_path / "run"))
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        open_run(_config(tmp_path / "run", resume=str(tmp_path / "run" / "checkpoint-7")))
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*run"):
        open_run(_config(tmp_path / "file" / "run"))


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    holder = open_and_hold(_config(tmp_path / "run"))
    for changes in ({"resume": "auto"}, {"overwrite": True}):
        with pytest.raises(ConfigError, match="still running"):
            open_and_hold(_config(tmp_path / "run", **changes))
    assert (tmp_path / "run" / "run.json").exists()
    holder.lock.close()


def test_going_back_sets_the_later_checkpoints_aside(tmp_path: Path) -> None:
    config = _config(tmp_path / "run")
    open_run(config)
    for episode in (4, 8, 12):
        _save(tmp_path / "run" / f"checkpoint-{episode}", config)
    open_run(config | {"resume": str(tmp_path / "run" / "checkpoint-4")})
    names = {p.name for p in (tmp_path / "run").glob("*checkpoint-*")}
    assert names == {"checkpoint-4", "superseded-1-checkpoint-8", "superseded-1-checkpoint-12"}


def test_another_runs_checkpoint_does_not_touch_the_run_in_output_dir(tmp_path: Path) -> None:
    for name in ("a", "b"):
        open_run(_config(tmp_path / name))
    config = _config(tmp_path / "a")
    _save(tmp_path / "a" / "checkpoint-4", config)
    before = (tmp_path / "b" / "run.json").read_bytes()
    with pytest.raises(ConfigError, match="holds run"):
        open_run(_config(tmp_path / "b", resume=str(tmp_path / "a" / "checkpoint-4")))
    assert (tmp_path / "b" / "run.json").read_bytes() == before
    fork = open_run(_config(tmp_path / "c", resume=str(tmp_path / "a" / "checkpoint-4")))
    assert fork.file.data["parents"] == [str(tmp_path / "a" / "checkpoint-4")]


def test_a_job_that_slurm_started_again_goes_on_with_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    config = _config(tmp_path / "run", overwrite=True)
    assert go_on_if_requeued(config) == config
    open_run(config)
    assert go_on_if_requeued(config) == config  # not started again: another run of the same job
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert go_on_if_requeued(config) == config | {"resume": "auto", "overwrite": False}
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert go_on_if_requeued(config) == config  # another job's run is refused, or deleted, as the command line says


def test_a_fork_that_was_started_again_before_it_saved_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    parent = _config(tmp_path / "a")
    _save(tmp_path / "a" / "checkpoint-4", parent)
    fork = _config(tmp_path / "b", resume=str(tmp_path / "a" / "checkpoint-4"))
    open_run(fork)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert open_run(go_on_if_requeued(fork)).file.data["parents"] == [str(tmp_path / "a" / "checkpoint-4")]
    _save(tmp_path / "b" / "checkpoint-8", fork)
    assert go_on_if_requeued(fork)["resume"] == "auto"
