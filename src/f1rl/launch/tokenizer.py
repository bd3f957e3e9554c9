"""The frame tokenizer comes first: taken from the cache, or trained on random episodes and cached."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from rich.console import Console

from f1rl.config.schema import Config
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.tokenizer_training import fit_tokenizer
from f1rl.records.files import disk_error, write_atomically
from f1rl.records.progress import ProgressDisplay
from f1rl.rollout.datamodule import RolloutDataModule
from f1rl.rollout.recorded import RecordedEpisodes

log = logging.getLogger(__name__)

TOKENIZER_SEED = 0
"""Not the run's seed: runs that differ in their seed share one tokenizer, so that their losses can be compared."""
_LOCK_POLL = 0.2
"""Seconds between two looks whether another process has finished training the same tokenizer."""


def obtain_tokenizer(
    cfg: Config, env: dict[str, Any], data: RolloutDataModule, console: Console, check: Callable[[], None]
) -> FrameTokenizer:
    """Return the frozen tokenizer for the pictures of ``env``.

    Args:
        cfg: the configuration.
        env: the environment's part of it, as the workers got it.
        data: collects the training frames if there is no cached tokenizer.
        console: shows the progress.
        check: called now and then; may raise to stop.
    """
    torch.manual_seed(TOKENIZER_SEED)
    tokenizer = FrameTokenizer(cfg.model.tokenizer)
    depends_on = tokenizer_dependencies(cfg, env, data.recorded if data.workers is None else None)
    path = tokenizer_cache(cfg) / f"tokenizer-{digest(depends_on)}.pt"
    with _alone(path, check):
        if not _load(tokenizer, path):
            frames = _collect(cfg, data, console, check)
            metrics = _fit(tokenizer, frames, cfg, console, check)
            _save(tokenizer, path, depends_on, metrics)
    return tokenizer.eval().requires_grad_(False)


def tokenizer_dependencies(cfg: Config, env: dict[str, Any], recorded: RecordedEpisodes | None) -> dict[str, Any]:
    """Return everything that decides the trained tokenizer's weights: where frames come from, sizes, training."""
    training = asdict(cfg.phase.tokenizer)
    training.pop("cache_dir")
    frames: dict[str, Any] = {"env": env}
    if recorded is not None:
        datasets = [dataset["digest"] for dataset in recorded.state()]
        frames = {
            "datasets": datasets,
            "weights": recorded.probabilities.tolist(),
            "held_out": len(recorded.held_out),
        }
    return {
        **frames,
        "tokenizer": asdict(cfg.model.tokenizer),
        "training": training,
        "seed": TOKENIZER_SEED,
        "torch": torch.__version__.split("+")[0],
    }


def digest(value: dict[str, Any]) -> str:
    """Return a short hash of a plain structure."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def tokenizer_cache(cfg: Config) -> Path:
    """Return the directory of trained tokenizers."""
    if cfg.phase.tokenizer.cache_dir:
        return Path(cfg.phase.tokenizer.cache_dir)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f1rl"


@contextmanager
def _alone(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Keep other ranks and the other jobs of a sweep from training the same tokenizer: they wait and take this one's.

    The system lifts the lock of a process that dies.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("wb")
    except OSError as error:
        raise disk_error(path, error) from error
    with lock:
        while not _try_lock(lock):
            check()
            time.sleep(_LOCK_POLL)
        yield


def _try_lock(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _load(tokenizer: FrameTokenizer, path: Path) -> bool:
    if not path.exists():
        return False
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        psnr = saved["metrics"]["psnr"]
        tokenizer.load_state_dict(saved["state"])
    except Exception as error:  # torch raises half a dozen unrelated types for damaged files
        log.warning("the cached tokenizer %s cannot be used (%s); training it again", path, error)
        return False
    log.info("tokenizer: %s (PSNR %.1f dB)", path, psnr)
    return True


def _collect(cfg: Config, data: RolloutDataModule, console: Console, check: Callable[[], None]) -> torch.Tensor:
    count = cfg.phase.tokenizer.num_episodes
    frames: list[np.ndarray] = []
    with ProgressDisplay(console, "collecting frames for the tokenizer: episodes", count) as progress:
        for episode in data.tokenizer_frames(count, TOKENIZER_SEED):
            check()
            frames.append(episode)
            progress.update(len(frames))
    return torch.from_numpy(np.concatenate(frames))


def _fit(
    tokenizer: FrameTokenizer, frames: torch.Tensor, cfg: Config, console: Console, check: Callable[[], None]
) -> dict[str, float]:
    plan = cfg.phase.tokenizer
    with ProgressDisplay(console, "training the tokenizer: steps", plan.steps) as progress, _all_cores():

        def on_step(step: int, metrics: dict[str, float]) -> None:
            check()
            progress.update(step)

        metrics = fit_tokenizer(
            tokenizer,
            frames,
            steps=plan.steps,
            batch_size=plan.batch_size,
            lr=plan.learning_rate,
            seed=TOKENIZER_SEED,
            on_step=on_step,
        )
    log.info("tokenizer trained on %d frames: %s", len(frames), {k: round(v, 3) for k, v in metrics.items()})
    return metrics


@contextmanager
def _all_cores() -> Iterator[None]:
    """Use the workers' cores too: they have nothing to collect meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _save(tokenizer: FrameTokenizer, path: Path, depends_on: dict[str, Any], metrics: dict[str, float]) -> None:
    buffer = io.BytesIO()
    torch.save({"state": tokenizer.state_dict(), "depends_on": json.dumps(depends_on), "metrics": metrics}, buffer)
    write_atomically(path, buffer.getvalue())
