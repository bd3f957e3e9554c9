"""A run directory as its views read it: going on, ended, killed, copied, damaged, or of another program."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from f1rl.errors import ConfigError
from f1rl.records.files import write_json
from f1rl.records.jsonl import JsonlWriter
from f1rl.records.process import this_process
from f1rl.records.reader import RunRecords, find_runs
from records_support import add_media, episode, make_run


def test_a_run_that_is_going_on_is_followed(tmp_path: Path) -> None:
    with make_run(tmp_path / "run") as writer:
        add_media(tmp_path / "run")
        run = RunRecords(tmp_path / "run")
        assert (run.name, run.phase, run.status().name) == ("mine", "teacher", "training")
        assert run.config["phase"]["learning_rate"] == 3e-4
        assert len(run.train) == 10
        assert run.val.column("val_loss").tolist() == [4.5, 4.0]
        assert Path(run.best["path"]).name == "checkpoint-10"
        assert [path.name for path in run.checkpoints()] == ["checkpoint-5", "checkpoint-10"]
        assert [path.name for path in run.videos()] == ["episode_0010.mp4"]
        assert [path.name for path in run.samples()] == ["episode_0010_pred_vs_gt.png"]
        progress = run.progress()
        assert (progress.done, progress.total, progress.share) == (10, 40, 0.25)
        assert progress.seconds_left == 60.0
        assert not run.refresh()
        writer.write(episode(11))
        assert run.refresh()
        assert run.train.last["episode"] == 11
        assert run.problems == []


def test_a_resumed_run_replaces_what_it_cut_off(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    run = RunRecords(tmp_path / "run")
    path = tmp_path / "run" / "episode_metrics.jsonl"
    keep = len(b"".join(path.read_bytes().splitlines(keepends=True)[:8]))
    with JsonlWriter(path, keep_bytes=keep) as writer:
        for number in range(9, 31):
            writer.write(episode(number, segment=1))
    assert run.refresh()
    assert run.train.column("episode").tolist() == list(range(1, 31))


def test_the_time_left_is_that_of_this_segment(tmp_path: Path) -> None:
    with make_run(tmp_path / "run") as writer:
        writer.write(episode(11, segment=1, timestamp=9000.0, wall_time=1.0))
        assert RunRecords(tmp_path / "run").progress().seconds_left is None
        writer.write(episode(12, segment=1, timestamp=9001.0, wall_time=2.0))
    assert RunRecords(tmp_path / "run").progress().seconds_left == 28.0


def test_a_copy_is_read_but_not_taken_for_the_run_itself(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    run = RunRecords(tmp_path / "copy")
    assert len(run.train) == 10
    assert run.status().name == "unknown"


def test_the_newest_records_are_enough_to_say_how_a_run_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("f1rl.records.reader._TAIL", 1500)
    with make_run(tmp_path / "run", episodes=30) as writer:
        run = RunRecords(tmp_path / "run", newest_only=True)
        first = run.train.column("episode")[0]
        assert run.train.column("episode").tolist() == list(range(int(first), 31))
        assert first > 20
        assert run.progress() == RunRecords(tmp_path / "run").progress()
        writer.write(episode(31))
        assert run.refresh()
        assert run.train.last["episode"] == 31


def test_a_log_beside_a_run_file_is_that_run(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    run = RunRecords(tmp_path / "run" / "training_log.json")
    assert (run.name, len(run.train)) == ("mine", 10)


def test_damage_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    with (tmp_path / "run" / "episode_metrics.jsonl").open("a") as file:
        file.write('nonsense\n{"episode": 11, "avg_lo')
    (tmp_path / "run" / "training_log.json").write_text('{"config": {')
    (tmp_path / "run" / "run.json").write_text("[]")
    run = RunRecords(tmp_path / "run")
    assert len(run.train) == 10
    assert [problem.split(":")[0] for problem in run.problems] == [
        "run.json holds no JSON object",
        "training_log.json cannot be read",
        "episode_metrics.jsonl",
    ]
    assert run.problems[-1].endswith("1 damaged lines are left out")
    assert run.best is None


def test_the_log_of_another_program(tmp_path: Path) -> None:
    file = tmp_path / "grpo" / "training_log.json"
    file.parent.mkdir()
    train = [{"step": 10 * n, "epoch": 1, "loss": 0.5, "reward": float(n), "kl": float("nan")} for n in range(1, 4)]
    file.write_text(json.dumps({"config": {"model_path": "m"}, "train_history": train, "val_history": []}))
    for path in (file, file.parent):
        run = RunRecords(path)
        assert (run.name, run.phase, run.config) == ("grpo", None, {"model_path": "m"})
        assert run.train.column("reward").tolist() == [1.0, 2.0, 3.0]
        assert len(run.val) == 0
        assert (run.progress().done, run.progress().unit) == (30, "step")
        assert run.status().name == "log"


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"status": "starting", "process": this_process(tmp_path)})
    run = RunRecords(tmp_path)
    assert run.status().name == "starting"
    assert (run.progress().done, run.best, run.config, run.checkpoints()) == (0, None, {}, [])


def test_where_there_is_no_run_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no run .*run.json.*python -m f1rl runs"):
        RunRecords(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no .*gone"):
        RunRecords(tmp_path / "gone")
    make_run(tmp_path / "sweep" / "0_seed=1").close()
    with pytest.raises(ConfigError, match=r"is not a run, but holds 1, e.g. .*0_seed=1"):
        RunRecords(tmp_path / "sweep")


def test_runs_are_found_below_a_folder_but_not_inside_runs(tmp_path: Path) -> None:
    for name in ("outputs/b", "outputs/a", "multirun/sweep/1_seed=1", "multirun/sweep/0_seed=0"):
        make_run(tmp_path / name).close()
    (tmp_path / "outputs" / "a" / "checkpoint-5" / "run.json").touch()
    (tmp_path / "outputs" / ".hidden").mkdir()
    (tmp_path / "outputs" / ".hidden" / "run.json").touch()
    found = [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)]
    assert found == ["multirun/sweep/0_seed=0", "multirun/sweep/1_seed=1", "outputs/a", "outputs/b"]
    assert find_runs(tmp_path / "nothing") == []


def test_episodes_that_end_at_once_do_not_make_a_young_run_look_fast(tmp_path: Path) -> None:
    with make_run(tmp_path / "run", 0) as writer:
        for number in range(1, 9):
            writer.write(episode(number, timestamp=100.0 + number / 1000, wall_time=16.0))
    run = RunRecords(tmp_path / "run")
    assert run.seconds_per_episode == 2.0
    assert run.progress().seconds_left == 64.0
