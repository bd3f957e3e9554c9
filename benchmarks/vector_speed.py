"""Steps per second of the process form of a vector environment against single environments in processes of their own.

The baseline is what the same number of processes can do at best: each steps one scene in a loop of its own, waits for
nobody, and copies nothing to anybody, as many steps as a worker makes. Both run in alternating blocks, and the median
ratio is reported; resets are not counted. One scene per worker shows what waiting for the slowest costs, several show
how that fades. The machine must be idle: where cores are shared, a step that waits for all workers waits for the
unluckiest, and the ratio says more about the neighbours::

    python -m benchmarks.vector_speed --workers 2 --scenes 2 8
    python -m benchmarks.vector_speed --env toy      # no simulation: all overhead
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.env_speed import config_of
from f1rl_envs import registry
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector import ProcessVectorEnv

TOY = {"id": "toy", "variant": "arm", "max_steps": 50, "camera": {"names": ["head", "wrist"], "resolution": 64}}


def step_alone(config: dict[str, Any], length: int, connection: Connection) -> None:
    """Answer each seed that comes with the seconds that ``length`` steps from there took; None ends."""
    env = registry.make(config)
    while (seed := connection.recv()) is not None:
        env.reset(seed=seed, options={"scene_seed": 1})
        actions = np.random.default_rng(seed).uniform(-1, 1, (length, 32)).astype(np.float32)
        connection.send("ready")
        connection.recv()
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        connection.send(time.perf_counter() - start)


class Alone:
    """Single environments, each in a process of its own."""

    def __init__(self, config: dict[str, Any], number: int, length: int) -> None:
        """Start the processes; each makes ``length`` steps at a time."""
        context = multiprocessing.get_context("spawn")
        self._length = length
        self._connections, self._processes = [], []
        for _ in range(number):
            ours, theirs = context.Pipe()
            self._processes.append(context.Process(target=step_alone, args=(config, length, theirs), daemon=True))
            self._processes[-1].start()
            self._connections.append(ours)

    def rate(self, seed: int) -> float:
        """Return the steps per second of all together."""
        for message in (seed, "go"):
            for connection in self._connections:
                connection.send(message)
            answers = [connection.recv() for connection in self._connections]
        return sum(self._length / seconds for seconds in answers)

    def close(self) -> None:
        """End the processes."""
        for connection, process in zip(self._connections, self._processes, strict=True):
            connection.send(None)
            process.join()


def rate(env: ProcessVectorEnv, seed: int) -> float:
    """Return the steps per second of all scenes together over one episode."""
    env.reset([EpisodeRequest(scene, seed + scene, 1) for scene in range(env.num_envs)])
    actions = np.random.default_rng(seed).uniform(-1, 1, (env.env_spec.max_steps, env.num_envs, 32)).astype(np.float32)
    start = time.perf_counter()
    for action in actions:
        env.step(action)
    return actions.shape[0] * env.num_envs / (time.perf_counter() - start)


def compare(config: dict[str, Any], num_workers: int, num_scenes: int, repeats: int) -> tuple[float, float, float]:
    """Return the median steps per second of the vector environment and of the baseline, and the median ratio."""
    limits = {"start_timeout": 300.0, "step_timeout": 60.0, "max_restarts": 0, "log_dir": None}
    alone = Alone(config, num_workers, config["max_steps"] * num_scenes // num_workers)
    with ProcessVectorEnv(config, num_scenes, num_workers, **limits) as env:
        rate(env, 0), alone.rate(0)
        pairs = np.array([(rate(env, seed), alone.rate(seed)) for seed in range(1, repeats + 1)])
    alone.close()
    return *np.median(pairs, axis=0), float(np.median(pairs[:, 0] / pairs[:, 1]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=("simulator", "toy"), default="simulator")
    parser.add_argument("--resolution", type=int, default=64, help="height and width of a picture")
    parser.add_argument("--workers", type=int, default=2, help="processes of each side")
    parser.add_argument("--scenes", type=int, nargs="+", default=[2, 8], help="scenes of the vector environment")
    parser.add_argument("--repeats", type=int, default=7, help="episodes of each side")
    args = parser.parse_args()
    config = TOY if args.env == "toy" else config_of(args.resolution, "auto")
    print(machine.describe())
    print(f"{'scenes':>8}{'workers':>9}{'vector steps/s':>16}{'alone steps/s':>15}{'ratio':>8}")
    for scenes in args.scenes:
        vector, alone, ratio = compare(config, args.workers, scenes, args.repeats)
        print(f"{scenes:>8}{args.workers:>9}{vector:>16.0f}{alone:>15.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
