"""Start-up: how long until ``--help``, the first environment step and the first optimizer step.

``python -m benchmarks.startup``
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe

_FIRST_STEP = """
import json, sys
from f1rl_envs import registry
env = registry.make(json.loads(sys.argv[1]))
env.reset(seed=0)
env.step(env.action_space.sample())
"""


def seconds(command: list[str], repeats: int) -> float:
    """Return the median wall time of ``command``."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def environment() -> str:
    """Return the configuration of ``env=franka`` as the workers get it, in JSON."""
    from f1rl.config.compose import compose
    from f1rl.launch.build import env_config

    return json.dumps(env_config(compose(["env=franka"])))


def first_optimizer_step(repeats: int) -> float:
    """Return the median wall time of a run of one optimizer step, with the tokenizer already in the cache."""
    with tempfile.TemporaryDirectory(prefix="f1rl_bench_") as directory:
        command = [sys.executable, "-m", "f1rl", "env=franka", "debug=smoke", "overwrite=true"]
        command += [f"output_dir={Path(directory) / 'run'}", f"phase.tokenizer.cache_dir={directory}"]
        command += ["phase.num_episodes=1", "phase.batch_size=1", "env.max_steps=8", "phase.val_episodes=1"]
        seconds(command, 1)  # trains the tokenizer
        return seconds(command, repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print(describe())
    print(f"--help                    {seconds([sys.executable, '-m', 'f1rl', '--help'], repeats):.2f} s")
    print(f"--cfg job                 {seconds([sys.executable, '-m', 'f1rl', '--cfg', 'job'], repeats):.2f} s")
    first = seconds([sys.executable, "-c", _FIRST_STEP, environment()], repeats)
    print(f"first environment step    {first:.2f} s (simulator, two cameras, in a fresh process)")
    whole = first_optimizer_step(repeats)
    print(f"run of one optimizer step {whole:.2f} s (whole process: imports, workers, training, evaluation, files)")


if __name__ == "__main__":
    main()
