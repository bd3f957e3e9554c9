"""Pictures and videos of what the model predicts, next to what happened."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from f1rl.records.media import MediaWriter, save_sample, save_video

_ROWS = 4  # moments of an episode shown in a sample


class EpisodeMedia(lightning.Callback):
    """Let the model imagine an episode that it just trained on, and hand the frames to the encoder thread."""

    def __init__(
        self,
        run_dir: Path,
        writer: MediaWriter,
        cameras: tuple[int | None, int],
        *,
        sample_every: int,
        video_every: int,
    ) -> None:
        """Write a sample every ``sample_every`` episodes and a video every ``video_every``.

        Args:
            run_dir: run directory; ``samples/`` and ``videos/`` lie in it.
            writer: background encoder; closed at the end of training.
            cameras: index of the head camera (None: there is none) and of the predicted wrist camera.
            sample_every: cadence of ``episode_0010_pred_vs_gt.png``.
            video_every: cadence of ``episode_0010.mp4``.
        """
        self._run_dir, self._writer = run_dir, writer
        self._head, self._wrist = cameras
        self._sample_every, self._video_every = sample_every, video_every
        self.seconds = 0.0
        """Time spent imagining so far; encoding happens in a thread of its own."""

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Imagine the episodes whose turn it is."""
        for finished in batch.finished:
            number = finished.index + 1
            sample, video = number % self._sample_every == 0, number % self._video_every == 0
            if sample or video:
                self._write(module, finished, number, sample, video)

    def _write(self, module: lightning.LightningModule, finished: Any, number: int, sample: bool, video: bool) -> None:
        image = finished.episode.image
        truth = image[1:, self._wrist]
        rows = np.linspace(0, len(truth) - 1, _ROWS + 1, dtype=int)[1:]
        started = time.perf_counter()
        prediction = module.imagine(finished, None if video else rows.tolist())
        self.seconds += time.perf_counter() - started
        if sample:
            path = self._run_dir / "samples" / f"episode_{number:04d}_pred_vs_gt.png"
            shown = prediction[rows] if video else prediction
            self._writer.submit(path, functools.partial(save_sample, path, shown, truth[rows]))
        if video:
            panels = video_panels(image, prediction, (self._head, self._wrist))
            path = self._run_dir / "videos" / f"episode_{number:04d}.mp4"
            self._writer.submit(path, functools.partial(save_video, path, panels))


def video_panels(image: np.ndarray, prediction: np.ndarray, cameras: tuple[int | None, int]) -> list[np.ndarray]:
    """Return what a video shows side by side: head camera, if there is one, true wrist, predicted wrist.

    Args:
        image: ``uint8 [N + 1, C, 3, H, W]`` of an episode.
        prediction: ``uint8 [N, 3, H, W]``.
        cameras: index of the head camera or None, and of the predicted one.
    """
    head, wrist = cameras
    return [*([] if head is None else [image[1:, head]]), image[1:, wrist], prediction]
