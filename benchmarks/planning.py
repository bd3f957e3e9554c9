"""How often a planner reaches random poses on the Panda, without touching anything on the way.

``python -m benchmarks.planning --poses 100``

A pose counts as reachable if it is that of a random posture which touches neither the robot itself nor anything in the
scene and lies in the workspace box with the fingers above the table; half of the poses are drawn in cluttered scenes,
each from the posture that the last one left. A way counts if the tool centre point arrives within 5 mm and 0.03 rad and
the physics reports no contact of the robot with table or objects in any of its steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

import numpy as np

from f1rl.config.compose import compose
from f1rl.launch.environment import env_config
from f1rl_envs.registry import make
from f1rl_envs.sim.control import modes, rotations

POSES_PER_SCENE = 10


def config(planner: str, objects: int, arm: str) -> dict[str, object]:
    """Return a scene with a number of objects, seen by one small camera."""
    settings = [
        f"embodiment.arms=[{arm}]",
        "control=ee_pose",
        f"control.planner={planner}",
        "camera.names=[wrist]",
        "env.max_steps=1000000",
        f"randomization.num_objects=[{objects},{objects}]",
    ]
    return env_config(compose(settings))


def reachable_action(env: object, rng: np.random.Generator) -> np.ndarray:
    """Return the action of a pose that a random free posture has."""
    (drives,), planner = env.control.arms, env.control._planner
    arm, kinematics = drives.arm, env.control._kinematics[0]
    box, limits = modes.workspace(arm), np.array(arm.limits)
    planner._posture = env.base.agent.robot._objs[0].qpos.astype(np.float64)
    planner._collisions.observe(planner._scene, planner._articulation.pose, planner._whole(drives.position))
    while True:
        joints = rng.uniform(limits[:, 0], limits[:, 1])
        pose = kinematics.forward(joints)
        inside = (pose[:3, 3] >= box[:, 0]).all() and (pose[:3, 3] <= box[:, 1]).all()
        if inside and planner._is_free(joints):
            action = np.zeros(32, np.float32)
            action[:3] = (pose[:3, 3] - box.mean(axis=1)) / ((box[:, 1] - box[:, 0]) / 2)
            action[3:7] = rotations.to_quaternion(pose[:3, :3])
            return action


def touches(env: object) -> bool:
    """Return whether the physics has a contact between a moving link and something that is not the robot."""
    links = {link.entity for link in env.base.agent.robot._objs[0].links[1:]}
    for contact in env.base.scene.sub_scenes[0].get_contacts():
        mine = [body.entity in links for body in contact.bodies]
        pressed = any(np.linalg.norm(point.impulse) > 0.0 for point in contact.points)
        if pressed and mine[0] != mine[1]:
            return True
    return False


def attempts(planner: str, arm: str, poses: int) -> Iterator[dict[str, float]]:
    """Yield one record for each pose."""
    for scene in range(poses // POSES_PER_SCENE):
        env = make(config(planner, 6 if scene % 2 else 0, arm))
        env.reset(seed=scene)
        rng = np.random.default_rng(scene)
        for _ in range(POSES_PER_SCENE):
            yield attempt(env, reachable_action(env, rng))
        env.close()


def attempt(env: object, action: np.ndarray) -> dict[str, float]:
    """Plan to one pose and go there."""
    control, touched = env.control, False
    started = time.perf_counter()
    periods = control.periods(control.command(action))
    next(periods)
    seconds = time.perf_counter() - started
    while True:
        for _ in range(env._substeps):
            env._step_physics()
            touched = touched or touches(env)
        if next(periods, control) is control:
            break
    reached = control._kinematics[0].forward(control.arms[0].position.astype(np.float64))
    wanted, report = control._wanted[0], control.report()
    return {
        **report,
        "touched": touched,
        "metres": float(np.linalg.norm(reached[:3, 3] - wanted[:3, 3])),
        "radians": float(rotations.angle_between(reached[:3, :3], wanted[:3, :3], np)),
        "seconds": seconds,
    }


def main() -> None:
    """Print the share of poses that were reached, and what became of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=100)
    parser.add_argument("--planner", default="ompl", choices=modes.PLANNERS)
    parser.add_argument("--arm", default="franka")
    arguments = parser.parse_args()
    records = list(attempts(arguments.planner, arguments.arm, arguments.poses))
    arrived = [r["planned"] and r["metres"] < 5e-3 and r["radians"] < 0.03 for r in records]
    seconds, periods = ([r[key] for r in records] for key in ("seconds", "control_periods"))
    clean = [a and not r["touched"] for a, r in zip(arrived, records, strict=True)]
    summary = {
        "poses": len(records),
        "reached without contact": float(np.mean(clean)),
        "no joints found": sum(not r["reachable"] for r in records),
        "no way found": sum(r["reachable"] and not r["planned"] for r in records),
        "touched something": sum(r["touched"] for r in records),
        "median seconds to plan": float(np.median(seconds)),
        "longest seconds to plan": max(seconds),
        "median control periods": float(np.median(periods)),
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
