"""A run in W&B: killed, resumed, read back with wandb's own reader, uploaded to a server on this machine."""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from e2e_support import Launcher, lines, wait_until
from f1rl.health.score import Health
from f1rl.records import fields
from f1rl.tools.dashboard.panels import SECTIONS
from f1rl.views.news import episode_row, evaluation_row
from f1rl.views.tables import BESIDE_CHANCE, SAMPLES, SCORE_COLUMNS, SCORES, score_rows
from wandb_support import records, rows, segments, wandb_server


def segment_of_killed(run: Path) -> Path:
    """Wait until W&B's process has taken what a killed run wrote, and return its segment."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if segments(run) and records(segments(run)[0], "exit"):
            return segments(run)[0]
        time.sleep(0.2)
    pytest.fail("W&B's process did not end")


def check_scores(segment: Path, row: dict[str, Any], evaluation: dict[str, float]) -> None:
    """Check the scores that were logged with an evaluation, and that all that tables need lies in the run directory."""
    scores = json.loads((segment / "files" / row[f"{SCORES}.path"]).read_text())
    assert scores == {"columns": list(SCORE_COLUMNS), "data": score_rows(evaluation)}
    assert ["all", "copy last frame"] in [line[:2] for line in scores["data"]]
    staged = [
        (one["path"], Path(one["local_path"]))
        for record in records(segment, "artifact")
        for one in record["manifest"]["contents"]
    ]
    assert any(name.startswith("media/images/") for name, _ in staged)
    assert all(path.is_relative_to(segment.parent / "data") for _, path in staged)


def check_dashboard(logged: list[dict[str, Any]]) -> None:
    """Check that every metric of the dashboard is logged by a run, or declared as that of a phase which this is not."""
    names = {key.split(".")[0] for row in logged for key in row}
    names |= episode_row(dict.fromkeys((*fields.EXPLORER, *fields.ADVERSARY), 1.0)).keys()
    held_out = (*fields.EXPLORER_HELD_OUT, *fields.ADVERSARY_HELD_OUT)
    names |= evaluation_row(dict.fromkeys(held_out, 1.0), 1).keys()
    names |= evaluation_row({fields.beside(name): 1.0 for name in fields.EXPLORER_HELD_OUT}, 1).keys()
    names |= {BESIDE_CHANCE}
    names |= evaluation_row({"health": Health(100, (), (), ()).as_record()}, 1).keys()  # this run is too short for one
    panels = [panel for section in SECTIONS for panel in section.panels]
    assert [name for panel in panels for name in panel.metrics if not fnmatch.filter(names, name)] == []
    assert {panel.clock for panel in panels} <= names


def test_two_segments_are_kept_and_uploaded_in_order_without_loss(launcher: Launcher) -> None:
    run = launcher.directory / "outputs" / "teacher_rl"
    process = launcher.start("logger=wandb")
    wait_until(lambda: (run / "checkpoint-8").exists() and lines(run / "episode_metrics.jsonl") >= 10, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = segment_of_killed(run)
    text = (run / "episode_metrics.jsonl").read_text()
    killed = [json.loads(line) for line in text[: text.rindex("\n")].splitlines()]
    resumed = launcher.run("logger=wandb", "resume=auto", "phase.num_episodes=16")
    assert resumed.returncode == 0, resumed.stderr

    info = json.loads((run / "run.json").read_text())
    assert "wandb" not in {fallback["what"] for fallback in info["fallbacks"]}
    _, second = segments(run)
    assert {records(segment, "run")[0]["run_id"] for segment in (first, second)} == {info["id"]}
    assert records(first, "exit")[0]["exit_code"] == 1
    assert not records(second, "exit")[0].get("exit_code")
    assert [row for row in rows(first) if "train/avg_loss" in row] == [episode_row(record) for record in killed]
    again = [json.loads(line) for line in (run / "episode_metrics.jsonl").read_text().splitlines()]
    again = [record for record in again if record["segment"] == 1]
    assert [row for row in rows(second) if "train/avg_loss" in row] == [episode_row(record) for record in again]
    assert again[-1]["episode"] == 16
    validations = json.loads((run / "training_log.json").read_text())["val_history"]
    validations = [evaluation_row(entry, i) for i, entry in enumerate(validations, 1) if entry["segment"] == 1]
    evaluated = [row for row in rows(second) if "eval/loss" in row]
    assert [{key: value for key, value in row.items() if "." not in key} for row in evaluated] == validations
    (pictures,) = (row for row in rows(second) if f"{SAMPLES}.nrows" in row)  # the segment draws one, of episode 16
    assert (pictures["eval/number"], pictures["env_step"]) == (
        validations[-1]["eval/number"],
        evaluated[-1]["env_step"],
    )
    check_scores(second, evaluated[-1], validations[-1])
    media = [row for row in rows(second) if any(key.startswith("media/") for key in row)]
    assert [row["episode"] for row in media if "media/sample.path" in row] == [16]
    assert [row["episode"] for row in media if "media/video.path" in row] == [16]

    check_dashboard([row for segment in (first, second) for row in rows(segment)])

    with wandb_server() as uploads:
        done = launcher.plain("sync", env=uploads.environment())
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing to upload" in launcher.plain("sync").stdout
    assert {announced["name"] for announced in uploads.runs} == {info["id"]}
    assert [row["_step"] for row in uploads.history] == list(range(len(rows(first)) + len(rows(second))))
    episodes = [row["episode"] for row in uploads.history if "train/avg_loss" in row]
    assert episodes == [record["episode"] for record in [*killed, *again]]
    kept = {str(path.relative_to(s / "files")) for s in (first, second) for path in s.rglob("files/media/**/*.*")}
    assert kept <= uploads.files
    assert kept
    assert {told["artifactTypeName"] for told in uploads.artifacts} == {"run_table"}
    assert any(name.startswith("artifact/media/images/") for name in uploads.files)
