"""Run directories made in milliseconds, by the same writers that a real run uses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from f1rl.records.fields import ADVERSARY, ADVERSARY_HELD_OUT, EXPLORER, EXPLORER_HELD_OUT, beside
from f1rl.records.files import write_json
from f1rl.records.jsonl import JsonlWriter
from f1rl.records.media import save_sample, save_video
from f1rl.records.process import this_process
from f1rl.records.training_log import PPO, SUPERVISED, LogShape, TrainingLog, common_config


def episode(number: int, **more: Any) -> dict[str, Any]:
    """Return a record of ``episode_metrics.jsonl``; a falling loss with a ripple."""
    record = {"episode": number, "avg_loss": 2 + 3 * math.exp(-number / 20) + 0.2 * (-1) ** number, "avg_acc": 0.2}
    record |= {"lr": 1e-3 * number, "env_step": 10 * number, "optimizer_step": 2 * number, "episode_reward": 0.0}
    record |= {"timestamp": 100.0 + 2 * number, "segment": 0, "wall_time": 2.0 * number, "wait_env_share": 0.25}
    return {**record, "env_steps_per_s": 5.0 + number % 3, **more}


def make_run(
    directory: Path, episodes: int = 10, *, loss: float = 4.0, seed: int = 0, lr: float = 3e-4, **info: Any
) -> JsonlWriter:
    """Write a run that is going on in this process, and return the open writer of its episodes.

    Args:
        directory: where.
        episodes: how many of 40 are done; every 5th is followed by a validation and a checkpoint.
        loss: the validation loss at the end.
        seed: the run's.
        lr: its learning rate.
        **info: changes of ``run.json``.
    """
    directory.mkdir(parents=True)
    identity = {"id": f"{directory.name}", "name": "mine", "phase": "teacher", "seed": seed, "status": "training"}
    identity |= {"updated": 100.0, "started": 50.0, "timings": {"tokenizer": 3.0}, "versions": {"python": "3.11"}}
    write_json(directory / "run.json", {**identity, "process": this_process(directory), **info})
    config = {"seed": seed, "env": {"id": "toy"}, "phase": {"num_episodes": 40, "learning_rate": lr}}
    (directory / "config.yaml").write_text(
        f"seed: {seed}\nenv:\n  id: toy\nphase:\n  num_episodes: 40\n  learning_rate: {lr}\n"
    )
    log = TrainingLog(directory / "training_log.json", common_config(config), SUPERVISED)
    for number in range(5, episodes + 1, 5):
        value = loss + (episodes - number) / 10
        validation = {"step": 2 * number, "epoch": 0, "episode": number, "env_step": 10 * number, "seconds": 0.5}
        judged = {"val_copy_last_loss": 4.5, "val_memory_gain": 0.1 * number, "val_memory_gain_stderr": 0.05}
        log.add_val({**validation, "eval_loss": value, "val_loss": value, **judged})
        (directory / f"checkpoint-{number}").mkdir()
        log.note_checkpoint(directory / f"checkpoint-{number}", 10 * number)
    log.save()
    writer = JsonlWriter(directory / "episode_metrics.jsonl")
    for number in range(1, episodes + 1):
        writer.write(episode(number))
    return writer


def make_explorer_run(directory: Path, episodes: int = 60, shape: LogShape = PPO) -> None:
    """Write a run that ended, in which a policy and its world model learned; every declared field is there.

    Args:
        directory: where.
        episodes: how many; every 10th is followed by a validation.
        shape: of its ``training_log.json``.
    """
    random = np.random.default_rng(0)
    make_run(directory, 0, phase="adversarial", status="done", name="explorer").close()
    log = TrainingLog(directory / "training_log.json", common_config({"phase": {"num_episodes": episodes}}), shape)
    with JsonlWriter(directory / "episode_metrics.jsonl") as writer:
        for number in range(1, episodes + 1):
            clock = {"step": 4 * number, "epoch": 0, "episode": number, "env_step": 10 * number, "samples": 3 * number}
            done = number / episodes
            policy = {name: random.normal(0.5, 0.1) * (1 + done) for name in (*EXPLORER, *ADVERSARY)}
            policy |= {"policy_loss": random.normal(0, 0.02), "entropy": 1 - done + random.normal(0, 0.05)}
            policy |= {"approx_kl": abs(random.normal(0.01, 0.003)), "clip_fraction": 0.1 + 0.1 * random.random()}
            policy |= {"explained_variance": 0.9 * done, "kl": 0.05 * done}
            reward = 3 * done - 1 + random.normal(0, 0.3)
            shares = {"inference_share": 0.3, "update_share": 0.2}
            writer.write(episode(number, episode_reward=reward, lr=3e-4, **policy, **shares))
            log.add_train({**dict.fromkeys(shape.train, 0.0), **clock, "loss": 0.3, "reward": reward, **policy})
            if number % 10 == 0:
                held_out = dict.fromkeys((*EXPLORER_HELD_OUT, *ADVERSARY_HELD_OUT), 2 * done)
                held_out |= {"val_loss": 4 - done} | {beside(name): 0.5 for name in EXPLORER_HELD_OUT}
                log.add_val({**clock, **held_out, "val_reward_memory": done, "val_reward_stderr": 0.1})
    log.save()


def add_media(directory: Path) -> None:
    """Add a picture and a video to a run."""
    frames = np.random.default_rng(0).integers(0, 255, (4, 3, 32, 32), dtype=np.uint8)
    (directory / "samples").mkdir()
    (directory / "videos").mkdir()
    save_sample(directory / "samples" / "episode_0010_pred_vs_gt.png", frames, frames)
    save_video(directory / "videos" / "episode_0010.mp4", [frames, frames])
    assert Image.open(directory / "samples" / "episode_0010_pred_vs_gt.png").width
