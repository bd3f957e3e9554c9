"""The real student run against its environment alone, with equally many steps: rate, and what takes the time.

The scenes alone play the same number of episodes before and after the run, with random actions, in the same form and
with as many processes; new scenes are built for every episode in both.

    python -m benchmarks.student_speed --episodes 96
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from f1rl.config.compose import compose
from f1rl.launch.build import env_config
from f1rl.launch.explorer import build_explorer_data
from f1rl.rollout.seeds import episode_requests
from f1rl_envs.actions import RandomActions
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector.interface import VectorEnv

_TEACHER = (
    "phase.num_episodes=8",
    "phase.val_episodes=2",
    "phase.tokenizer.num_episodes=8",
    "phase.tokenizer.steps=20",
)
_SHARED = ("model", "embodiment", "control", "camera", "env", "trainer")
"""Groups of the configuration in which the teacher is like the student."""
_PARTS = ("wait_env", "inference", "update", "media")


def run(phase: str, directory: Path, *overrides: str) -> Path:
    """Run a phase and return its directory."""
    path = directory / f"{phase}_rl"
    words = [f"phase={phase}", "env=franka", f"output_dir={path}", *overrides]
    subprocess.run([sys.executable, "-m", "f1rl", *words], check=True, stdout=subprocess.DEVNULL)
    return path


def scenes_alone(episodes: int, directory: Path, overrides: list[str]) -> float:
    """Return control steps per second of the student's scenes with random actions, resets included."""
    cfg = compose(["phase=student", "env=franka", *overrides])
    request, size = episode_requests(0, "random", 1), cfg.phase.batch_size
    data = build_explorer_data(cfg, env_config(cfg), directory)
    try:
        with ThreadPoolExecutor(len(data.envs)) as threads:
            shares = [
                [request(size + index) for index in range(episodes)][i :: len(data.envs)] for i in range(len(data.envs))
            ]
            list(threads.map(play, data.envs, [[request(index) for index in range(env.num_envs)] for env in data.envs]))
            started = time.perf_counter()
            list(threads.map(play, data.envs, shares))
            return episodes * cfg.env.max_steps / (time.perf_counter() - started)
    finally:
        data.close()


def play(env: VectorEnv, requests: Sequence[EpisodeRequest]) -> None:
    """Play ``requests`` with random actions, as many at a time as there are scenes."""
    spec, count = env.env_spec, env.num_envs
    for first in range(0, len(requests), count):
        some = [*requests[first : first + count], *requests[:count]][:count]
        env.reset(some)
        actions = [RandomActions(spec, one.seed) for one in some]
        given = np.zeros((count, len(spec.action_mask)), np.float32)
        for _ in range(spec.max_steps):
            for scene, one in enumerate(actions):
                one.sample(given[scene])
            env.step(given)


def student(episodes: int, directory: Path, overrides: list[str]) -> dict[str, Any]:
    """Return rate and shares of a student's rollouts and updates, the first rollout left out."""
    size = compose(["phase=student", *overrides]).algo.episodes_per_update
    never = ("phase.val_every=100000", "phase.save_every=100000", "phase.val_episodes=2")
    path = run("student", directory, f"phase.num_episodes={episodes + size}", *never, *overrides)
    lines = [json.loads(line) for line in (path / "episode_metrics.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    seconds = last["wall_time"] - first["wall_time"]
    found = {"steps_per_s": (last["env_step"] - first["env_step"]) / seconds}
    for part in _PARTS:
        before, after = (one[f"{part}_share"] * one["wall_time"] for one in (first, last))
        found[part] = (after - before) / seconds
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=96, help="episodes that are measured")
    parser.add_argument("overrides", nargs="*", help="configuration of the student, e.g. rollout.overlap=true")
    arguments = parser.parse_args()
    print(describe(), *arguments.overrides)
    with tempfile.TemporaryDirectory(prefix="f1rl_bench_") as temporary:
        directory = Path(temporary)
        shared = [word for word in arguments.overrides if word.partition("=")[0].partition(".")[0] in _SHARED]
        run("teacher", directory, *_TEACHER, *shared)
        before = scenes_alone(arguments.episodes, directory, arguments.overrides)
        found = student(arguments.episodes, directory, arguments.overrides)
        after = scenes_alone(arguments.episodes, directory, arguments.overrides)
    alone = (before + after) / 2
    print(f"scenes alone              {alone:8.1f} steps/s (before {before:.1f}, after {after:.1f})")
    print(f"student, rollout + update {found['steps_per_s']:8.1f} steps/s: {found['steps_per_s'] / alone:.2f} of that")
    print("shares: " + ", ".join(f"{part} {found[part]:.2f}" for part in _PARTS))


if __name__ == "__main__":
    main()
