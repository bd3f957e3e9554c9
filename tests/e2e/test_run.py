"""A whole run through the command line, and the files it leaves, read as the guides read them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from e2e_support import Launcher, metrics, validations
from f1rl.health.of_run import run_health
from f1rl.records.reader import RunRecords


def test_each_episode_has_one_record_with_the_guides_keys(finished: Path) -> None:
    records = [json.loads(line) for line in (finished / "episode_metrics.jsonl").read_text().splitlines()]
    assert [r["episode"] for r in records] == list(range(1, 25))
    guide = {"episode", "avg_loss", "avg_acc", "episode_reward", "total_steps", "lr", "timestamp"}
    clocks = {"env_step", "decision_step", "optimizer_step", "wall_time", "segment"}
    assert all(guide | clocks <= r.keys() for r in records)
    assert records[-1]["total_steps"] == 24 * 13
    assert len({r["seed"] for r in records}) == 24
    assert all(0 < r["avg_loss"] < 20 for r in records)
    assert all(r["length"] == 13 for r in records)


def test_the_training_log_has_the_guides_shape(finished: Path) -> None:
    log = json.loads((finished / "training_log.json").read_text())
    assert {"config", "train_history", "val_history", "best_checkpoint", "final_metrics"} <= log.keys()
    assert log["config"]["phase"]["num_episodes"] == 24
    assert [entry["episode"] for entry in log["val_history"]] == [8, 16, 24]
    assert {"step", "epoch", "loss", "learning_rate"} <= log["train_history"][-1].keys()
    named = {"val_copy_last_loss", "val_unigram_loss", "val_action_sensitivity", "val_memory_gain", "val_psnr"}
    scales = {f"val_loss_scale_{side}" for side in (1, 2, 4, 8)}
    assert named | scales | {"eval_loss"} <= log["val_history"][-1].keys()
    best = min(log["val_history"], key=lambda entry: entry["val_loss"])
    assert log["best_checkpoint"]["val_loss"] == best["val_loss"] == log["final_metrics"]["best_metric"]
    assert Path(log["best_checkpoint"]["path"]).name == f"checkpoint-{best['episode']}"


def test_the_health_is_in_the_record_as_the_monitor_tells_it(finished: Path) -> None:
    log = json.loads((finished / "training_log.json").read_text())
    healths = [entry["health"] for entry in log["val_history"]]
    assert healths[0] == {**healths[0], "score": None, "band": "too early to tell"}
    assert healths[-1]["score"] is not None
    assert json.loads((finished / "run.json").read_text())["health"] == healths[-1]
    now = run_health(RunRecords(finished))
    assert now.score == healths[-1]["score"]
    assert [finding.name for finding in now.findings] == [reason["check"] for reason in healths[-1]["reasons"]]
    assert not (finished / "live.json").exists()


def test_the_run_file_tells_what_ran(finished: Path) -> None:
    run = json.loads((finished / "run.json").read_text())
    assert run["status"] == "done"
    assert run["versions"]["torch"] == torch.__version__
    assert {"tokenizer", "first_optimizer_step"} <= run["timings"].keys()
    assert run["segment"] == 0


def test_samples_and_videos_can_be_read(finished: Path) -> None:
    assert [p.name for p in sorted((finished / "samples").iterdir())] == [
        f"episode_{n:04d}_pred_vs_gt.png" for n in (8, 16, 24)
    ]
    picture = np.array(Image.open(finished / "samples" / "episode_0016_pred_vs_gt.png"))
    assert picture.shape[1] % 2 == 0
    half = picture.shape[1] // 2
    assert not np.array_equal(picture[:, :half], picture[:, half:])
    with av.open(str(finished / "videos" / "episode_0016.mp4")) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == 13
    assert frames[0].shape[1] == 3 * frames[0].shape[0]


def test_checkpoints_hold_the_three_files_and_load_safely(finished: Path) -> None:
    assert sorted(p.name for p in finished.glob("checkpoint-*")) == ["checkpoint-16", "checkpoint-24", "checkpoint-8"]
    for path in finished.glob("checkpoint-*"):
        for name in ("model.pt", "training_state.pt", "metrics.pt"):
            torch.load(path / name, weights_only=True)


def test_tensorboard_shows_training_and_evaluation(finished: Path) -> None:
    events = EventAccumulator(str(finished / "tensorboard")).Reload()
    assert {"train/loss", "train/accuracy", "train/lr", "eval/loss", "eval/action_sensitivity"} <= set(
        events.Tags()["scalars"]
    )
    expected = [(entry["env_step"], entry["val_loss"]) for entry in validations(finished)]
    shown = [(event.step, event.value) for event in events.Scalars("eval/loss")]
    assert shown == [(step, pytest.approx(loss)) for step, loss in expected]


def test_the_resolved_configuration_alone_reproduces_the_run(finished: Path, launcher: Launcher) -> None:
    result = launcher.plain(f"--config={finished / 'config.yaml'}", "output_dir=again", "phase.num_episodes=24")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "tokenizer trained" not in result.stdout  # taken from the cache
    assert metrics(launcher.directory / "again") == metrics(finished)
    assert validations(launcher.directory / "again") == validations(finished)
