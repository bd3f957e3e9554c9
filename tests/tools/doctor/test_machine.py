from __future__ import annotations

import os
from pathlib import Path

import pytest

from f1rl.tools.doctor.cgroup import Limits
from f1rl.tools.doctor.machine import GIB, cores, disk, memory, shared_memory
from f1rl.tools.doctor.result import Status

HUGE = 1 << 60


def test_one_core_is_few() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        result = cores(Limits())
    finally:
        os.sched_setaffinity(0, allowed)
    assert result.status is Status.WARN
    assert result.detail == f"1 of {os.cpu_count()} may be used"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_more_cores_than_time_for_them() -> None:
    assert cores(Limits(cores=64.0)).status is Status.OK
    result = cores(Limits(cores=1.5))
    assert result.status is Status.WARN
    assert "the time of 1.5" in result.detail
    assert "trainer.cpu_threads=1" in result.advice


def test_memory_of_the_machine_and_of_the_group() -> None:
    assert memory(Limits(), needed=1, wanted=1).status is Status.OK
    assert memory(Limits(), needed=1, wanted=HUGE).status is Status.WARN
    assert memory(Limits(), needed=HUGE).status is Status.FAIL
    result = memory(Limits(memory=2 * GIB, memory_left=GIB))
    assert result.status is Status.FAIL
    assert result.detail == "1.0 GiB of 2.0 GiB free (limit of the cgroup); 2.0 GiB are needed"


def test_shared_memory(tmp_path: Path) -> None:
    assert shared_memory(tmp_path, wanted=1).status is Status.OK
    assert shared_memory(tmp_path, wanted=HUGE).status is Status.WARN
    result = shared_memory(tmp_path / "nowhere")
    assert result.status is Status.WARN
    assert result.detail == "cannot be used: No such file or directory"


def look(path: Path, needed: int = 1, wanted: int = 1) -> tuple[Status, str]:
    result = disk("disk", path, "output_dir=...", needed, wanted)
    assert result.status is Status.OK or "output_dir=..." in result.advice
    return result.status, result.detail


def test_a_directory_need_not_exist_and_is_not_made(tmp_path: Path) -> None:
    status, detail = look(tmp_path / "outputs" / "teacher_rl")
    assert status is Status.OK
    assert detail.endswith(f"free at {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_too_little_room(tmp_path: Path) -> None:
    assert look(tmp_path, wanted=HUGE)[0] is Status.WARN
    status, detail = look(tmp_path, needed=HUGE)
    assert status is Status.FAIL
    assert "are needed" in detail


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    assert look(Path("/proc/outputs"))[0] is Status.FAIL
    (tmp_path / "file").write_text("")
    status, detail = look(tmp_path / "file" / "outputs")
    assert status is Status.FAIL
    assert detail == f"{tmp_path}/file/outputs cannot be written: Not a directory"
