"""The only list of configuration keys: their types, and one line each of what they mean.

The model's part is :class:`f1rl.models.config.ModelConfig`, because models are also built from checkpoints without this
package, and that of ``algo`` is :class:`f1rl.phases.algorithm.Algorithm`, which learns without it; neither imports
anything heavy.

No field has a default: defaults live in ``conf/`` and nowhere else. The line under a field is also the comment above
the key in ``conf/`` and the text of the tables in ``docs/configuration.md``; tests keep the three equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from f1rl.models.config import ModelConfig
from f1rl.phases.algorithm import Algorithm

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


@dataclass(frozen=True)
class TokenizerTraining:
    """How the frame tokenizer is trained, before the world model."""

    num_episodes: int
    """Episodes collected for its training."""
    steps: int
    """Optimizer steps."""
    batch_size: int
    """Frames of one optimizer step."""
    learning_rate: float
    """Learning rate of AdamW."""
    cache_dir: str | None
    """Directory of trained tokenizers; null means f1rl/ in the user's cache directory."""


@dataclass(frozen=True)
class Rewards:
    """What an explorer is paid for; each term is first scaled to a standard deviation of one."""

    memory_divergence_weight: float
    """Weight of how much closer an action brought the explorer's memory to one that also sees the head camera."""
    memory_sign: Literal["convergence", "divergence"]
    """Which way is paid: convergence of the two memories, or their divergence."""
    wm_uncertainty_weight: float
    """Weight of the world model's uncertainty about the frame that an action produced."""
    uncertainty: Literal["entropy", "disagreement"]
    """entropy of the prediction (noise is paid too), or disagreement of several under dropout (noise is not)."""
    masks: int
    """Disagreement: predictions that are compared."""
    dropout: float
    """Disagreement: share of their input that each of them lacks."""
    task_success_weight: float
    """Weight of the task's success; tasks of env=maniskill can be solved, random_exploration cannot."""


@dataclass(frozen=True)
class Adversary:
    """World model against explorer: what each iteration (one rollout) does."""

    adversarial_weight: float
    """Weight of the world model's surprise in the explorer's reward."""
    surprise: Literal["excess", "progress"]
    """excess (loss above its running mean) or progress (how much the loss fell below that of a slow world model)."""
    slow_decay: float
    """progress: share of its old weights that the slow world model keeps at each iteration."""
    wm_updates_per_iter: int
    """Optimizer steps of the world model per iteration."""
    explorer_updates_per_iter: int
    """Passes over the rollout per iteration, in place of algo.epochs."""
    wm_learning_rate: float
    """Peak learning rate of the world model."""
    wm_batch_size: int
    """Episode streams of a world-model step; its windows have bptt.length steps."""
    buffer_size: int
    """Episodes of the explorer that are kept to train the world model on; the oldest are dropped."""
    random_episodes: int
    """Random episodes that are kept beside them, collected before the first iteration."""
    fresh_fraction: float
    """Share of the world model's episodes that are drawn from the newest rollout."""
    random_fraction: float
    """Share that is drawn from the random episodes; the rest comes from the whole buffer."""


