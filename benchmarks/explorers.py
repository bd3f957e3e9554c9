"""Do explorers learn what they are paid for, and is what they find worth learning from?

On the simulator, with ``model=tiny`` and several seeds: one teacher, then for each seed a student and an adversary on
it, and two world models trained from the start on equally many steps of the student and of chance. Every run is the
real command line; a run that is there already is continued or skipped.

    python -m benchmarks.explorers --seeds 3 --directory outputs/explorers

Claims, each printed with 95 % intervals over episodes and seeds:

1. The student's reward, in the units of its end, rises above that of its first rollouts.
2. From equal held-out seeds it visits more end-effector voxels than chance, and has more contacts or moves objects
   further.
3. In the adversarial phase the world model's loss on what the first explorer found falls, while what the explorer
   finds now stays harder than what chance finds.
4. A world model trained on the student's steps predicts held-out episodes with many contacts better than one trained
   on as many random steps. These episodes come from neither: random actions that tend downwards play them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe
from f1rl.checkpoint import list_checkpoints, load_checkpoint
from f1rl.config.schema import Config
from f1rl.launch.explorer import ExplorerAssembly
from f1rl.launch.rundir import RunDirectory
from f1rl.losses.prediction import masked_mean, token_statistics
from f1rl.models.explorer import Decision, Situation
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.base import OptimizerPlan, build_optimizer
from f1rl.phases.explorer_phase import ExplorerModule
from f1rl.phases.held_out import prediction_loss, world_model_inputs
from f1rl.phases.players import RandomPlayer
from f1rl.rollout.replay import ReplayBuffer, ReplayMix, unpack
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.stream import BatchRing, SequentialStream, WindowShape
from f1rl.typed import from_tree

# The gripper keeps its orientation, so that the wrist camera looks down on a table with many things on it: with free
# joints, the views of which a young world model is least sure are those of the empty room.
SHARED = (
    "env=franka",
    "control=delta_ee_pos",
    "randomization.num_objects=[6,8]",
    "randomization.object_size=[0.05,0.09]",
    "randomization.random_background=false",
    "randomization.random_light=false",
    "phase.sample_every=100",
    "phase.video_every=400",
)
CONTACT_RICH = 0.1
"""Share of an episode's steps with a contact from which on it counts as rich in contacts."""
_STREAMS, _WINDOW = 8, 8
_PULL = 0.5


@dataclass(frozen=True)
class Lengths:
    """Episodes of each run; all have 50 steps."""

    teacher: int
    student: int
    adversarial: int
    data: int
    """Episodes that each of the compared world models is trained on."""
    held_out: int


FULL = Lengths(teacher=500, student=288, adversarial=160, data=128, held_out=32)
SHORT = Lengths(teacher=300, student=96, adversarial=64, data=64, held_out=16)


def train(phase: str, run: Path, episodes: int, *overrides: str) -> Path:
    """Run a phase to its end, from wherever it is, and return its directory."""
    done = (run / "run.json").exists() and json.loads((run / "run.json").read_text())["status"] == "done"
    if not done:
        words = [f"phase={phase}", *SHARED, f"output_dir={run}", f"phase.num_episodes={episodes}", "resume=auto"]
        print(f"-- {phase} in {run}", flush=True)
        subprocess.run([sys.executable, "-m", "f1rl", *words, *overrides], check=True, stdout=subprocess.DEVNULL)
    return run


def records(run: Path) -> list[dict[str, Any]]:
    """Return the lines of ``episode_metrics.jsonl``."""
    return [json.loads(line) for line in (run / "episode_metrics.jsonl").read_text().splitlines()]


def evaluations(run: Path) -> list[dict[str, Any]]:
    """Return the ``val_history``."""
    return json.loads((run / "training_log.json").read_text())["val_history"]


def interval(values: Sequence[float]) -> str:
    """Return mean and half width of the 95 % interval of the mean (normal approximation)."""
    array = np.asarray(values, float)
    half = 1.96 * array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else float("nan")
    return f"{array.mean():8.3f} +- {half:.3f}"


