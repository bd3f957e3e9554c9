"""Rules between keys, which no type can express; all broken ones are reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from f1rl.config.schema import Config, Env
from f1rl.typed import suggest

AT_LEAST_ONE = (
    "phase.num_episodes",
    "phase.batch_size",
    "phase.accumulate_grad_batches",
    "phase.save_every",
    "phase.keep_checkpoints",
    "phase.log_every",
    "phase.sample_every",
    "phase.video_every",
    "phase.val_every",
    "phase.val_episodes",
    "phase.tokenizer.num_episodes",
    "phase.tokenizer.steps",
    "phase.tokenizer.batch_size",
    "camera.resolution",
    "env.max_steps",
    "env.scene_reset_interval",
    "phase.rewards.masks",
    "phase.adversary.wm_updates_per_iter",
    "phase.adversary.explorer_updates_per_iter",
    "phase.adversary.wm_batch_size",
    "phase.adversary.buffer_size",
    "algo.episodes_per_update",
    "algo.epochs",
    "algo.minibatch_size",
    "policy.exec_horizon",
    "bptt.length",
    "rollout.num_workers",
    "rollout.slots_per_worker",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.cpu_threads",
    "launcher.local_jobs",
    "launcher.array_parallelism",
    "launcher.timeout_min",
    "launcher.gpus_per_node",
    "launcher.cpus_per_task",
    "launcher.mem_gb",
)
POSITIVE = (
    "phase.learning_rate",
    "phase.memory_lr_ratio",
    "phase.grad_clip",
    "phase.tokenizer.learning_rate",
    "phase.adversary.wm_learning_rate",
    "algo.clip",
    "algo.target_kl",
    "algo.value_clip",
    "policy.initial_std",
    "control.action_scale",
    "rollout.start_timeout",
    "rollout.step_timeout",
)
NOT_NEGATIVE = (
    "launcher.signal_delay_s",
    "launcher.max_num_timeout",
    "seed",
    "phase.warmup_steps",
    "phase.weight_decay",
    "phase.min_lr_ratio",
    "phase.rewards.memory_divergence_weight",
    "phase.rewards.wm_uncertainty_weight",
    "phase.rewards.task_success_weight",
    "phase.adversary.adversarial_weight",
    "phase.adversary.random_episodes",
    "algo.entropy_weight",
    "algo.value_weight",
    "algo.reference_weight",
    "rollout.max_restarts",
)
SHARES = (
    "phase.min_lr_ratio",
    "phase.rewards.dropout",
    "phase.adversary.slow_decay",
    "phase.adversary.fresh_fraction",
    "phase.adversary.random_fraction",
    "algo.gamma",
    "algo.gae_lambda",
    "control.action_scale",
)

SIMULATOR_KEYS = ("sim_freq", "control_freq", "render_device")
OWN_KEYS = {"toy": ("variant",), "random_exploration": SIMULATOR_KEYS, "maniskill": ("task", *SIMULATOR_KEYS)}
"""Keys of ``env`` that not every environment has, by its id."""
ARMS = ("franka", "xarm7", "ur5", "so101", "vx300s")
"""Names that ``embodiment.arms`` may hold; the descriptions are in ``f1rl_envs``, which nothing here may load."""


def find_contradictions(config: Config) -> list[str]:
    """Return one sentence for each rule that the configuration breaks, with the keys to change."""
    rules = (
        _ranges,
        _environment,
        _embodiment,
        _control,
        _randomization,
        _pictures,
        _training,
        _phase,
        _explorer,
        _processes,
        _ranks,
        _rollout,
        _continuation,
    )
    return [problem for rule in rules for problem in rule(config)]


def _get(config: Config, path: str) -> object:
    """Return the value at a dotted path; None if its section is null."""
    value: object = config
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def _ranges(config: Config) -> Iterator[str]:
    for path in (*AT_LEAST_ONE, *POSITIVE, *NOT_NEGATIVE):
        value = _get(config, path)
        if not isinstance(value, int | float):
            continue  # "auto", or null
        words, inside = "0 or more", value >= 0
        if path in AT_LEAST_ONE:
            words, inside = "at least 1", value >= 1
        elif path in POSITIVE:
            words, inside = "above 0", value > 0
        if not inside or math.isinf(value):
            yield f"{path} must be {words}; got {value}"
    for path in SHARES:
        value = _get(config, path)
        if value is not None and not 0 <= value <= 1:
            yield f"{path} must be from 0 to 1; got {value}"
    if not all(0 <= beta < 1 for beta in config.phase.betas):
        yield f"phase.betas must lie in [0, 1); got {list(config.phase.betas)}"


def _environment(config: Config) -> Iterator[str]:
    env = config.env
    own = OWN_KEYS[env.id]
    foreign = ("task", "variant", *SIMULATOR_KEYS)
    yield from (f"env.{key} must be given for env.id={env.id}; got null" for key in own if getattr(env, key) is None)
    for key in foreign:
        if key not in own and getattr(env, key) is not None:
            yield f"env.{key} means nothing to env.id={env.id}; set it to null or choose another env"
    if env.id != "toy":
        yield from _simulator(env)
    if env.id == "maniskill" and config.embodiment.arms != ("franka",):
        yield (
            f"embodiment.arms={list(config.embodiment.arms)} means nothing to env.id=maniskill, whose tasks bring "
            "their own robot; leave embodiment=franka"
        )


def _simulator(env: Env) -> Iterator[str]:
    frequencies = {"env.sim_freq": env.sim_freq, "env.control_freq": env.control_freq}
    given = [value for value in frequencies.values() if value is not None]
    yield from (
        f"{key} must be at least 1; got {value}" for key, value in frequencies.items() if value in given and value < 1
    )
    if len(given) == 2 and min(given) >= 1 and env.sim_freq % env.control_freq:
        yield (
            f"env.sim_freq must be a multiple of env.control_freq, so that all actions last equally long; "
            f"got {env.sim_freq} and {env.control_freq}"
        )
    if env.render_device is not None and not re.fullmatch(r"auto|cpu|cuda:\d+", env.render_device):
        yield f"env.render_device must be auto, cpu or cuda:N; got {env.render_device!r}"


def _embodiment(config: Config) -> Iterator[str]:
    robot = config.embodiment
    arms, single = list(robot.arms), robot.single_arm
    for arm in arms:
        if arm not in ARMS:
            yield f"embodiment.arms must name arms out of {', '.join(ARMS)}; got {arm!r}{suggest(arm, ARMS)}"
    if len(arms) not in (1, 2):
        yield f"embodiment.arms must name one arm, or the left and the right one of a pair; got {arms}"
        return
    if single != (len(arms) == 1):
        yield (
            f"embodiment.single_arm must be {str(not single).lower()} with embodiment.arms={arms}; "
            f"got {str(single).lower()}"
        )
    if len(arms) == 1 and robot.distance is not None:
        yield f"embodiment.distance must be null for a single arm; got {robot.distance}"
    if len(arms) == 2 and robot.distance is None:
        yield "embodiment.distance must be given for a pair, in metres between the bases; got null"


def _control(config: Config) -> Iterator[str]:
    mode, planner = config.control.mode, config.control.planner
    if mode == "ee_pose" and planner is None:
        yield "control.planner must be ompl or curobo for control.mode=ee_pose, which plans; got null"
    if mode != "ee_pose" and planner is not None:
        yield f"control.planner means nothing to control.mode={mode}, which plans nothing; set it to null"


def _randomization(config: Config) -> Iterator[str]:
    for key in ("num_objects", "object_size", "object_density", "object_friction"):
        low, high = getattr(config.randomization, key)
        if not 0 <= low <= high:
            yield f"randomization.{key} must be [least, most], 0 <= least <= most; got [{low}, {high}]"


def _pictures(config: Config) -> Iterator[str]:
    cameras, resolution = config.camera.names, config.camera.resolution
    if "wrist" not in cameras:
        yield f"camera.names must contain wrist, whose next picture the world model predicts; got {list(cameras)}"
    if len(set(cameras)) < len(cameras):
        yield f"camera.names names a camera twice: {list(cameras)}"
    simulator_keys = {key: getattr(config.camera, key) for key in ("head_fov", "wrist_fov", "depth")}
    given = [key for key, value in simulator_keys.items() if value not in (None, False)]
    if config.env.id == "toy" and given:
        yield f"camera.{given[0]} is for the simulator, env=toy has no such thing; got {simulator_keys[given[0]]}"
    if config.model.image_size != resolution:
        yield (
            f"camera.resolution and model.image_size must be equal; got {resolution} and {config.model.image_size} "
            f"(e.g. camera.resolution={config.model.image_size})"
        )


def _training(config: Config) -> Iterator[str]:
    bptt = config.bptt
    if bptt.length > config.env.max_steps:
        yield f"bptt.length must be at most env.max_steps; got {bptt.length} and {config.env.max_steps}"
    if bptt.memory_backprop and not bptt.sequential_training:
        yield "bptt.memory_backprop=true needs bptt.sequential_training=true: without it no memory reaches a later step"


SECTIONS = {
    "teacher": (),
    "student": ("rewards",),
    "adversarial": ("rewards", "adversary"),
}
"""Sections of ``phase`` that each phase has; the others are null."""

STARTS = {
    "teacher": (),
    "student": ("teacher_path",),
    "adversarial": ("teacher_checkpoint", "student_checkpoint"),
}
"""What each phase can start from."""


def _phase(config: Config) -> Iterator[str]:
    phase = config.phase
    for section in ("rewards", "adversary"):
        given, wanted = getattr(phase, section) is not None, section in SECTIONS[phase.name]
        if given != wanted:
            words = "must be given" if wanted else "must be null"
            yield f"phase.{section} {words} for phase.name={phase.name}; choose the phase with phase={phase.name}"
    for key in ("teacher_path", "teacher_checkpoint", "student_checkpoint"):
        if getattr(phase, key) is not None and key not in STARTS[phase.name]:
            others = [name for name, keys in STARTS.items() if key in keys]
            own = STARTS[phase.name]
            hint = f"; it has {' and '.join(f'phase.{name}' for name in own)}" if own else ""
            yield f"phase.{key} is for phase={others[0]}, not for phase={phase.name}{hint}"


def _explorer(config: Config) -> Iterator[str]:
    phase, algo, chunk = config.phase, config.algo, config.model.act.chunk
    if phase.name == "teacher":
        return
    if config.policy.exec_horizon > chunk:
        yield f"policy.exec_horizon must be at most model.act.chunk = {chunk}; got {config.policy.exec_horizon}"
    size, updates = algo.num_generations, algo.episodes_per_update
    if algo.name == "grpo" and (size < 2 or updates % size):
        yield (
            "algo.num_generations must be 2 or more and divide algo.episodes_per_update, so that a rollout is made of "
            f"whole groups; got {size} and {updates}"
        )
    if algo.name == "grpo" and size > 0 and phase.num_episodes % size:
        yield f"phase.num_episodes must be a multiple of algo.num_generations={size}; got {phase.num_episodes}"
    if phase.accumulate_grad_batches != 1:
        yield f"phase.accumulate_grad_batches must be 1 for phase={phase.name}; algo.minibatch_size is what to change"
    if config.rollout.online_fraction != 1:
        yield f"phase={phase.name} learns from its own episodes only; use rollout=workers or rollout=record"
    if config.trainer.precision != "32-true":
        yield f"phase={phase.name} needs trainer.precision=32-true, so that stored densities can be computed again"
    if phase.name == "adversarial" and config.rollout.overlap:
        yield "rollout.overlap=true is for phase=student: here the world model changes under the explorer's feet"
    yield from _adversary(config)


def _adversary(config: Config) -> Iterator[str]:
    adversary, updates = config.phase.adversary, config.algo.episodes_per_update
    if adversary is None:
        return
    if adversary.buffer_size < updates:
        yield (
            "phase.adversary.buffer_size must hold a rollout, algo.episodes_per_update episodes; got "
            f"{adversary.buffer_size} for {updates}"
        )
    if adversary.fresh_fraction + adversary.random_fraction > 1:
        yield (
            "phase.adversary.fresh_fraction and random_fraction must add up to 1 at most; got "
            f"{adversary.fresh_fraction:g} and {adversary.random_fraction:g}"
        )
    if adversary.random_fraction > 0 and adversary.random_episodes == 0:
        yield "phase.adversary.random_fraction above 0 needs phase.adversary.random_episodes; got 0"


def _processes(config: Config) -> Iterator[str]:
    trainer = config.trainer
    single = trainer.devices == 1 and trainer.num_nodes == 1
    if trainer.strategy == "ddp" and single:
        yield "trainer.strategy=ddp needs trainer.devices or trainer.num_nodes above 1; one process uses strategy=auto"
    if trainer.precision == "16-mixed" and trainer.accelerator == "cpu":
        yield "trainer.precision=16-mixed needs a GPU; use 32-true or bf16-mixed with trainer.accelerator=cpu"


def _ranks(config: Config) -> Iterator[str]:
    trainer, phase = config.trainer, config.phase
    # devices=auto is counted, and checked, when the run starts.
    per_node = 1 if trainer.devices == "auto" else trainer.devices
    ranks = per_node * trainer.num_nodes
    if ranks < 2:
        return
    if phase.name != "teacher":
        yield f"phase={phase.name} trains in one process; set trainer.devices=1 and trainer.num_nodes=1"
    elif config.env.id == "maniskill":
        yield (
            "env=maniskill needs trainer.devices=1 and trainer.num_nodes=1: its episodes may end early, and a process "
            "with fewer steps would keep the others waiting"
        )
    elif trainer.devices != "auto" and phase.num_episodes % ranks:
        yield (
            "phase.num_episodes must be a multiple of trainer.devices x trainer.num_nodes, so that all processes make "
            f"the same number of steps; got {phase.num_episodes} and {trainer.devices} x {trainer.num_nodes}"
        )


def _rollout(config: Config) -> Iterator[str]:
    rollout = config.rollout
    fraction, datasets, weights = rollout.online_fraction, rollout.datasets, rollout.dataset_weights
    if not 0 <= fraction <= 1:
        yield f"rollout.online_fraction must be from 0 to 1; got {fraction}"
    elif fraction < 1 and not datasets:
        yield f"rollout.online_fraction={fraction:g} needs recorded episodes: name them in rollout.datasets=[PATH]"
    elif fraction == 1 and datasets:
        yield "rollout.datasets is not read with rollout.online_fraction=1; use rollout=offline or rollout=mixed"
    if len(set(datasets)) < len(datasets):
        yield f"rollout.datasets names a dataset twice: {list(datasets)}; use rollout.dataset_weights"
    if weights is not None and (len(weights) != len(datasets) or not all(0 < weight < math.inf for weight in weights)):
        yield (
            "rollout.dataset_weights must give each of rollout.datasets one number above 0; "
            f"got {list(weights)} for {len(datasets)} datasets"
        )
    if rollout.record.enabled and fraction == 0:
        yield "rollout.record.enabled=true has nothing to record: rollout.online_fraction is 0"
    if rollout.record.enabled and (config.trainer.devices != 1 or config.trainer.num_nodes != 1):
        yield "rollout.record.enabled=true needs trainer.devices=1 and trainer.num_nodes=1: a dataset has one writer"


def _continuation(config: Config) -> Iterator[str]:
    if config.resume is not None and config.overwrite:
        yield "resume and overwrite exclude each other: one keeps what output_dir holds, the other deletes it"