@dataclass(frozen=True)
class Phase:
    """One phase of the training: what is learned, for how long, and what is recorded how often."""

    name: Literal["teacher", "student", "adversarial"]
    """Name of the phase, in records and directories."""
    teacher_path: str | None
    """student: the teacher's checkpoint, or its run; null means the newest one beside output_dir."""
    teacher_checkpoint: str | None
    """adversarial: world model to start from; null means the one in the student's checkpoint."""
    student_checkpoint: str | None
    """adversarial: explorer to start from; null means the newest student's checkpoint beside output_dir."""
    num_episodes: int
    """Training length in episodes."""
    batch_size: int
    """B: episode streams, or scenes that an explorer plays at once, of each training process."""
    learning_rate: float
    """Peak learning rate of AdamW, of what the phase is named after: world model, or explorer."""
    memory_lr_ratio: float
    """Learning rate of the recurrent memory as a share of learning_rate; at the full rate its gates close for good."""
    weight_decay: float
    """Decoupled weight decay of matrices; biases, norms and embeddings have none."""
    betas: tuple[float, float]
    """AdamW's decay rates of its two running means."""
    grad_clip: float
    """Largest gradient norm; larger ones are scaled down to it."""
    warmup_steps: int
    """Optimizer steps in which the learning rate rises linearly from zero."""
    lr_schedule: Literal["cosine", "constant"]
    """After the warm-up: cosine (falls to min_lr_ratio at the end of training) or constant."""
    min_lr_ratio: float
    """Final learning rate as a share of the peak."""
    accumulate_grad_batches: int
    """Windows whose gradients are averaged into one optimizer step; checkpoints are written after whole steps."""
    save_every: int
    """Episodes between checkpoints."""
    keep_checkpoints: int
    """Newest checkpoints that are kept; older ones are deleted."""
    log_every: int
    """Episodes between lines of episode_metrics.jsonl."""
    sample_every: int
    """Episodes between prediction-versus-truth pictures."""
    video_every: int
    """Episodes between videos."""
    val_every: int
    """Episodes between held-out evaluations."""
    val_episodes: int
    """Held-out episodes, of fixed seeds that training never uses."""
    tokenizer: TokenizerTraining
    """teacher: the frame tokenizer comes first, and is reused by later runs with the same pictures and settings."""
    rewards: Rewards | None
    """What an explorer is paid for; null in the teacher phase, which has none."""
    adversary: Adversary | None
    """World model against explorer; null in the other phases."""


@dataclass(frozen=True)
class Policy:
    """How an explorer chooses actions; the teacher phase has none, and reads none of it."""

    kind: Literal["gaussian", "flow"]
    """gaussian (squashed, around what the action expert says) or flow (flow matching, sampled as a Markov chain)."""
    exec_horizon: int
    """Actions of a chunk (model.act.chunk) that are carried out before the next decision."""
    initial_std: float
    """Spread of the actions, before they are squashed to [-1, 1], when learning begins."""


@dataclass(frozen=True)
class Env:
    """The environment; keys that only other kinds of environment have are null."""

    id: Literal["random_exploration", "maniskill", "toy"]
    """Registered name of the environment."""
    task: str | None
    """ManiSkill only: name of the task, e.g. PickCube-v1; docs/environments.md lists them."""
    max_steps: int
    """Steps after which an episode is truncated."""
    scene_reset_interval: int
    """Episodes that reuse one built scene before a new one is drawn; reuse saves the time of building it."""
    variant: Literal["arm", "clock", "cue"] | None
    """Toy only: arm (moves as told), clock (draws step and action) or cue (shown in the first frame only)."""
    sim_freq: int | None
    """Simulator only: physics steps per simulated second."""
    control_freq: int | None
    """Simulator only: actions per simulated second."""
    render_device: str | None
    """Simulator only: auto (a GPU if there is one, else the software renderer), cpu, or cuda:N."""


@dataclass(frozen=True)
class Embodiment:
    """The robot."""

    name: str
    """Label of the robot."""
    arms: tuple[str, ...]
    """Arms, by the names of their descriptions: one, or left and right of a pair."""
    distance: float | None
    """Metres between the bases of a pair; null for one arm."""
    single_arm: bool
    """One arm (true) or a pair (false)."""


@dataclass(frozen=True)
class Control:
    """What an action means to the robot."""

    mode: Literal["delta_qpos", "delta_ee_pos", "delta_ee", "qpos", "ee_pose"]
    """What the entries are: changes of joints, of the gripper's place, of its pose; joints or a pose to go to."""
    action_scale: float
    """Changes: share of the mode's bounds that an action of 1 moves. Joints or poses: share of the largest speed."""
    planner: Literal["ompl", "curobo"] | None
    """ee_pose only: ompl (CPU) or curobo (needs CUDA and cuRobo); null for the other modes, which plan nothing."""