def rewards(run: Path, rollout: int) -> tuple[list[float], list[float]]:
    """Return the rewards of the first two and of the last four rollouts, both by the scales at the end of the run."""
    checkpoint = load_checkpoint(list_checkpoints(run)[-1])
    scales, weights = checkpoint.training["module"]["scales"], checkpoint.training["config"]["phase"]["rewards"]
    paid = {"memory": weights["memory_divergence_weight"], "uncertainty": weights["wm_uncertainty_weight"]}

    def reward(record: dict[str, Any]) -> float:
        total = 0.0
        for name, weight in paid.items():
            statistics = scales["statistics"][name]
            term, steps = scales["usual"].get(name, (0.0, 1.0))
            above = record[f"reward_{name}"] - term / max(steps, 1.0) * record["length"]
            total += weight * above / (statistics["squares"] / statistics["count"]) ** 0.5
        return total

    found = [reward(record) for record in records(run)]
    return found[: 2 * rollout], found[-4 * rollout :]


def open_student(run: Path, scratch: Path) -> tuple[ExplorerAssembly, ExplorerModule, Config]:
    """Return the newest student of a run with its scenes; the caller closes ``assembly.data``."""
    checkpoint = load_checkpoint(list_checkpoints(run)[-1])
    cfg = from_tree(Config, checkpoint.training["config"], [])
    assembly = ExplorerAssembly(cfg, RunDirectory(scratch, None, checkpoint, 0), [])
    return assembly, assembly.module(), cfg


class Downwards(RandomPlayer):
    """Random actions that tend downwards, so that the gripper soon is among the objects."""

    def choose(self, scenes: Tensor, situation: Situation) -> Decision:
        """Return the next action of each scene; its third entry moves the gripper up and down."""
        decision = super().choose(scenes, situation)
        decision.action[..., 2] = (decision.action[..., 2] - _PULL).clamp(-1.0, 1.0)
        return decision


def collect(run: Path, lengths: Lengths) -> tuple[Config, F1Model, dict[str, list[TokenizedEpisode]]]:
    """Let the student and chance play the same seeds, to train on, and somebody else those to judge by."""
    assembly, module, cfg = open_student(run, run / "comparison")
    try:
        spec = assembly.data.spec
        players = {"student": module.sample, "chance": lambda streams: module.watch(streams, RandomPlayer(spec))}
        found = {
            name: assembly.data.perform(play, "random", range(lengths.data)).episodes for name, play in players.items()
        }
        found["downwards"] = assembly.data.perform(
            lambda streams: module.watch(streams, Downwards(spec)), "held_out", range(2 * lengths.held_out)
        ).episodes
    finally:
        assembly.data.close()
    return cfg, module.model.world, found


def fit(cfg: Config, world: F1Model, episodes: list[TokenizedEpisode], seed: int) -> F1Model:
    """Train a new world model with the same tokenizer on each step of ``episodes`` about four times."""
    torch.manual_seed(seed)
    model = F1Model(cfg.model, world.tokenizer, memory_backprop=True)
    steps = 4 * sum(map(len, episodes)) // (_STREAMS * _WINDOW)
    plan = OptimizerPlan(3e-3, 0.2, 0.01, (0.9, 0.95), 1.0, steps // 20, steps, "cosine", 0.05)
    optimizer, schedule = build_optimizer(model, plan)
    buffer = ReplayBuffer(ReplayMix(1, 0.0, 1.0, _STREAMS, seed))
    buffer.add_random(episodes)
    first = episodes[0].episode
    ring = BatchRing.allocate(
        batch=_STREAMS,
        window=_WINDOW,
        image_shape=first.image.shape[1:],
        n_obs=cfg.model.n_obs_img_steps,
        num_tokens=world.tokenizer.num_tokens,
        action_dim=first.action.shape[1],
        state_dim=first.state.shape[1],
    )
    windows = SequentialStream(buffer, ring, WindowShape(_STREAMS, _WINDOW, cfg.model.obs_img_stride), range(2**40))
    memory = model.initial_memory(_STREAMS, "cpu")
    for _, batch in zip(range(steps), windows, strict=False):
        output = model(world_model_inputs(batch), memory)
        memory = output.memory.detach()
        optimizer.zero_grad()
        masked_mean(token_statistics(output.logits, batch.target).loss, batch.valid).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.grad_clip)
        optimizer.step()
        schedule.step()
    return model


def compare_data(run: Path, lengths: Lengths, seed: int) -> dict[str, list[float]]:
    """Return losses on contact-rich held-out episodes of world models trained on the student's and on random steps."""
    cfg, world, found = collect(run, lengths)
    rich = [e for e in found["downwards"] if e.episode.info["contact_steps"] / len(e) >= CONTACT_RICH]
    print(f"   seed {seed}: {len(rich)} contact-rich held-out episodes", flush=True)
    losses = {}
    for name in ("student", "chance"):
        model = fit(cfg, world, found[name], seed)
        losses[f"trained on {name}"] = [prediction_loss(model, [e], torch.device("cpu")) for e in rich]
    return losses


