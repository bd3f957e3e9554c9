"""Every embodiment in every control mode: random steps without a warning, and the same again from the same seeds.

``python -m benchmarks.matrix --only ur5 --mode delta_ee``

Each cell plays episodes of 50 random steps (of 10 in ``ee_pose``, where a step is a whole plan) at a cluttered table,
twice from the same seeds, and compares joints, velocities, objects, drive targets and pictures of every step bit for
bit. Python's warnings are errors meanwhile, and anything that SAPIEN or a library prints counts as a fault. Gymnasium's
``check_env`` comes last. The columns:

- lag: distance of a joint from its drive's target at the end of a step, in rad, mean and largest;
- unreachable: share of the steps whose pose some arm could not follow (end-effector modes), or not reach (``ee_pose``);
- no way: share of the steps of ``ee_pose`` whose pose has joints, but no free way to it was found.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.utils.env_checker import check_env

from benchmarks.machine import describe
from f1rl.config.compose import compose, groups
from f1rl.launch.environment import env_config
from f1rl_envs import registry
from f1rl_envs.actions import RandomActions
from f1rl_envs.sim import render
from f1rl_envs.sim.control.modes import MODES, PLANNING_MODES

if TYPE_CHECKING:
    import gymnasium

STEPS = 200
"""Random steps of a cell, in episodes of :data:`EPISODE_STEPS`."""
PLANNED_STEPS = 20
"""Likewise where a step is a plan and the way that it found, up to 100 control periods."""
EPISODE_STEPS, PLANNED_EPISODE_STEPS = 50, 10
RESOLUTION = 32


@dataclass
class Play:
    """Everything that random steps led to, one entry a step (and one for each reset)."""

    states: list[np.ndarray] = field(default_factory=list)
    """Joints, their velocities and targets, and the objects' poses, in one row."""
    images: list[np.ndarray] = field(default_factory=list)
    lags: list[np.ndarray] = field(default_factory=list)
    """Of each joint in radians, at each step."""
    infos: list[dict[str, Any]] = field(default_factory=list)

    def difference(self, other: Play) -> str | None:
        """Return where another play is not the same, bit for bit, or None."""
        for name in ("states", "images"):
            for step, (mine, others) in enumerate(zip(getattr(self, name), getattr(other, name), strict=True)):
                if mine.tobytes() != others.tobytes():
                    return f"{name} differ at entry {step}"
        return None

    def share_without(self, key: str) -> float | None:
        """Return the share of the steps that reported false under ``key``, or None if none has it."""
        reports = [info[key] for info in self.infos if key in info]
        return 1.0 - float(np.mean(reports)) if reports else None


@dataclass
class Cell:
    """What came of one embodiment in one control mode."""

    steps: int
    faults: list[str] = field(default_factory=list)
    """What is wrong; empty if nothing is."""
    mean_lag: float = 0.0
    largest_lag: float = 0.0
    unreachable: float | None = None
    """None where the mode reports nothing."""
    no_way: float | None = None

    def compare(self, first: Play, second: Play) -> None:
        """Note where two plays from the same seeds differ, and what the first one shows."""
        if difference := first.difference(second):
            self.faults.append(difference)
        self.mean_lag, self.largest_lag = float(np.mean(first.lags)), float(np.max(first.lags))
        self.unreachable, planned = first.share_without("reachable"), first.share_without("planned")
        self.no_way = None if planned is None else planned - self.unreachable

    def row(self) -> str:
        """Return the cell's columns of the table."""
        shares = ("" if share is None else f"{share:.0%}" for share in (self.unreachable, self.no_way))
        columns = f"{self.steps:5} {self.mean_lag:8.4f} {self.largest_lag:11.4f} {next(shares):>11} {next(shares):>6}"
        return f"{columns}  {'; '.join(self.faults) or 'ok'}"


