"""Every ManiSkill task that runs from the wheel alone: ``python -m benchmarks.maniskill_tasks``.

Prints the table of ``docs/environments.md``: robot, reward, and the processor time of a step with every camera that the
robot has. Processor time, because a software renderer in one thread takes the same whatever else the machine does.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings

import numpy as np

from benchmarks.machine import describe
from f1rl_envs import registry
from f1rl_envs.registration import CONFIGURATIONS, merged
from f1rl_envs.sim.maniskill_spec import ROBOTS, TASKS


def measure(task: str, resolution: int, steps: int) -> tuple[str, float]:
    """Return the task's kind of reward, and milliseconds of processor time of one step."""
    cameras = ["head", *ROBOTS[TASKS[task].robot].wrist_cameras]
    changes = {"task": task, "max_steps": 10**6, "camera": {"names": cameras, "resolution": resolution}}
    env = registry.make(merged(CONFIGURATIONS["f1rl/ManiSkill-v0"], changes))
    actions = np.random.default_rng(0).uniform(-1, 1, (steps + 3, 32)).astype(np.float32)
    env.reset(seed=0)
    for action in actions[:3]:
        env.step(action)
    started = time.process_time()
    for action in actions[3:]:
        _, _, _, _, info = env.step(action)
    elapsed = time.process_time() - started
    reward = env.base.reward_mode
    env.close()
    assert "success" in info
    return reward, 1000 * elapsed / steps


def main() -> None:
    """Measure every task and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="gymnasium")
    logging.getLogger("mani_skill").setLevel(logging.ERROR)
    print(describe())
    print("| task | robot | reward | scenes differ | ms of a step |\n|---|---|---|---|---:|")
    for name, task in TASKS.items():
        if not task.downloads:
            reward, milliseconds = measure(name, options.resolution, options.steps)
            differ = "yes" if task.varies else ""
            print(f"| `{name}` | {task.robot} | {reward} | {differ} | {milliseconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
