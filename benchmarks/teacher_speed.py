"""The real teacher run for a while: training rate, busy cores, memory, where the start-up time goes.

``python -m benchmarks.teacher_speed --seconds 90``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import describe


def measure(seconds: float, warm_up: float, overrides: list[str]) -> dict[str, Any]:
    """Run the teacher phase, leave out ``warm_up`` seconds, and measure for ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="f1rl_bench_") as directory:
        run = Path(directory) / "run"
        command = [sys.executable, "-m", "f1rl", "phase=teacher", "env=franka", f"output_dir={run}", *overrides]
        process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _wait_for_training(process, run)
            time.sleep(warm_up)
            before, started = _sample(process, run), time.perf_counter()
            time.sleep(seconds)
            after, wall = _sample(process, run), time.perf_counter() - started
            return _report(before, after, wall, run)
        finally:
            process.terminate()
            process.wait()


def _wait_for_training(process: psutil.Popen, run: Path) -> None:
    records = run / "episode_metrics.jsonl"
    while not (records.exists() and records.stat().st_size):
        if process.poll() is not None:
            raise SystemExit(f"the run ended with {process.returncode}:\n{process.stderr.read()}")
        time.sleep(0.2)


def _sample(process: psutil.Popen, run: Path) -> dict[str, Any]:
    workers = process.children(recursive=True)
    records = [json.loads(line) for line in (run / "episode_metrics.jsonl").read_text().splitlines()]
    return {
        "cpu_trainer": sum(process.cpu_times()[:2]),
        "cpu_workers": sum(sum(worker.cpu_times()[:2]) for worker in workers),
        "rss_trainer": process.memory_info().rss,
        "rss_workers": [_peak(worker.pid) for worker in workers],
        "peak_trainer": _peak(process.pid),
        "record": records[-1],
    }


def _peak(pid: int) -> int:
    """Return the largest resident size of a process so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def _report(before: dict[str, Any], after: dict[str, Any], wall: float, run: Path) -> dict[str, Any]:
    cores = psutil.cpu_count()
    trainer = (after["cpu_trainer"] - before["cpu_trainer"]) / wall
    workers = (after["cpu_workers"] - before["cpu_workers"]) / wall
    first, last = before["record"], after["record"]
    steps = last["env_step"] - first["env_step"]
    return {
        "env_steps_per_s": steps / (last["wall_time"] - first["wall_time"]),
        "wait_env_share": last["wait_env_share"],
        "busy_share_of_all_cores": (trainer + workers) / cores,
        "trainer_cores": trainer,
        "worker_cores": workers,
        "peak_trainer_mib": after["peak_trainer"] / 2**20,
        "peak_worker_mib": max(after["rss_workers"]) / 2**20,
        "timings_s": json.loads((run / "run.json").read_text())["timings"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of the measurement")
    parser.add_argument("--warm-up", type=float, default=20, help="seconds of training that are left out")
    parser.add_argument("overrides", nargs="*", help="configuration of the run, e.g. bptt=16")
    arguments = parser.parse_args()
    print(describe())
    for name, value in measure(arguments.seconds, arguments.warm_up, arguments.overrides).items():
        print(f"{name:<26}{value:.3f}" if isinstance(value, float) else f"{name:<26}{value}")


if __name__ == "__main__":
    main()
