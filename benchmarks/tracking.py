"""How closely each robot follows its delta targets, by the joint that does worst.

Printed for every single arm, in shares of a commanded change of 0.03 rad: how much of it is done within its own control
step of 50 ms and by the end of the next, and by how much it is overshot; and in rad, the lag behind random targets at
the end of each step. Run it after changing the gains of an arm, and put the numbers into its docstring.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl.config.compose import compose
from f1rl.launch.build import env_config
from f1rl_envs import registry
from f1rl_envs.sim.embodiments import ARMS

if TYPE_CHECKING:
    import gymnasium

STEP = 0.03
"""Change of a target by an action of 1, in radians."""


@dataclass(frozen=True)
class Tracking:
    """What one arm does; see the module."""

    first: float
    """Mean share done within the step."""
    second: float
    """Mean share done by the end of the next."""
    least: float
    """The same of the slowest joint."""
    overshoot: float
    """Largest share beyond the target, of any joint."""
    mean_lag: float
    largest_lag: float


def measure(env: gymnasium.Env, joints: list[Any], episodes: int = 3) -> Tracking:
    """Return how the arm of ``env`` follows.

    Args:
        env: an environment with ``delta_qpos`` and ``action_scale=0.3``.
        joints: names of the arm's joints.
        episodes: of 50 random steps.
    """
    action, rng, lags = np.zeros(32, np.float32), np.random.default_rng(0), []
    for seed in range(episodes):
        env.reset(seed=seed, options={"scene_seed": 7})
        index = env.base.agent.joint_indices(joints)
        robot = env.base.agent.robot._objs[0]
        for _ in range(50):
            action[: len(joints)] = rng.uniform(-1, 1, len(joints))
            env.step(action)
            targets = [robot.active_joints[i].drive_target[0] for i in index]
            lags.append(np.abs(targets - robot.qpos[index]))
    env.reset(seed=0, options={"scene_seed": 7})
    robot = env.base.agent.robot._objs[0]
    start = robot.qpos[index]
    action[: len(joints)] = np.resize([1.0, -1.0], len(joints))
    direction, shares = action[: len(joints)].copy(), []
    for _ in range(12):
        env.step(action)
        action[:] = 0.0
        shares.append((robot.qpos[index] - start) * direction / STEP)
    return Tracking(
        float(np.mean(shares[0])),
        float(np.mean(shares[1])),
        float(np.min(shares[1])),
        float(np.max(shares) - 1.0),
        float(np.mean(lags)),
        float(np.max(lags)),
    )


def main() -> None:
    """Measure every single arm."""
    print("arm        first  next  slowest  overshoot  mean lag  largest lag")
    for name, arm in ARMS.items():
        env = registry.make(env_config(compose([f"embodiment={name}", "randomization.cluttered_table=false"])))
        first, second, least, over, mean, largest = astuple(measure(env, list(arm.joints)))
        env.close()
        print(f"{name:10} {first:5.2f} {second:5.2f} {least:8.2f} {over:10.2f} {mean:9.4f} {largest:12.4f}")


if __name__ == "__main__":
    main()
