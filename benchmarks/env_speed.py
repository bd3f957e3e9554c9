"""Steps per second of ``random_exploration`` against bare SAPIEN on the very same scene.

Both loops drive the arm with random joint deltas, simulate the same substeps, take the same pictures and read the
joints; the bare one does that and nothing else. They alternate in short blocks, so that whatever else the machine does
falls on both, and the median over the blocks is reported::

    python benchmarks/env_speed.py --resolution 64 --steps 50 --repeats 10
    python benchmarks/env_speed.py --json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl.config.compose import compose
from f1rl.launch.environment import env_config
from f1rl_envs.sim import make

if TYPE_CHECKING:
    from collections.abc import Callable

    from f1rl_envs.sim.gym import RandomExplorationEnv


def config_of(resolution: int, render_device: str) -> dict[str, Any]:
    """Return the environment of the real run."""
    return env_config(
        compose(
            [f"camera.resolution={resolution}", f"model.image_size={resolution}", f"env.render_device={render_device}"]
        )
    )


def env_loop(env: RandomExplorationEnv, actions: np.ndarray) -> None:
    """Step the environment."""
    for action in actions:
        env.step(action)


def bare_loop(env: RandomExplorationEnv, actions: np.ndarray) -> None:
    """Do the same work on the environment's scene with SAPIEN alone."""
    scene = env.base.scene.sub_scenes[0]
    physics, robot = scene.physx_system, env.base.agent.robot._objs[0]
    joints, cameras = robot.active_joints, env._cameras
    target = robot.qpos
    for action in actions:
        target[:7] += 0.03 * action[:7]
        target[7:] = 0.02 + 0.02 * action[7]
        for joint, value in zip(joints, target, strict=True):
            joint.set_drive_target(value)
        for _ in range(10):
            physics.step()
        scene.update_render()
        for camera in cameras:
            camera.take_picture()
        for camera in cameras:
            camera.get_picture("Color")
        _ = robot.qpos


def timed(loop: Callable[..., None], env: RandomExplorationEnv, steps: int, k: int) -> float:
    """Return the steps per second of one block; both loops start from the same episode."""
    env.reset(seed=k, options={"scene_seed": 1})
    actions = np.random.default_rng(k).uniform(-1, 1, (steps, 32)).astype(np.float32)
    start = time.perf_counter()
    loop(env, actions)
    return steps / (time.perf_counter() - start)


def triangles(env: RandomExplorationEnv) -> int:
    """Return the triangles of everything that is drawn."""
    bodies = env.base.scene.sub_scenes[0].render_system.render_bodies
    return sum(len(part.triangles) for body in bodies for shape in body.render_shapes for part in shape.parts)


def cpu_name() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return the numbers."""
    start = time.perf_counter()
    env = make(config_of(args.resolution, args.render_device))
    env.reset(seed=0, options={"scene_seed": 1})
    first = time.perf_counter() - start
    for loop in (env_loop, bare_loop):
        timed(loop, env, args.steps, 0)
    ours, bare = [], []
    for k in range(args.repeats):
        ours.append(timed(env_loop, env, args.steps, k))
        bare.append(timed(bare_loop, env, args.steps, k))
    result = {
        "env_steps_per_s": round(float(np.median(ours)), 1),
        "bare_sapien_steps_per_s": round(float(np.median(bare)), 1),
        "ratio": round(float(np.median(np.divide(ours, bare))), 3),
        "make_and_first_reset_s": round(first, 2),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "resolution": args.resolution,
        "cameras": len(env.env_spec.cameras),
        "triangles": triangles(env),
        "steps": args.steps,
        "repeats": args.repeats,
        "renderer": env.renderer.as_record(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "lp_num_threads": os.environ.get("LP_NUM_THREADS"),
    }
    env.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=64, help="height and width of a picture")
    parser.add_argument("--steps", type=int, default=50, help="control steps of one block")
    parser.add_argument("--repeats", type=int, default=10, help="blocks of each loop")
    parser.add_argument("--render-device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    args = parser.parse_args()
    result = measure(args)
    if args.json:
        print(json.dumps(result))
        return
    width = max(map(len, result))
    for key, value in result.items():
        print(f"{key:<{width}}  {value['device'] if key == 'renderer' else value}")


if __name__ == "__main__":
    main()
