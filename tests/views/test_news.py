"""What a segment has written since one last looked."""

from __future__ import annotations

import os
from pathlib import Path

from f1rl.records.files import write_json
from f1rl.records.jsonl import JsonlWriter
from f1rl.views.news import SegmentNews, episode_row, evaluation_row
from records_support import add_media, episode


def test_the_names_of_rows() -> None:
    record = {"episode": 3, "env_step": 30, "segment": 1, "total_steps": 30, "avg_loss": 2.5, "success": True}
    record |= {"wait_env_share": 0.5, "lr": None, "comment": "words"}
    clocks = {"episode": 3, "env_step": 30, "segment": 1}
    values = {"train/avg_loss": 2.5, "env/success": True, "time/wait_env_share": 0.5}
    assert episode_row(record) == {**clocks, **values}
    entry = {**clocks, "step": 9, "epoch": 0, "eval_loss": 4.0, "val_loss": 4.0, "val_psnr": 20.0, "seconds": 0.1}
    entry["health"] = {"score": 95, "reasons": ["fine"]}
    values = {"eval/loss": 4.0, "eval/psnr": 20.0, "eval/seconds": 0.1, "health/score": 95}
    values["eval/number"] = 2
    assert evaluation_row(entry, 2) == {**clocks, **values}


def test_each_record_comes_once_and_only_those_of_the_segment(tmp_path: Path) -> None:
    news = SegmentNews(tmp_path, 1, since=0)
    assert news.read() == ([], [])
    writer = JsonlWriter(tmp_path / "episode_metrics.jsonl")
    writer.write(episode(1))
    writer.write(episode(2, segment=1))
    old, new = ({"env_step": 10 * n, "segment": n - 1, "val_loss": 4.0} for n in (1, 2))
    write_json(tmp_path / "training_log.json", {"val_history": [old]})
    assert [row["episode"] for row in news.read()[0]] == [2]
    write_json(tmp_path / "training_log.json", {"val_history": [old, new]})
    writer.write(episode(3, segment=1))
    writer.close()
    assert [(row["env_step"], "eval/loss" in row) for row in news.read()[0]] == [(30, False), (20, True)]
    assert news.read() == ([], [])


def test_records_that_are_cut_and_written_again_come_once_more_only_if_they_are_new(tmp_path: Path) -> None:
    path = tmp_path / "episode_metrics.jsonl"
    with JsonlWriter(path) as writer:
        writer.write(episode(1))
        kept = writer.size
        writer.write(episode(2))
    news = SegmentNews(tmp_path, 1, since=0)
    assert news.read()[0] == []
    with JsonlWriter(path, keep_bytes=kept) as writer:
        writer.write(episode(2, segment=1))
    assert [row["episode"] for row in news.read()[0]] == [2]


def test_media_know_their_episode_and_come_again_when_they_are_replaced(tmp_path: Path) -> None:
    add_media(tmp_path)
    sample = tmp_path / "samples" / "episode_0010_pred_vs_gt.png"
    before = max(path.stat().st_mtime_ns for path in tmp_path.glob("*/episode*"))
    assert SegmentNews(tmp_path, 0, since=before).read()[1] == []
    news = SegmentNews(tmp_path, 0, since=0)
    with JsonlWriter(tmp_path / "episode_metrics.jsonl") as writer:
        writer.write(episode(10))
        writer.write(episode(11))
    files = news.read()[1]
    assert [(file.name, file.clocks["episode"], file.clocks["env_step"]) for file in files] == [
        ("media/sample", 10, 100),
        ("media/video", 10, 100),
    ]
    os.utime(sample, ns=(before + 1, before + 1))
    assert [file.path for file in news.read()[1]] == [sample]