@dataclass(frozen=True)
class Camera:
    """What is seen."""

    names: tuple[str, ...]
    """Pictures of an observation, in this order."""
    resolution: int
    """Height and width of each picture in pixels."""
    head_fov: float | None
    """Simulator only: the head camera's vertical field of view in radians; null means the robot's own."""
    wrist_fov: float | None
    """Simulator only: the wrist cameras' vertical field of view in radians; null means the robot's own."""
    depth: bool
    """Simulator only: observations also hold depth in millimetres; training does not use it."""


@dataclass(frozen=True)
class Randomization:
    """What differs between the scenes of the simulator."""

    random_background: bool
    """Draw the textures of table, wall and floor."""
    random_light: bool
    """Draw directions and colours of the lights."""
    random_appearance: bool
    """Draw the colours of robot and objects."""
    cluttered_table: bool
    """Put objects on the table."""
    num_objects: tuple[int, int]
    """Fewest and most objects of a cluttered table."""
    object_shapes: tuple[Literal["box", "cylinder", "sphere", "l_shape", "mug", "bowl"], ...]
    """Shapes that the objects may have: box, cylinder, sphere, l_shape, mug and bowl."""
    object_size: tuple[float, float]
    """Shortest and longest edge (or diameter) of an object in metres."""
    object_density: tuple[float, float]
    """Least and most density of an object in kg/m3; with its volume it makes its mass."""
    object_friction: tuple[float, float]
    """Least and most coefficient of friction of an object's surface."""
    camera_position_jitter: float
    """Most that a camera is moved along each of its axes, in metres."""
    camera_rotation_jitter: float
    """Most that a camera is turned about each of its axes, in radians."""
    initial_pose_noise: float
    """Standard deviation of a joint's start around the home pose, in radians, cut at two of them."""


@dataclass(frozen=True)
class Bptt:
    """Truncated backpropagation through time."""

    length: int
    """Steps of a training window."""
    sequential_training: bool
    """Windows continue where the last one ended and the memory state is carried over."""
    memory_backprop: bool
    """Gradients flow through the memory within a window."""


@dataclass(frozen=True)
class Record:
    """Keeping the episodes that a run collects."""

    enabled: bool
    """Write every episode that is collected for training to a dataset."""
    path: str | None
    """Directory of the dataset, new or to be continued; null means dataset/ in the run directory."""
    images: Literal["png", "video"]
    """How pictures are stored: png (exact) or video (a tenth of the size, not exact)."""


@dataclass(frozen=True)
class Rollout:
    """Where episodes come from."""

    online_fraction: float
    """Probability that a training episode is freshly collected instead of read from a dataset."""
    datasets: tuple[str, ...]
    """Directories of recorded datasets to train from."""
    dataset_weights: tuple[float, ...] | None
    """Probability of each dataset, up to a common factor; null makes every recorded episode equally likely."""
    record: Record
    """Keeping the episodes that the run collects."""
    num_workers: int | Literal["auto"]
    """Environment processes of each training process; auto leaves one core to the trainer."""
    slots_per_worker: int
    """Finished or running episodes that each worker may have in shared memory."""
    start_timeout: float
    """Seconds that each stage of a worker's start (import, scene, first picture) may take."""
    step_timeout: float
    """Seconds a worker may take for a step or a reset after that; a slower one is replaced."""
    max_restarts: int
    """Replacements of workers, over the whole run, after which it ends."""
    overlap: bool
    """student: collect the next rollout, with the policy before the update, while the explorer learns from the last."""


@dataclass(frozen=True)
class Trainer:
    """Hardware, processes and arithmetic."""

    accelerator: Literal["auto", "cpu", "gpu"]
    """Hardware that trains: auto, cpu or gpu."""
    devices: int | Literal["auto"]
    """Training processes per node (one per GPU, or on the CPU); auto takes every GPU, or one CPU process."""
    num_nodes: int
    """Machines."""
    strategy: Literal["auto", "ddp"]
    """auto (one process) or ddp (several processes keep one model equal)."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    """Arithmetic: 32-true, bf16-mixed or 16-mixed."""
    cpu_threads: int | Literal["auto"]
    """Threads of a training process on the CPU; auto takes as many as there are cores."""
    detect_anomaly: bool
    """Look for the operation behind a NaN in the backward pass; slow."""
    profiler: Literal["simple", "advanced"] | None
    """Time report at the end: null (none), simple or advanced."""


@dataclass(frozen=True)
class Wandb:
    """The run in W&B (needs the extra wandb)."""

    mode: Literal["off", "offline", "online", "auto"]
    """off, offline (files for python -m f1rl sync), online, or auto (online where key and server are there)."""
    project: str
    """Project that the run belongs to."""
    entity: str | None
    """User or team that owns the project; null means the user's default."""
    group: str | None
    """Runs that are shown together; null means the sweep or pipeline that the run is part of."""


