"""Samples are two exact halves; videos can be read back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from f1rl.records.media import MediaWriter, save_sample, save_video


def test_a_sample_is_prediction_left_and_truth_right(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 256, (2, 3, 3, 64, 64), dtype=np.uint8)
    path = tmp_path / "samples" / "episode_0010_pred_vs_gt.png"
    save_sample(path, prediction, truth)

    picture = np.array(Image.open(path))
    height, width = picture.shape[:2]
    left, right = picture[:, : width // 2], picture[:, width // 2 :]
    factor = height // (3 * 64)
    assert factor >= 1
    for half, rows in ((left, prediction), (right, truth)):
        assert np.array_equal(half[::factor, ::factor], np.concatenate(list(rows.transpose(0, 2, 3, 1))))


def test_unequal_halves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        save_sample(tmp_path / "a.png", np.zeros((1, 3, 8, 8), np.uint8), np.zeros((2, 3, 8, 8), np.uint8))


def test_a_video_shows_every_frame_of_every_panel(tmp_path: Path) -> None:
    shades = np.linspace(0, 255, 12).astype(np.uint8)
    panel = np.broadcast_to(shades[:, None, None, None], (12, 3, 64, 64))
    save_video(tmp_path / "episode_0010.mp4", [panel, 255 - panel])
    with av.open(str(tmp_path / "episode_0010.mp4")) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == 12
    half = frames[0].shape[1] // 2
    for frame, shade in zip(frames, shades, strict=True):
        assert abs(float(frame[:, :half].mean()) - shade) < 8
        assert abs(float(frame[:, half:].mean()) - (255 - shade)) < 8


def test_a_failed_encoding_is_logged_and_does_not_reach_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = MediaWriter()
    writer.submit(tmp_path / "bad.png", lambda: save_sample(tmp_path / "bad.png", np.zeros(3), np.zeros(4)))
    writer.submit(
        tmp_path / "good.png",
        lambda: save_sample(tmp_path / "good.png", *np.zeros((2, 1, 3, 8, 8), np.uint8)),
    )
    writer.close()
    assert "bad.png" in caplog.text
    assert (tmp_path / "good.png").exists()
