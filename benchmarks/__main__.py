"""What the parts cost: ``python -m benchmarks``, each in a process of its own; ``--list`` says what that is."""

from __future__ import annotations

import argparse
import subprocess
import sys

SUITE = (
    ("start-up", ("startup",)),
    ("environment against bare SAPIEN, 64 px", ("env_speed", "--resolution", "64")),
    ("environment against bare SAPIEN, 128 px", ("env_speed", "--resolution", "128")),
    ("vector environment against single environments", ("vector_speed",)),
    ("two workers, 64 px", ("env_workers", "--resolution", "64")),
    ("two workers, 128 px", ("env_workers", "--resolution", "128")),
    ("resets and memory", ("env_resets",)),
    ("teacher training", ("teacher_speed",)),
    ("student against its scenes alone", ("student_speed",)),
    ("memory that loading weights takes", ("weight_loading",)),
    ("reports of large records", ("reports",)),
)
LONG = (
    ("every embodiment in every control mode", ("matrix",)),
    ("how closely arms follow their targets", ("tracking",)),
    ("planned poses", ("planning",)),
    ("ManiSkill's tasks", ("maniskill_tasks",)),
    ("what memory is good for", ("memory",)),
    ("policy losses on standard tasks", ("algorithms",)),
    ("what explorers learn", ("explorers",)),
)
_ON_256_SCENES = ("model=tiny", "phase.batch_size=256", "algo.episodes_per_update=256")
_ON_128_SCENES = ("model=small", "phase.batch_size=128", "algo.episodes_per_update=128")
GPU = (
    ("the full size, what it will need", ("full_size", "--preset", "f1", "--plan")),
    ("the full size, switch by switch", ("full_size", "--preset", "f1", "--batch", "1", "--steps", "7", "--each")),
    ("the small size, switch by switch", ("full_size", "--preset", "small", "--batch", "8", "--steps", "8", "--each")),
    ("scenes as one batch, 64 px", ("gpu_batch", "--scenes", "64", "256", "1024")),
    ("scenes as one batch, 128 px", ("gpu_batch", "--scenes", "64", "256", "1024", "--resolution", "128")),
    ("scenes as one batch against worker processes", ("gpu_batch", "--agreement", "16")),
    ("a student of model=tiny on 256 scenes", ("student_speed", "--episodes", "768", *_ON_256_SCENES)),
    ("a student of model=small on 128 scenes", ("student_speed", "--episodes", "384", *_ON_128_SCENES)),
)
"""What only a GPU can tell. None of them has been run on one yet."""


def main() -> int:
    """Run each benchmark in a process of its own; return the number that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--all", action="store_true", help="also what takes long: checks and learning runs")
    chosen.add_argument("--gpu", action="store_true", help="instead what only a GPU can tell")
    parser.add_argument("--list", action="store_true", help="print the commands, and stop")
    options = parser.parse_args()
    failed = 0
    for title, words in GPU if options.gpu else (*SUITE, *(LONG if options.all else ())):
        print(f"\n== {title}: python -m benchmarks.{' '.join(words)}", flush=True)
        if not options.list:
            command = [sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]]
            failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