@dataclass(frozen=True)
class Logger:
    """Views of the records; the records themselves are always written."""

    tensorboard: bool
    """Write tensorboard/ in the run directory."""
    wandb: Wandb
    """The run in W&B."""


@dataclass(frozen=True)
class Logging:
    """Messages in the terminal and in logs/."""

    console_level: LogLevel
    """Least severe message shown in the terminal: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    file_level: LogLevel
    """Least severe message written to logs/."""
    enable_file_logging: bool
    """Write log files at all."""


@dataclass(frozen=True)
class Launcher:
    """What a job of its own gets, in a sweep or from python -m f1rl submit; trainer says how many processes it has."""

    local_jobs: int
    """hydra/launcher=f1rl_local: jobs of a sweep that run at once on this machine."""
    array_parallelism: int
    """SLURM: jobs of a sweep that run at once."""
    timeout_min: int
    """SLURM: time limit in minutes."""
    signal_delay_s: int
    """SLURM: seconds before the time limit at which a run saves its state, to be queued again."""
    max_num_timeout: int
    """SLURM: how often a job is queued again after it saved its state, or was killed."""
    partition: str | None
    """SLURM: partition; null means the cluster's default."""
    account: str | None
    """SLURM: account that pays; null means the user's default."""
    qos: str | None
    """SLURM: quality of service; null means the default."""
    constraint: str | None
    """SLURM: features that the machines must have, e.g. a100; null means any."""
    gpus_per_node: int | None
    """SLURM: GPUs of each machine, usually as many as trainer.devices; null means none."""
    cpus_per_task: int | None
    """SLURM: cores of each training process, its environment workers included; null means the default."""
    mem_gb: int | None
    """SLURM: memory of each machine in GB; null means the default."""
    options: tuple[str, ...]
    """SLURM: further options of sbatch, e.g. ["exclude=node3"]."""
    setup: tuple[str, ...]
    """SLURM: shell lines before the training starts, e.g. module load cuda."""
    python: str | None
    """SLURM: command that is Python in the job, e.g. apptainer exec f1rl.sif python; null means this Python."""
    snapshot: bool
    """SLURM: run the code as it is at submission, from a copy, and not as it will be when the job starts."""


@dataclass(frozen=True)
class Config:
    """Everything a run is made from."""

    name: str
    """Label of the run in records and reports."""
    seed: int
    """Decides every random number of the run; two runs with equal configurations and seeds do the same."""
    output_dir: str
    """Directory that receives everything the run writes."""
    resume: str | None
    """Where to go on from: null (a new run), auto (the newest checkpoint in output_dir) or a checkpoint's path."""
    overwrite: bool
    """Delete the run that output_dir holds before starting."""
    tags: tuple[str, ...]
    """Free labels for finding the run again."""
    phase: Phase
    """What is learned."""
    algo: Algorithm
    """How an explorer learns."""
    policy: Policy
    """How an explorer chooses actions."""
    env: Env
    """Where it is learned."""
    embodiment: Embodiment
    """The robot."""
    control: Control
    """What its actions mean."""
    camera: Camera
    """What is seen."""
    randomization: Randomization
    """What differs between the scenes of the simulator."""
    bptt: Bptt
    """How far gradients flow back in time."""
    model: ModelConfig
    """Sizes of the model."""
    rollout: Rollout
    """Where episodes come from."""
    trainer: Trainer
    """On which hardware."""
    launcher: Launcher
    """What a job of its own gets."""
    logger: Logger
    """Views of the records."""
    logging: Logging
    """Messages."""
