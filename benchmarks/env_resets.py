"""What a reset costs, with and without a new scene, and whether memory grows over many of them.

A reset takes the first pictures too: its time is given with and without them, and beside it what the same pictures cost
again, with nothing moved. Each reset follows a step. Memory is the resident size after each tenth of the resets; its slope
over the second half is what grows::

    python -m benchmarks.env_resets --resets 1000
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from benchmarks.env_speed import config_of
from benchmarks.machine import describe
from f1rl_envs.sim import make

if TYPE_CHECKING:
    from collections.abc import Callable

    from f1rl_envs.sim.gym import RandomExplorationEnv

RESETS_PER_SCENE = 5
"""Of the resets whose memory is measured, one in so many builds a scene."""


def milliseconds(env: RandomExplorationEnv, call: Callable[[int], Any], count: int) -> tuple[float, float]:
    """Return the median wall time and the median processor time of ``call(k)``; the second bears other load better."""
    times = []
    for k in range(count):
        env.step(env.action_space.sample())
        wall, busy = time.perf_counter(), time.process_time()
        call(k)
        times.append((time.perf_counter() - wall, time.process_time() - busy))
    wall, busy = 1e3 * np.median(times, axis=0)
    return float(wall), float(busy)


def times_of_resets(env: RandomExplorationEnv) -> dict[str, tuple[float, float]]:
    """Return what is measured by its label, each as :func:`milliseconds` gives it."""

    def reset(k: int) -> None:
        env.reset(seed=k, options={"scene_seed": 1})

    reset(0)
    rows = {"reset, same scene": milliseconds(env, reset, 200)}
    with mock.patch.object(env, "_observe", return_value={}):
        rows["the same without pictures"] = milliseconds(env, reset, 200)
    rows["the pictures of a still scene"] = milliseconds(env, lambda _: env._observe(), 200)
    rows["reset, new scene"] = milliseconds(env, lambda k: env.reset(seed=k, options={"scene_seed": 2 + k}), 20)
    return rows


def rss_mb() -> float:
    """Return the resident size of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(env: RandomExplorationEnv, resets: int) -> tuple[list[float], float]:
    """Return the resident size after each tenth of ``resets``, and its slope in MB per 1,000 resets."""
    sizes, counts = [], []
    for k in range(resets):
        env.reset(seed=k, options={"scene_seed": 1000 + k // RESETS_PER_SCENE})
        env.step(env.action_space.sample())
        if (k + 1) % (resets // 10) == 0:
            sizes.append(rss_mb())
            counts.append(k + 1)
    half = len(sizes) // 2
    return sizes, 1000 * float(np.polyfit(counts[half:], sizes[half:], 1)[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=64, help="height and width of a picture")
    parser.add_argument("--resets", type=int, default=300, help="resets whose memory is measured, a multiple of 10")
    args = parser.parse_args()
    env = make(config_of(args.resolution, "auto"))
    print(f"two cameras of {args.resolution} px      wall ms  processor ms")
    for name, (wall, busy) in times_of_resets(env).items():
        print(f"{name:<38}{wall:8.2f}{busy:8.2f}")
    sizes, slope = memory(env, args.resets)
    print(f"resident MB over {args.resets} resets: {' '.join(f'{size:.0f}' for size in sizes)}")
    print(f"slope over the second half: {slope:+.1f} MB per 1,000 resets")
    print(describe())
    env.close()


if __name__ == "__main__":
    main()
