"""Build the phases with an explorer: scenes, networks from earlier phases, what to judge by."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning

from f1rl.checkpoint import Checkpoint, load_model_weights
from f1rl.config.schema import Config
from f1rl.dataset.meaning import Meaning
from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.dataset.writer import DatasetWriter
from f1rl.errors import CheckpointError
from f1rl.launch.build import PREDICTED_CAMERA, env_config, lr_ratios, share_cores, training_device
from f1rl.launch.encoding import encoder
from f1rl.launch.parents import Parent, open_parent
from f1rl.launch.rundir import RunDirectory
from f1rl.launch.world_model import world_model_to_fill
from f1rl.losses.rewards import origin
from f1rl.models.agent import Agent
from f1rl.models.explorer import Explorer
from f1rl.models.weights.building import fill_action_expert, holds_action_expert
from f1rl.phases.adversarial import AdversarialModule, WorldSettings
from f1rl.phases.base import OptimizerPlan
from f1rl.phases.decisions import Rollout
from f1rl.phases.explorer_evaluation import HeldOutSeeds
from f1rl.phases.explorer_phase import ExplorerModule, ExplorerSettings
from f1rl.phases.judge import RewardSettings
from f1rl.phases.players import RandomPlayer
from f1rl.phases.student import StudentModule
from f1rl.rollout.explorer_data import ExplorerDataModule, ExplorerPlan
from f1rl.rollout.replay import ReplayBuffer, ReplayMix
from f1rl.rollout.stream import BatchRing, WindowShape
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs.vector.interface import VectorEnv
from f1rl_envs.vector.make import make_vector


def open_parents(cfg: Config, config: dict[str, Any], *, resumed: bool) -> list[Parent]:
    """Open the checkpoints of earlier phases, before anything is written.

    Returns:
        For ``student`` the teacher; for ``adversarial`` the student, and the teacher if one is named; nothing for a
        resumed run, whose own checkpoint has all weights.

    Raises:
        CheckpointError: one is missing, damaged, or of another phase.
        ConfigError: one does not fit the configuration.
    """
    phase = cfg.phase
    if resumed or phase.name == "teacher":
        return []
    if phase.name == "student":
        return [open_parent("teacher", phase.teacher_path, config)]
    student = open_parent("student", phase.student_checkpoint, config)
    if phase.teacher_checkpoint is None:
        return [student]
    return [student, open_parent("teacher", phase.teacher_checkpoint, config)]


class ExplorerAssembly:
    """The parts of a run with an explorer.

    Attributes:
        data: its scenes; the caller closes it.
        first_step: what takes long before the networks are there, for the record of start-up times.
    """

    first_step = "networks"

    def __init__(self, cfg: Config, directory: RunDirectory, parents: list[Parent]) -> None:
        """Start the scenes."""
        self._cfg, self._directory, self._parents = cfg, directory, parents
        if parents:
            directory.file.update(parents=[str(parent.path) for parent in parents])
        self.data = build_explorer_data(cfg, env_config(cfg), directory.path)

    def module(self) -> ExplorerModule:
        """Return the phase with its networks: from earlier phases, or as the run's own checkpoint left them.

        Raises:
            CheckpointError: weights do not fit, or world model and explorer do not belong together.
        """
        cfg, data, checkpoint = self._cfg, self.data, self._directory.checkpoint
        lightning.seed_everything(cfg.seed, verbose=False)
        if checkpoint is None:
            agent = _agent(cfg, data)
            if agent.explorer.published is not None and holds_action_expert(cfg.model.weights):
                fill_action_expert(agent.explorer.published, cfg.model.weights)
            load_parents(agent, self._parents)
            module = _module(cfg, agent, data)
        else:
            module = restored_module(cfg, data, checkpoint, self._directory.path)
            data.position = checkpoint.training["position"]
        tokenizer = module.model.world.tokenizer
        data.set_encoder(encoder(tokenizer), tokenizer.num_tokens)
        data.play, data.before_play = module.play, module.before_play
        return module.to(training_device(cfg))  # before the trainer does it: what to judge by is played first

    def held_out(self, module: ExplorerModule) -> HeldOutSeeds:
        """Return what to judge by, with what chance makes of it; a new adversary also collects its random episodes."""
        data, indices = self.data, range(self._cfg.phase.val_episodes)

        def by_chance(streams: EpisodeStreams) -> Rollout:
            return module.watch(streams, RandomPlayer(data.spec))

        random = data.perform(by_chance, "held_out", indices)
        held_out = HeldOutSeeds(lambda play: data.perform(play, "held_out", indices), random, data.spec)
        if isinstance(module, AdversarialModule) and not module.first_found:
            count = self._cfg.phase.adversary.random_episodes
            module.prepare(data.perform(by_chance, "random", range(count)).episodes if count else [], held_out)
        return held_out

    def ledger(self, module: ExplorerModule) -> dict[str, float]:
        """Return the seconds that each part has taken so far."""
        return {**self.data.ledger(), "update": module.updating}


def restored_module(cfg: Config, data: ExplorerDataModule, checkpoint: Checkpoint, origin: Path) -> ExplorerModule:
    """Return the phase as a ``checkpoint`` of its own left it.

    Raises:
        CheckpointError: the weights do not fit; the message names ``origin``.
    """
    agent = _agent(cfg, data)
    module = _module(cfg, agent, data)
    load_model_weights(agent, checkpoint.model, origin)
    module.load_training_state(checkpoint.training["module"])
    return module


def _agent(cfg: Config, data: ExplorerDataModule) -> Agent:
    """Return the networks, their weights to be filled in."""
    world, policy = world_model_to_fill(cfg), cfg.policy
    mask = data.spec.action_mask
    return Agent(world, Explorer(cfg.model, policy.kind, mask, policy.exec_horizon, policy.initial_std))


def load_parents(agent: Agent, parents: list[Parent]) -> None:
    """Load the weights of earlier phases; nothing is loaded without parents.

    Raises:
        CheckpointError: weights do not fit, or the explorer learned with another world model.
    """
    by_phase = {parent.phase: parent for parent in parents}
    student, teacher = by_phase.get("student"), by_phase.get("teacher")
    if student is not None:
        load_model_weights(agent, student.checkpoint.model, student.path)
    if teacher is not None:
        learned_with = origin(agent.world)
        load_model_weights(agent.world, teacher.checkpoint.model, teacher.path)
        if student is not None and origin(agent.world) != learned_with:
            raise CheckpointError(
                f"the explorer in {student.path} learned with another world model than {teacher.path}; it would read "
                "keys and memories that mean nothing to it. Leave phase.teacher_checkpoint=null, or name the teacher "
                "that the student started from"
            )


def build_explorer_data(cfg: Config, env: dict[str, Any], run_dir: Path) -> ExplorerDataModule:
    """Start the scenes.

    Raises:
        EnvError: they cannot be started.
    """
    scenes = start_scenes(cfg, env, run_dir / "logs" / "env")
    recorder = None
    with ExitStack() as opened:  # closes the scenes when their episodes cannot be recorded
        for group in scenes:
            opened.enter_context(group)
        if cfg.rollout.record.enabled:
            place = Path(cfg.rollout.record.path or run_dir / "dataset")
            meaning = Meaning(env, scenes[0].env_spec)
            recorder = EpisodeRecorder(DatasetWriter(place, meaning, cfg.rollout.record.images))
        opened.pop_all()
    return ExplorerDataModule(scenes, explorer_plan(cfg), recorder)


def start_scenes(cfg: Config, env: dict[str, Any], log_dir: Path) -> list[VectorEnv]:
    """Start the groups of scenes that are stepped together; their processes write into ``log_dir``.

    Raises:
        EnvError: they cannot be started.
    """
    rollout = cfg.rollout
    sizes, workers = scene_groups(cfg)
    with ExitStack() as opened:  # closes those that did start when another one cannot
        envs = [
            opened.enter_context(
                make_vector(
                    env,
                    size,
                    workers,
                    form="process",  # also beside a GPU: the batched form has no measures, and one scene seed for all
                    start_timeout=rollout.start_timeout,
                    step_timeout=rollout.step_timeout,
                    max_restarts=rollout.max_restarts,
                    log_dir=log_dir / f"group_{group}" if len(sizes) > 1 else log_dir,
                )
            )
            for group, size in enumerate(sizes)
        ]
        opened.pop_all()
    return envs


def explorer_plan(cfg: Config) -> ExplorerPlan:
    """Return which episodes there are and how they make rollouts."""
    algo = cfg.algo
    return ExplorerPlan(
        seed=cfg.seed,
        num_episodes=cfg.phase.num_episodes,
        episodes_per_update=algo.episodes_per_update,
        group=algo.num_generations if algo.name == "grpo" else 1,
        scene_reset_interval=cfg.env.scene_reset_interval,
        camera=PREDICTED_CAMERA,
        n_obs=cfg.model.n_obs_img_steps,
        stride=cfg.model.obs_img_stride,
        overlap=cfg.rollout.overlap,
    )


def scene_groups(cfg: Config) -> tuple[list[int], int]:
    """Return the sizes of the groups of scenes that are played at the same time, and the worker processes of each.

    There are two groups: one is simulated while the policy chooses for the other. One suffices where one worker was
    asked for. The number of cores has no say in it, because each group has noise of its own: a run is the same on a
    larger machine.
    """
    scenes, wanted = cfg.phase.batch_size, cfg.rollout.num_workers
    if wanted == 1 or scenes == 1:
        return [scenes], 1
    # The policy waits for whatever it does not compute, so there is a worker for every core.
    workers = share_cores(cfg)[0] + 1 if wanted == "auto" else wanted
    return [-(-scenes // 2), scenes // 2], max(1, workers // 2)


def _module(cfg: Config, agent: Agent, data: ExplorerDataModule) -> ExplorerModule:
    settings = ExplorerSettings(
        plan=_plan(cfg, data, cfg.phase.learning_rate),
        algorithm=cfg.algo,
        rewards=_rewards(cfg),
        camera=data.camera,
        seed=cfg.seed,
        overlap=cfg.rollout.overlap,
    )
    adversary = cfg.phase.adversary
    if adversary is None:
        return StudentModule(agent, settings)
    shape = WindowShape(adversary.wm_batch_size, cfg.bptt.length, cfg.model.obs_img_stride)
    settings = replace(settings, algorithm=replace(settings.algorithm, epochs=adversary.explorer_updates_per_iter))
    world = WorldSettings(
        plan=_plan(cfg, data, adversary.wm_learning_rate),
        updates=adversary.wm_updates_per_iter,
        shape=shape,
        surprise=adversary.surprise,
        slow_decay=adversary.slow_decay,
    )
    mix = ReplayMix(
        adversary.buffer_size, adversary.fresh_fraction, adversary.random_fraction, shape.batch, seed=cfg.seed
    )
    ring = BatchRing.allocate(
        batch=shape.batch,
        window=shape.window,
        image_shape=data.spec.image_shape,
        n_obs=cfg.model.n_obs_img_steps,
        num_tokens=agent.world.tokenizer.num_tokens,
        action_dim=len(data.spec.action_mask),
        state_dim=len(data.spec.state_mask),
    )
    return AdversarialModule(agent, settings, world, ReplayBuffer(mix), ring)


def _rewards(cfg: Config) -> RewardSettings:
    rewards, weights = cfg.phase.rewards, {}
    weights["memory"] = rewards.memory_divergence_weight
    weights["uncertainty"] = rewards.wm_uncertainty_weight
    weights["success"] = rewards.task_success_weight
    if cfg.phase.adversary is not None:
        weights["surprise"] = cfg.phase.adversary.adversarial_weight
    centred = ("uncertainty",)
    if cfg.phase.adversary is not None and cfg.phase.adversary.surprise == "excess":
        centred = ("uncertainty", "surprise")
    return RewardSettings(weights, centred, rewards.memory_sign, rewards.uncertainty, rewards.masks, rewards.dropout)


def _plan(cfg: Config, data: ExplorerDataModule, learning_rate: float) -> OptimizerPlan:
    """Return how parameters are updated; the schedule counts rollouts."""
    phase = cfg.phase
    return OptimizerPlan(
        learning_rate=learning_rate,
        memory_lr_ratio=phase.memory_lr_ratio,
        weight_decay=phase.weight_decay,
        betas=phase.betas,
        grad_clip=phase.grad_clip,
        warmup_steps=phase.warmup_steps,
        total_steps=data.plan.num_rollouts,
        schedule=phase.lr_schedule,
        min_lr_ratio=phase.min_lr_ratio,
        lr_ratios=lr_ratios(cfg),
        ema=cfg.model.ema,
    )
