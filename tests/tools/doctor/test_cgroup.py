from __future__ import annotations

import os
from pathlib import Path

import pytest

from f1rl.tools.doctor.cgroup import Limits, limits

V2 = {
    "proc/self/cgroup": "0::/outer/inner\n",
    "sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
    "sys/fs/cgroup/outer/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/outer/inner/memory.max": "max\n",
    "sys/fs/cgroup/outer/memory.max": "4000\n",
    "sys/fs/cgroup/outer/memory.current": "3000\n",
    "sys/fs/cgroup/outer/memory.stat": "anon 2000\ninactive_file 500\n",
}
# Where cpu and cpuacct are one mount, "cpu" is a link to it.
V1 = {
    "proc/self/cgroup": "3:cpu,cpuacct:/job\n2:memory:/job\n1:name=systemd:/\n",
    "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4000\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "1000\n",
}
# A container sees the host's path of its group, and only its own group at the mount.
CONTAINER = {
    "proc/self/cgroup": "0::/system.slice/docker-1234.scope\n",
    "sys/fs/cgroup/cpu.max": "200000 100000\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V2, Limits(1.5, 4000, 1500)),
        (V1, Limits(0.5, 4000, 3000)),
        (CONTAINER, Limits(2.0)),
        ({"proc/self/cgroup": "0::/\n"}, Limits()),
        ({}, Limits()),
    ],
)
def test_the_tightest_group_counts(files: dict[str, str], expected: Limits, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert limits(tmp_path) == expected


def test_this_process_has_limits_that_make_sense() -> None:
    found = limits()
    assert found.cores is None or 0 < found.cores <= 2 * os.cpu_count()
    assert found.memory is None or found.memory_left <= found.memory
