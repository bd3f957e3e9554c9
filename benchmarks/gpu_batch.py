"""The batched form on a GPU: steps per second, memory, and agreement with the process form.

Needs a CUDA device that can also draw, and a CUDA build of torch::

    python -m benchmarks.gpu_batch --scenes 64 256 1024
    python -m benchmarks.gpu_batch --scenes 64 256 1024 --resolution 128
    python -m benchmarks.gpu_batch --agreement 16      # states and pictures against worker processes, same seeds

Each number of scenes runs in a process of its own, so that its memory is its own. **Not run yet**, for want of a GPU;
``tests/f1rl_envs/vector/test_simulator.py`` compares one scene of the same code on the CPU with the process form.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch

from benchmarks import machine
from benchmarks.env_speed import config_of
from f1rl_envs.sim.batched import BatchedVectorEnv
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector import ProcessVectorEnv

_OBJECTS = 4
"""Number of objects of every scene: where it is drawn, the batched form takes that of the first scene for all."""


def gpu_config(resolution: int) -> dict[str, Any]:
    """Return the environment of the real run on the first GPU."""
    config = config_of(resolution, "cuda:0")
    config["randomization"] |= {"num_objects": [_OBJECTS, _OBJECTS]}
    return config


def requests(number: int, seed: int) -> list[EpisodeRequest]:
    """Return an episode for each scene; the scenes differ."""
    return [EpisodeRequest(scene, seed + scene, scene_seed=scene) for scene in range(number)]


def measure(num_scenes: int, resolution: int, repeats: int) -> dict[str, Any]:
    """Return speed and memory of that many scenes."""
    config = gpu_config(resolution)
    free_before, _ = torch.cuda.mem_get_info()
    with BatchedVectorEnv(config, num_scenes) as env:
        start = time.perf_counter()
        env.reset(requests(num_scenes, 0))
        build = time.perf_counter() - start
        actions = torch.rand(num_scenes, 32, device=env.device) * 2 - 1
        rates, resets = [], []
        for repeat in range(repeats + 1):
            start = time.perf_counter()
            env.reset(requests(num_scenes, repeat))
            torch.cuda.synchronize()
            resets.append(time.perf_counter() - start)
            start = time.perf_counter()
            while not env.finished.all():
                env.step(actions)
            torch.cuda.synchronize()
            rates.append(num_scenes * config["max_steps"] / (time.perf_counter() - start))
        free, _ = torch.cuda.mem_get_info()
        return {
            "scenes": num_scenes,
            "steps_per_s": round(float(np.median(rates[1:]))),
            "reset_ms": round(1e3 * float(np.median(resets[1:])), 1),
            "build_s": round(build, 1),
            "gpu_memory_mib": round((free_before - free) / 2**20),
            "device": torch.cuda.get_device_name(),
        }


def agreement(num_scenes: int, resolution: int) -> dict[str, float]:
    """Return the largest difference of states and the mean one of pictures over one episode, GPU against workers."""
    config, asked = gpu_config(resolution), requests(num_scenes, 0)
    steps = config["max_steps"]
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, num_scenes, 32)).astype(np.float32)
    limits = {"start_timeout": 300.0, "step_timeout": 60.0, "max_restarts": 0, "log_dir": None}
    states, pictures = [], []
    with ProcessVectorEnv(config, num_scenes, 2, **limits) as workers, BatchedVectorEnv(config, num_scenes) as batch:
        seen = workers.reset(asked)[0], batch.reset(asked)[0]
        for step in range(steps + 1):
            one, other = ({key: torch.as_tensor(o[key]).cpu().float() for key in ("state", "image")} for o in seen)
            states.append(float((one["state"] - other["state"]).abs().max()))
            pictures.append(float((one["image"] - other["image"]).abs().mean()))
            if step < steps:
                seen = workers.step(actions[step])[0], batch.step(torch.from_numpy(actions[step]))[0]
    return {
        "state_difference_at_start": states[0],
        "state_difference_max": max(states),
        "picture_difference_at_start": pictures[0],
        "picture_difference_mean": float(np.mean(pictures)),
    }


def main() -> int:
    """Measure and print; return 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, nargs="+", default=[64, 256, 1024], help="numbers of scenes to measure")
    parser.add_argument("--resolution", type=int, default=64, help="height and width of a picture")
    parser.add_argument("--repeats", type=int, default=5, help="episodes of each number")
    parser.add_argument("--agreement", type=int, metavar="N", help="compare N scenes with worker processes instead")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch finds no CUDA device; nothing is measured")
        return 1
    if args.agreement:
        print(json.dumps(agreement(args.agreement, args.resolution), indent=2))
        return 0
    if len(args.scenes) > 1:
        print(machine.describe())
        command = [sys.executable, "-m", "benchmarks.gpu_batch", "--resolution", str(args.resolution)]
        command += ["--repeats", str(args.repeats), "--scenes"]
        return max(subprocess.run([*command, str(number)], check=False).returncode for number in args.scenes)
    print(json.dumps(measure(args.scenes[0], args.resolution, args.repeats)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
