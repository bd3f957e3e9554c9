"""Views of large records: how long commands and refreshes take on 200,000 episodes, and commands on 50 runs.

``python -m benchmarks.reports``
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import describe
from f1rl.records.files import write_json
from f1rl.records.reader import RunRecords
from f1rl.tools.monitor.dashboard import dashboard
from f1rl.tools.monitor.snapshot import Watch
from f1rl.tools.monitor.status_page import status_page
from f1rl.tools.monitor.web.parts import sections

_VALIDATIONS = 200


def make_run(directory: Path, episodes: int, seed: int) -> None:
    """Write a finished run of ``episodes`` with as many columns as a real one."""
    directory.mkdir(parents=True)
    rng = random.Random(seed)
    identity = {"id": f"run{seed}", "name": f"bench-s{seed}", "phase": "teacher", "seed": seed, "status": "done"}
    write_json(directory / "run.json", identity)
    (directory / "config.yaml").write_text(f"seed: {seed}\nphase:\n  num_episodes: {episodes}\n")
    train = []
    with (directory / "episode_metrics.jsonl").open("w") as file:
        for number in range(1, episodes + 1):
            record = _record(number, episodes, rng)
            file.write(json.dumps(record) + "\n")
            clocks = {"step": record["optimizer_step"], "epoch": 0, "episode": number, "env_step": record["env_step"]}
            train.append({**clocks, "loss": record["avg_loss"], "accuracy": 0.2, "learning_rate": record["lr"]})
    every = max(episodes // _VALIDATIONS, 1)
    val = [{**entry, "val_loss": entry["loss"] + 0.1, "val_copy_last_loss": 4.0} for entry in train[every - 1 :: every]]
    log = {"config": {}, "train_history": train, "val_history": val}
    write_json(directory / "training_log.json", log)


def _record(number: int, episodes: int, rng: random.Random) -> dict[str, float]:
    clocks = {"env_step": 50 * number, "decision_step": 50 * number, "optimizer_step": 6 * number}
    return {
        "episode": number, "avg_loss": 3 + 3 * math.exp(-4 * number / episodes) + rng.gauss(0, 0.2),
        "avg_acc": 0.2 + rng.gauss(0, 0.01), "episode_reward": rng.random(), "total_steps": 50 * number,
        "lr": 1e-3 * (1 - number / episodes), "timestamp": 1.7e9 + number / 2, **clocks, "grad_norm": 3 * rng.random(),
        "length": 50, "seed": rng.randrange(2**31), "scene_seed": rng.randrange(2**31), "success": False,
        "attempts": 1, "worker": 0, "segment": 0, "wall_time": number / 2, "env_steps_per_s": 100 + rng.random(),
        "wait_env_share": 0.1,
    }  # fmt: skip


def command(*words: str | Path) -> None:
    """Run ``python -m f1rl`` with ``words`` and print its wall and processor time."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "f1rl", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    label = " ".join(word for word in map(str, words) if not word.startswith("/"))
    print(f"  {label:<24}{wall:6.2f} s  ({processor:.2f} s of processor time)", flush=True)


def timed(label: str, function: Callable[[], object]) -> object:
    """Call ``function``, print its wall and processor time, and return what it returned."""
    started, before = time.perf_counter(), time.process_time()
    result = function()
    wall, processor = time.perf_counter() - started, time.process_time() - before
    print(f"  {label:<24}{wall:6.3f} s  ({processor:.3f} s of processor time)", flush=True)
    return result


def append_record(directory: Path, number: int, episodes: int) -> None:
    """Let a run of ``episodes`` write one more record."""
    with (directory / "episode_metrics.jsonl").open("a") as file:
        file.write(json.dumps(_record(number, episodes, random.Random(0))) + "\n")


def refreshes(run: RunRecords, directory: Path, episodes: int) -> None:
    """Measure what one refresh of the monitor costs after a new record, and after a new evaluation."""
    watch = Watch(run)
    append_record(directory, episodes + 2, episodes)
    moment = timed("monitor: look", watch.look)
    timed("monitor: text", lambda: status_page(moment))
    timed("monitor: dashboard", lambda: dashboard(moment, 140, 40))
    timed("monitor: live page", lambda: sections(run, moment))
    log = json.loads((directory / "training_log.json").read_text())
    log["val_history"].append(log["val_history"][-1])
    write_json(directory / "training_log.json", log)
    timed("look after evaluation", watch.look)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=200_000)
    episodes = parser.parse_args().episodes
    print(describe())
    with tempfile.TemporaryDirectory(prefix="f1rl_bench_") as name:
        large, many = Path(name) / "large", Path(name) / "many"
        make_run(large, episodes, 0)
        print(f"{episodes} records ({(large / 'episode_metrics.jsonl').stat().st_size / 2**20:.0f} MiB)")
        run = timed("read all", lambda: RunRecords(large))
        append_record(large, episodes + 1, episodes)
        timed("read one more", run.refresh)
        refreshes(run, large, episodes)
        for option in ("--no-plot", "--html", "--csv", "--plots"):
            command("report", large, option)
        for seed in range(50):
            make_run(many / str(seed), 1000, seed)
        print("50 runs of 1000 records")
        command("runs", many)
        command("compare", many, "--output", many / "page.html")


if __name__ == "__main__":
    main()
