"""Do explorers learn what they are paid for, and is what they find worth learning from?

On the simulator, with ``model=tiny`` and several seeds: one teacher, then for each seed a student and an adversary on
it, and two world models trained from the start on equally many steps of these two explorers and of chance. Every run is
the real command line; a run that is there already is continued or skipped. Once there is a teacher, seeds can be run
side by side, and all together afterwards for the report.

    python -m benchmarks.explorers --seeds 0 1 2 --directory outputs/explorers

Claims, each printed with 95 % intervals over episodes and seeds:

1. The student's reward, in the units of its end, rises above that of its first rollouts.
2. From equal held-out seeds it visits more end-effector voxels than chance, and has more contacts or moves objects
   further.
3. In the adversarial phase the world model's loss on what the first explorer found falls, while what the explorer
   finds now stays harder than what chance finds.
4. A world model trained on all that student and adversary did predicts held-out episodes with many contacts better
   than one trained on as many random steps (:mod:`benchmarks.explorer_data`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.explorer_data import Losses, compare_data
from benchmarks.machine import describe
from f1rl.checkpoint import list_checkpoints, load_checkpoint
from f1rl.config.schema import Config
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.held_out import prediction_loss
from f1rl.records.statistics import mean_interval
from f1rl.rollout.replay import unpack
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
    "rollout=record",
)

_ROLLOUT = 16
"""Episodes between two updates; shorter than the student's default, because these runs are short."""


@dataclass(frozen=True)
class Lengths:
    """Episodes of each run; all have 50 steps."""

    teacher: int
    student: int
    adversarial: int
    """Together with the student's at most as many as the teacher's, which the comparison of data takes as chance's."""
    held_out: int


FULL = Lengths(teacher=500, student=288, adversarial=160, held_out=32)
SHORT = Lengths(teacher=300, student=96, adversarial=64, held_out=16)


def train(phase: str, run: Path, episodes: int, *overrides: str) -> Path:
    """Run a phase to its end, from wherever it is, and return its directory."""
    done = (run / "run.json").exists() and json.loads((run / "run.json").read_text())["status"] == "done"
    if done and len(records(run)) != episodes:
        raise SystemExit(f"{run} has {len(records(run))} episodes and not {episodes}; give another --directory")
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
    """Return mean and half width of the 95 % interval of the mean (Student's t)."""
    mean, half = mean_interval(np.asarray(values, float))
    return f"{mean:8.3f} +- {half:.3f}"


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


def report_data(found: Mapping[int, Losses]) -> None:
    """Print claim 4."""
    print("\n4. loss on held-out episodes with many contacts, nats per token, of world models trained on")
    for player in next(iter(found.values()))["explorers"]:
        print(f"   played by {player}")
        for data in ("explorers", "chance"):
            means = [float(np.mean(losses[data][player])) for losses in found.values()]
            print(f"      {data:<12} {interval(means)}   seeds {np.round(means, 3).tolist()}")
        pairs = {
            seed: np.subtract(losses["explorers"][player], losses["chance"][player]) for seed, losses in found.items()
        }
        print(f"      {'difference':<12} {interval([float(pair.mean()) for pair in pairs.values()])}   over seeds")
        for seed, pair in pairs.items():
            print(f"      {'':<12} {interval(pair)}   over the {len(pair)} episodes of seed {seed}")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--directory", type=Path, default=Path("outputs/explorers"))
    parser.add_argument("--short", action="store_true", help="a third of the steps, for a first look")
    parser.add_argument("overrides", nargs="*", help="more configuration for students and adversaries")
    arguments = parser.parse_args()
    lengths = SHORT if arguments.short else FULL
    print(describe(), lengths, *arguments.overrides)
    teacher = train(
        "teacher",
        arguments.directory / "teacher_rl",
        lengths.teacher,
        *("phase.learning_rate=5e-3", "phase.warmup_steps=30", "phase.val_every=100000", "phase.save_every=100000"),
        *("phase.tokenizer.num_episodes=120", "phase.tokenizer.steps=600", "phase.tokenizer.batch_size=32"),
    )
    judged = (f"phase.val_episodes={lengths.held_out}", "phase.save_every=100000")
    students, adversaries, compared = [], [], {}
    for seed in arguments.seeds:
        place = arguments.directory / f"seed_{seed}"
        own = (*judged, f"seed={seed}", *arguments.overrides)
        from_teacher = (f"phase.teacher_path={teacher}", "phase.val_every=100000", f"phase.batch_size={_ROLLOUT}")
        student = train("student", place / "student_rl", lengths.student, *from_teacher, *own)
        from_student = (f"phase.student_checkpoint={student}", "phase.val_every=100000")
        adversary = train("adversarial", place / "adversarial_rl", lengths.adversarial, *from_student, *own)
        students.append(student)
        adversaries.append(adversary)
        compared[seed] = compare_data(teacher, student, adversary, lengths.held_out, seed)
    report_student(students, _ROLLOUT)
    report_adversary(students, adversaries)
    report_data(compared)


if __name__ == "__main__":
    main()
