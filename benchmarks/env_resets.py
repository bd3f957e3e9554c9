"""What a reset costs, with and without a new scene, and whether memory grows over many of them.

A reset takes the first pictures too: its time is given with and without them, beside that of pictures taken again with
nothing moved. A step comes before each. Memory is the resident size after each tenth of the resets; its slope over the
second half is what grows::

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


def now() -> np.ndarray:
    """Return wall time and processor time in milliseconds, ``[2]``; the second bears other load better."""
    return 1e3 * np.array([time.perf_counter(), time.process_time()])


def cost(env: RandomExplorationEnv, call: Callable[[int], Any], count: int) -> np.ndarray:
    """Return the medians of :func:`now` over ``call(k)``, and over what of it is not taking pictures, ``[2, 2]``."""
    times, observe, pictures = [], env._observe, np.zeros(2)

    def timed() -> dict[str, np.ndarray]:
        start = now()
        observation = observe()
        pictures[:] = now() - start
        return observation

    for k in range(count):
        env.step(env.action_space.sample())
        with mock.patch.object(env, "_observe", timed):
            start = now()
            call(k)
            whole = now() - start
        times.append([whole, whole - pictures])
    return np.median(times, axis=0)


def times_of_resets(env: RandomExplorationEnv) -> dict[str, np.ndarray]:
    """Return what is measured by its label, each ``[2]`` as :func:`now` gives it."""
    for k in range(2):  # the second reset prepares the scene for those to come
        env.reset(seed=k, options={"scene_seed": 1})
    kept = cost(env, lambda k: env.reset(seed=k, options={"scene_seed": 1}), 200)
    still = cost(env, lambda _: env._observe(), 200)
    new = cost(env, lambda k: env.reset(seed=k, options={"scene_seed": 2 + k}), 20)
    return {
        "reset, same scene": kept[0],
        "the same without its pictures": kept[1],
        "the pictures of a still scene": still[0],
        "reset, new scene": new[0],
    }


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
