"""The tables of a held-out evaluation."""

from __future__ import annotations

from pathlib import Path

from f1rl.views.news import MediaFile
from f1rl.views.tables import newest_samples, score_rows


def test_everybody_who_predicts_has_a_line_at_every_scale() -> None:
    row = {
        "eval/loss": 3.0,
        "eval/accuracy": 0.5,
        "eval/psnr": 20.0,
        "eval/loss_scale_1": 1.0,
        "eval/loss_scale_16": 4.0,
    }
    row |= {"eval/accuracy_scale_1": 0.75, "eval/copy_last_loss": 5.0, "eval/copy_last_loss_scale_16": 6.0}
    row |= {"eval/psnr_copy_last": 18.0, "eval/psnr_tokenizer": 25.0, "eval/number": 1, "env_step": 10}
    assert score_rows(row) == [
        ["all", "world model", 3.0, 0.5, 20.0],
        ["all", "copy last frame", 5.0, None, 18.0],
        ["all", "tokenizer", None, None, 25.0],
        ["1", "world model", 1.0, 0.75, None],
        ["16", "world model", 4.0, None, None],
        ["16", "copy last frame", 6.0, None, None],
    ]
    assert score_rows({"eval/reward": 1.0, "eval/number": 1}) == []


def test_the_newest_pictures_are_shown() -> None:
    files = [MediaFile("media/sample", Path(f"{n}.png"), {"episode": n}) for n in range(6)]
    video = MediaFile("media/video", Path("9.mp4"), {"episode": 9})
    assert [file.clocks["episode"] for file in newest_samples([*files, video])] == [2, 3, 4, 5]
