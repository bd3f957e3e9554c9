"""What the parts cost: ``python -m benchmarks``; with ``--all`` also what takes long, the checks and learning runs."""

from __future__ import annotations

import subprocess
import sys

SUITE = (
    ("start-up", ["-m", "benchmarks.startup"]),
    ("environment against bare SAPIEN, 64 px", ["-m", "benchmarks.env_speed", "--resolution", "64"]),
    ("environment against bare SAPIEN, 128 px", ["-m", "benchmarks.env_speed", "--resolution", "128"]),
    ("vector environment against single environments", ["-m", "benchmarks.vector_speed"]),
    ("two workers, 64 px", ["-m", "benchmarks.env_workers", "--resolution", "64"]),
    ("two workers, 128 px", ["-m", "benchmarks.env_workers", "--resolution", "128"]),
    ("resets and memory", ["-m", "benchmarks.env_resets"]),
    ("teacher training", ["-m", "benchmarks.teacher_speed"]),
    ("student against its scenes alone", ["-m", "benchmarks.student_speed"]),
    ("reports of large records", ["-m", "benchmarks.reports"]),
)
LONG = (
    ("every embodiment in every control mode", ["-m", "benchmarks.matrix"]),
    ("planned poses", ["-m", "benchmarks.planning"]),
    ("ManiSkill's tasks", ["-m", "benchmarks.maniskill_tasks"]),
    ("what memory is good for", ["-m", "benchmarks.memory"]),
    ("policy losses on standard tasks", ["-m", "benchmarks.algorithms"]),
    ("what explorers learn", ["-m", "benchmarks.explorers"]),
)


def main() -> int:
    """Run each benchmark in a process of its own; return the number that failed."""
    failed = 0
    for title, arguments in (*SUITE, *(LONG if "--all" in sys.argv[1:] else ())):
        print(f"\n== {title}", flush=True)
        failed += subprocess.run([sys.executable, *arguments], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
