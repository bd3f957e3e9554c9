"""Build the parts of a run from its configuration."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from f1rl.config.schema import Config
from f1rl.dataset.meaning import Meaning
from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.dataset.writer import DatasetWriter
from f1rl.launch.devices import render_device
from f1rl.launch.environment import env_config as env_config  # also offered here, with the other parts
from f1rl.launch.place import ranks_per_node
from f1rl.phases.base import OptimizerPlan
from f1rl.rollout.datamodule import RolloutDataModule, RolloutPlan
from f1rl.rollout.recorded import RecordedEpisodes, open_recorded
from f1rl.rollout.stream import WindowShape
from f1rl_envs import registry
from f1rl_envs.spec import EnvSpec
from f1rl_envs.workers import EpisodeWorkers

PREDICTED_CAMERA = "wrist"


def shown_cameras(spec: EnvSpec) -> tuple[int | None, int]:
    """Return the index of the head camera, None if there is none, and that of the predicted one."""
    return spec.camera_index("head") if "head" in spec.cameras else None, spec.camera_index(PREDICTED_CAMERA)


def share_cores(cfg: Config) -> tuple[int, int]:
    """Return the number of workers and of trainer threads, from the cores that this process may use.

    Workers wait whenever they are ahead, so the trainer has a thread for every core: it takes what they leave.
    """
    cores = max(1, len(os.sched_getaffinity(0)) // ranks_per_node(cfg))
    workers = cfg.rollout.num_workers if cfg.rollout.num_workers != "auto" else max(1, cores - 1)
    threads = cfg.trainer.cpu_threads if cfg.trainer.cpu_threads != "auto" else cores
    return workers, threads


def training_device(cfg: Config) -> str:
    """Return where a single training process trains, and so does what it has to do before."""
    return "cuda" if torch.cuda.is_available() and cfg.trainer.accelerator != "cpu" else "cpu"


def world_size(cfg: Config) -> int:
    """Return the number of training processes."""
    return ranks_per_node(cfg) * cfg.trainer.num_nodes


def build_data(
    cfg: Config, env: dict[str, Any], run_dir: Path, rank: int, saved: list[dict[str, Any]] | None
) -> RolloutDataModule:
    """Open the datasets, start the workers and return the data of the run.

    Args:
        cfg: the configuration.
        env: the environment's part of it.
        run_dir: receives the workers' logs, and the recorded episodes unless they have a place of their own.
        rank: number of this training process.
        saved: state of the datasets in the checkpoint that the run goes on from.

    Raises:
        DatasetError: a dataset cannot be used.
        EnvError: the workers cannot be started.
    """
    meaning = Meaning(env, registry.spec(env))
    recorded = _open_datasets(cfg, meaning, saved) if cfg.rollout.datasets else None
    recorder = None
    if cfg.rollout.record.enabled:
        place = Path(cfg.rollout.record.path or run_dir / "dataset")
        recorder = EpisodeRecorder(DatasetWriter(place, meaning, cfg.rollout.record.images))
    logs = run_dir / "logs" / "env" if rank == 0 else run_dir / "logs" / f"rank{rank}" / "env"
    workers = _start_workers(cfg, env, logs) if cfg.rollout.online_fraction > 0 else None
    plan = RolloutPlan(
        seed=cfg.seed,
        num_episodes=cfg.phase.num_episodes,
        scene_reset_interval=cfg.env.scene_reset_interval,
        shape=WindowShape(cfg.phase.batch_size, cfg.bptt.length, cfg.model.obs_img_stride),
        n_obs=cfg.model.n_obs_img_steps,
        sequential=cfg.bptt.sequential_training,
        camera=PREDICTED_CAMERA,
        rank=rank,
        world_size=world_size(cfg),
        online_fraction=cfg.rollout.online_fraction,
    )
    return RolloutDataModule(workers, plan, recorded, recorder)


def _start_workers(cfg: Config, env: dict[str, Any], log_dir: Path) -> EpisodeWorkers:
    if "render_device" in env:
        env = {**env, "render_device": render_device(env["render_device"])}  # this rank's, said explicitly
    return EpisodeWorkers(
        env,
        share_cores(cfg)[0],
        slots_per_worker=cfg.rollout.slots_per_worker,
        start_timeout=cfg.rollout.start_timeout,
        step_timeout=cfg.rollout.step_timeout,
        max_restarts=cfg.rollout.max_restarts,
        log_dir=log_dir,
    )


def _open_datasets(cfg: Config, meaning: Meaning, saved: list[dict[str, Any]] | None) -> RecordedEpisodes:
    """Open ``rollout.datasets`` and check that they mean what the run expects."""
    fresh = cfg.rollout.online_fraction > 0  # then the episodes to judge by are fresh ones
    recorded = open_recorded(
        [Path(path) for path in cfg.rollout.datasets],
        cfg.rollout.dataset_weights,
        0 if fresh else cfg.phase.val_episodes,
        saved,
    )
    for dataset in recorded.datasets:
        dataset.meaning.require(meaning, dataset.root)
    return recorded


def optimizer_plan(cfg: Config) -> OptimizerPlan:
    """Return how the parameters are updated, with the length of the run in optimizer steps."""
    phase = cfg.phase
    windows = phase.num_episodes * cfg.env.max_steps / (phase.batch_size * cfg.bptt.length * world_size(cfg))
    return OptimizerPlan(
        learning_rate=phase.learning_rate,
        memory_lr_ratio=phase.memory_lr_ratio,
        weight_decay=phase.weight_decay,
        betas=phase.betas,
        grad_clip=phase.grad_clip,
        warmup_steps=phase.warmup_steps,
        total_steps=math.ceil(windows / phase.accumulate_grad_batches),
        schedule=phase.lr_schedule,
        min_lr_ratio=phase.min_lr_ratio,
        lr_ratios=lr_ratios(cfg),
        ema=cfg.model.ema,
    )


def lr_ratios(cfg: Config) -> tuple[tuple[str, float], ...]:
    """Return the shares of the learning rate that parts of the world model have, by the names of their parameters."""
    ratios = cfg.model.lr_ratios
    return (
        ("vlm.vision_tower.", ratios.vision),
        ("vlm.multi_modal_projector.", ratios.vision),
        ("vlm.", ratios.language),
        ("gen.", ratios.gen),
    )


def build_trainer(cfg: Config, callbacks: list[lightning.Callback]) -> lightning.Trainer:
    """Return the trainer: one pass over the stream; records, checkpoints and progress are our own callbacks."""
    t = cfg.trainer
    return lightning.Trainer(
        accelerator=t.accelerator,
        devices=ranks_per_node(cfg),
        num_nodes=t.num_nodes,
        strategy=t.strategy,
        precision=t.precision,
        detect_anomaly=t.detect_anomaly,
        profiler=t.profiler,
        accumulate_grad_batches=cfg.phase.accumulate_grad_batches,
        max_epochs=1,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        # Named, so that Lightning neither looks for SLURM nor takes its signals: ranks and signals are ours.
        plugins=[TorchElasticEnvironment() if world_size(cfg) > 1 else LightningEnvironment()],
    )
