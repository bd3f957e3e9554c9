"""Control steps per second of several processes at once, as the workers of a run share a machine.

Each process steps one environment with random actions for some seconds, all at the same time. The sum is reported
twice: of steps alone, and of whole episodes, each on a scene of its own, as the default configuration collects them::

    python -m benchmarks.env_workers --resolution 64 --workers 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.env_speed import config_of
from benchmarks.machine import describe

if TYPE_CHECKING:
    from f1rl_envs.sim.gym import RandomExplorationEnv


def rate(env: RandomExplorationEnv, seconds: float, *, resets: bool) -> float:
    """Return the steps per second of one environment, new scenes included or not."""
    actions = np.random.default_rng(0).uniform(-1, 1, (env.env_spec.max_steps, 32)).astype(np.float32)
    started, steps, episode = time.perf_counter(), 0, 0
    while time.perf_counter() < started + seconds:
        if resets:
            env.reset(seed=episode, options={"scene_seed": episode})
        for action in actions:
            env.step(action)
        steps, episode = steps + len(actions), episode + 1
    return steps / (time.perf_counter() - started)


def work(resolution: int, seconds: float, barrier: Barrier, rates: multiprocessing.Queue) -> None:
    """Measure in this process, at the same time as the others."""
    from f1rl_envs.sim import make

    env = make(config_of(resolution, "auto"))
    env.reset(seed=0, options={"scene_seed": 1})
    found = []
    for resets in (False, True):
        rate(env, 1.0, resets=resets)
        barrier.wait()
        found.append(rate(env, seconds, resets=resets))
        barrier.wait()
    rates.put(found)
    env.close()


def measure(resolution: int, workers: int, seconds: float) -> tuple[float, float]:
    """Return the summed steps per second of steps alone, and of whole episodes on new scenes."""
    context = multiprocessing.get_context("spawn")
    barrier, rates = context.Barrier(workers), context.Queue()
    processes = [context.Process(target=work, args=(resolution, seconds, barrier, rates)) for _ in range(workers)]
    for process in processes:
        process.start()
    steps, episodes = np.sum([rates.get(timeout=120 + 10 * seconds) for _ in processes], axis=0)
    for process in processes:
        process.join()
    return float(steps), float(episodes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=64, help="height and width of a picture")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each of the two measurements")
    args = parser.parse_args()
    steps, episodes = measure(args.resolution, args.workers, args.seconds)
    print(f"{args.workers} workers, two cameras of {args.resolution} px, load before {os.getloadavg()[0]:.1f}")
    print(f"control steps/s, steps alone             {steps:.0f}")
    print(f"control steps/s, episodes on new scenes  {episodes:.0f}")
    print(describe())


if __name__ == "__main__":
    main()