def report_student(runs: Sequence[Path], rollout: int) -> None:
    """Print claims 1 and 2."""
    print("\n1. student's reward of an episode, in the units of its end")
    pooled: tuple[list[float], list[float]] = ([], [])
    for run in runs:
        before, after = rewards(run, rollout)
        pooled[0].append(float(np.mean(before)))
        pooled[1].append(float(np.mean(after)))
        print(f"   {run.parent.name}: first rollouts {interval(before)}, last {interval(after)}")
    print(f"   over seeds: first {interval(pooled[0])}, last {interval(pooled[1])}")
    print("\n2. held-out seeds: student against chance")
    for name in ("voxels", "contact_rate", "object_displacement", "reward", "loss"):
        last = [evaluations(run)[-1] for run in runs]
        own, chance = ([entry[f"val_{prefix}{name}"] for entry in last] for prefix in ("", "random_policy_"))
        print(f"   {name:<20} student {interval(own)}   chance {interval(chance)}   seeds {np.round(own, 3).tolist()}")


def loss_before(student: Path, adversary: Path) -> float:
    """Return the loss of the student's world model on what the first explorer found, before the adversary's run."""
    before, after = (load_checkpoint(list_checkpoints(run)[-1]) for run in (student, adversary))
    cfg = from_tree(Config, before.training["config"], [])
    world = F1Model(cfg.model, FrameTokenizer(cfg.model.tokenizer), memory_backprop=False)
    world.load_state_dict({k.removeprefix("world."): v for k, v in before.model.items() if k.startswith("world.")})
    found = [unpack(packed) for packed in after.training["module"]["first_found"]]
    return prediction_loss(world, found, torch.device("cpu"))


def report_adversary(students: Sequence[Path], adversaries: Sequence[Path]) -> None:
    """Print claim 3."""
    before = [loss_before(*runs) for runs in zip(students, adversaries, strict=True)]
    last = [evaluations(run)[-1] for run in adversaries]
    print("\n3. adversary: the world model's loss, nats per token")
    print(f"   on what the first explorer found   before {interval(before)}")
    for name, words in (
        ("explorer_loss", "first explorer"),
        ("loss", "explorer now"),
        ("random_policy_loss", "chance"),
    ):
        print(f"   on what the {words:<15} finds   after {interval([entry[f'val_{name}'] for entry in last])}")


def report_data(found: Sequence[dict[str, list[float]]]) -> None:
    """Print claim 4."""
    print("\n4. loss on held-out episodes with many contacts, nats per token")
    for name in found[0]:
        per_seed = [float(np.mean(losses[name])) for losses in found]
        print(f"   {name:<46} {interval(per_seed)}   seeds {np.round(per_seed, 3).tolist()}")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=Path("outputs/explorers"))
    parser.add_argument("--short", action="store_true", help="a third of the steps, for a first look")
    parser.add_argument("overrides", nargs="*", help="more configuration for students and adversaries")
    arguments = parser.parse_args()
    lengths, rollout = SHORT if arguments.short else FULL, 16
    print(describe(), lengths, *arguments.overrides)
    teacher = train(
        "teacher",
        arguments.directory / "teacher_rl",
        lengths.teacher,
        *("phase.learning_rate=5e-3", "phase.warmup_steps=30", "phase.val_every=100000", "phase.save_every=100000"),
        *("phase.tokenizer.num_episodes=120", "phase.tokenizer.steps=600", "phase.tokenizer.batch_size=32"),
    )
    judged = (f"phase.val_episodes={lengths.held_out}", "phase.save_every=100000")
    students, adversaries, compared = [], [], []
    for seed in range(arguments.seeds):
        place = arguments.directory / f"seed_{seed}"
        own = (*judged, f"seed={seed}", *arguments.overrides)
        from_teacher = f"phase.teacher_path={teacher}"
        student = train("student", place / "student_rl", lengths.student, from_teacher, "phase.val_every=100000", *own)
        from_student = (f"phase.student_checkpoint={student}", "phase.val_every=100000")
        adversary = train("adversarial", place / "adversarial_rl", lengths.adversarial, *from_student, *own)
        students.append(student)
        adversaries.append(adversary)
        compared.append(compare_data(student, lengths, seed))
    report_student(students, rollout)
    report_adversary(students, adversaries)
    report_data(compared)


if __name__ == "__main__":
    main()