def config_of(embodiment: str, mode: str) -> dict[str, Any]:
    """Return the environment of a cell: the options of the two groups, a cluttered table and one small picture."""
    length = PLANNED_EPISODE_STEPS if mode in PLANNING_MODES else EPISODE_STEPS
    small = [f"camera.resolution={RESOLUTION}", f"model.image_size={RESOLUTION}", "camera.names=[wrist]"]
    return env_config(compose([f"embodiment={embodiment}", f"control={mode}", f"env.max_steps={length}", *small]))


def play(env: gymnasium.Env, steps: int) -> Play:
    """Make random steps in episodes of the environment's length, seeds 0, 1, ...

    Raises:
        ValueError: if an observation does not lie in its space.
    """
    result, action = Play(), np.zeros(env.action_space.shape, np.float32)
    for step in range(steps):
        seed, first = step // env.env_spec.max_steps, step % env.env_spec.max_steps == 0
        if first:
            observation, _ = env.reset(seed=seed)
            actions = RandomActions(env.env_spec, seed)
            _record(env, observation, result)
        actions.sample(action)
        observation, _, _, _, info = env.step(action)
        result.infos.append(info)
        result.lags.append(_record(env, observation, result))
    return result


def _record(env: gymnasium.Env, observation: dict[str, np.ndarray], result: Play) -> np.ndarray:
    """Add state and picture; return the lag of each joint."""
    if not env.observation_space.contains(observation):
        raise ValueError("an observation does not lie in the observation space")
    robot = env.base.agent.robot._objs[0]
    poses = [actor.pose.raw_pose.numpy()[0] for actor in env.base.objects]
    targets = [drives.target for drives in env.control.arms]
    result.states.append(np.concatenate([robot.qpos, robot.qvel, *targets, *poses]))
    result.images.append(observation["image"])
    return np.abs(np.concatenate([drives.target - drives.position for drives in env.control.arms]))


@contextmanager
def captured() -> Iterator[list[str]]:
    """Keep what this process and its libraries print, SAPIEN's log included; the lines are there afterwards."""
    lines: list[str] = []
    _flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with tempfile.TemporaryFile() as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield lines
        finally:
            _flush()
            for descriptor, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def _flush() -> None:
    """Write out what Python and the C library have buffered."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)


def check(config: dict[str, Any], steps: int, construct: bool = True) -> Cell:
    """Play a cell twice and check it; see the module.

    Args:
        config: the environment.
        steps: of each of the two plays.
        construct: let ``check_env`` also build environments of its own, one to draw a picture and one to close twice.
    """
    cell = Cell(steps)
    with captured() as lines, warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with closing(registry.make(config)) as env:
                first, second = play(env, steps), play(env, steps)
                check_env(env, skip_render_check=not construct, skip_close_check=not construct)
            cell.compare(first, second)
        except (ArithmeticError, AssertionError, ValueError, RuntimeError, Warning) as error:
            cell.faults.append(f"{type(error).__name__}: {error}")
    cell.faults += [f"printed: {line}" for line in lines]
    return cell


def main() -> int:
    """Check the cells that were asked for; return how many have a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    embodiments = groups()["embodiment"]
    parser.add_argument("--only", choices=embodiments, action="append", help="this embodiment only; may be repeated")
    parser.add_argument("--mode", choices=MODES, action="append", help="this control mode only; may be repeated")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--planned-steps", type=int, default=PLANNED_STEPS, help="steps of ee_pose")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    render.setup("auto")
    print(describe())
    print(f"{'embodiment':12} {'mode':12} {'steps':>5} {'mean lag':>8} largest lag unreachable no way")
    cells = [(name, mode) for name in arguments.only or embodiments for mode in arguments.mode or MODES]
    configs = [config_of(*cell) for cell in cells]  # the whole table, before the first cell takes its time
    faulty = 0
    for (embodiment, mode), config in zip(cells, configs, strict=True):
        cell = check(config, arguments.planned_steps if mode in PLANNING_MODES else arguments.steps)
        print(f"{embodiment:12} {mode:12} {cell.row()}", flush=True)
        faulty += bool(cell.faults)
    return faulty


if __name__ == "__main__":
    sys.exit(main())
