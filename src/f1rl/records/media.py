"""Prediction-versus-truth pictures and episode videos, encoded off the training thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
from PIL import Image

log = logging.getLogger(__name__)

_MIN_HEIGHT = 128  # smaller pictures are enlarged by whole factors, for the eye


def save_sample(path: Path, prediction: np.ndarray, truth: np.ndarray) -> None:
    """Save rows of pictures as one PNG of two exact halves: left the predictions, right the truth.

    Args:
        path: file to write.
        prediction: ``uint8 [R, 3, H, W]``, one row each.
        truth: ``uint8 [R, 3, H, W]``.

    Raises:
        ValueError: the two differ in shape.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    rows = np.concatenate([prediction, truth], axis=3)  # side by side: [R, 3, H, 2W]
    picture = _enlarge(np.concatenate(list(rows.transpose(0, 2, 3, 1)), axis=0), rows.shape[2])
    _replace(path, lambda temporary: Image.fromarray(picture).save(temporary, format="PNG", compress_level=1))


def save_video(path: Path, panels: list[np.ndarray], fps: int = 10) -> None:
    """Save panels side by side as an H.264 video.

    Args:
        path: file to write, ``.mp4``.
        panels: each ``uint8 [N, 3, H, W]``, equal in shape.
        fps: frames per second.
    """
    frames = np.concatenate(panels, axis=3).transpose(0, 2, 3, 1)
    height = panels[0].shape[2]

    def write(temporary: Path) -> None:
        with av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "18"})
            sample = _enlarge(frames[0], height)
            stream.height, stream.width, stream.pix_fmt = sample.shape[0], sample.shape[1], "yuv420p"
            for frame in frames:
                picture = np.ascontiguousarray(_enlarge(frame, height))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())

    _replace(path, write)


def _enlarge(picture: np.ndarray, height: int) -> np.ndarray:
    factor = max(1, -(-_MIN_HEIGHT // height))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class MediaWriter:
    """One background thread that encodes; a failed encoding is logged and never ends the run."""

    def __init__(self, max_pending: int = 8) -> None:
        """Accept up to ``max_pending`` unfinished jobs; beyond that a job is dropped and said so."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="media")
        self._pending: list[Future] = []
        self._max_pending = max_pending

    def submit(self, path: Path, job: Callable[[], None]) -> None:
        """Run ``job``, which writes ``path``, in the background."""
        self._pending = [f for f in self._pending if not f.done()]
        if len(self._pending) >= self._max_pending:
            log.warning("%s is left out: the encoder is %d files behind", path.name, len(self._pending))
            return
        self._pending.append(self._pool.submit(self._run, path, job))

    @staticmethod
    def _run(path: Path, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # a picture is a view of the run, never a reason to lose it
            log.exception("could not write %s", path)

    def close(self) -> None:
        """Wait for the jobs and stop the thread."""
        self._pool.shutdown(wait=True)
