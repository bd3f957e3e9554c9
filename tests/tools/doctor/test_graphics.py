from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from f1rl.tools.doctor import graphics
from f1rl.tools.doctor.child import ask
from f1rl.tools.doctor.result import Status

PROBE = "f1rl_envs.sim.probe"


def device(name: str, version: str, kind: str = "cpu", pci: str | None = None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "driver": name, "version": version, "api": "1.3.0", "pci": pci}


def gpu(index: int) -> dict[str, Any]:
    """A CUDA device as torch describes it."""
    return {"name": "NVIDIA H100", "memory": 80 * 2**30, "pci": f"0000:{index + 1}5:00.0"}


def seen(*devices: dict[str, Any], cuda: str | None = "12.8", fault: str | None = None) -> dict[str, Any]:
    """What the probe of torch finds."""
    return {"version": "2.13.0", "cuda": cuda, "devices": list(devices), "fault": fault}


@pytest.mark.sim
def test_vulkan_and_a_picture_of_this_machine() -> None:
    result = graphics.vulkan(ask(PROBE, "devices", 60.0))
    assert result.status is Status.OK
    result = graphics.picture(ask(PROBE, "picture", 120.0))
    assert result.status is Status.OK, result.detail


@pytest.mark.sim
def test_no_driver_is_one_failed_row_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent")
    monkeypatch.delenv("VK_DRIVER_FILES", raising=False)
    result = graphics.vulkan(ask(PROBE, "devices", 60.0))
    assert result.status is Status.FAIL
    assert result.advice == "unset VK_ICD_FILENAMES=/nonexistent, which hides all other drivers"
    assert graphics.picture(ask(PROBE, "picture", 60.0)).status is Status.FAIL
    assert graphics.picture(None).status is Status.NONE


@pytest.mark.parametrize("end", ["crash", "hang"])
def test_a_driver_that_crashes_or_hangs_takes_nothing_with_it(end: str, in_children: Callable[[str], None]) -> None:
    in_children(f"import os, time; os.kill(os.getpid(), {signal.SIGABRT:d}) if {end == 'crash'} else time.sleep(600)")
    reason = {"crash": "was killed by SIGABRT", "hang": "gave no answer within 0.5 s"}[end]
    answer = ask(PROBE, "picture", 0.5 if end == "hang" else 60.0)
    for check in (graphics.vulkan, graphics.picture, graphics.environment):
        result = check(answer)
        assert result.status is Status.FAIL
        assert reason in result.detail


def test_an_old_mesa_is_named() -> None:
    old = {"vulkan": [device("llvmpipe", "Mesa 22.3.6 (LLVM 15)")], "sapien": [], "refusal": "failed to find a device"}
    result = graphics.vulkan(old)
    assert result.status is Status.FAIL
    assert "Mesa 22.3.6" in result.detail
    assert "Mesa is older than 24.3" in result.detail
    new = {**old, "vulkan": [device("llvmpipe", "Mesa 25.0.7")]}
    assert "failed to find a device" in graphics.vulkan(new).detail


@pytest.mark.parametrize(
    ("colours", "ground", "fault"),
    [
        ([[0, 0, 0]] * 3, [0, 0, 0], "the red ball has colour [0, 0, 0]"),
        ([[0, 0, 255], [0, 255, 0], [255, 0, 0]], [0, 0, 0], "the blue ball has colour [255, 0, 0]"),
        ([[255, 0, 0], [0, 255, 0], [0, 0, 255]], [255, 255, 255], "the black ground has colour [255, 255, 255]"),
    ],
)
def test_a_wrong_picture_is_told(colours: list[list[int]], ground: list[int], fault: str) -> None:
    result = graphics.picture({"renderer": {}, "colours": colours, "ground": ground})
    assert result.status is Status.FAIL
    assert fault in result.detail


def test_a_blind_camera_is_told() -> None:
    result = graphics.environment({"id": "random_exploration", "contrast": {"head": 40.0, "wrist": 0.0}})
    assert result.status is Status.FAIL
    assert result.detail.endswith("nothing is seen by camera wrist")


def test_without_a_gpu_the_rows_are_quiet(tmp_path: Path) -> None:
    torch = seen(cuda=None)
    assert graphics.cuda(torch, tmp_path / "version").status is Status.NONE
    assert graphics.mapping(torch, {"vulkan": [], "sapien": []}).status is Status.NONE
    assert graphics.mapping({"error": "no torch"}, {"error": "no driver"}).status is Status.NONE


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version:  gcc 12.2.0",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 2025",
    ],
)
def test_a_gpu_that_torch_does_not_see_is_told(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = tmp_path / "version"
    driver.write_text(line)
    result = graphics.cuda(seen(cuda=None), driver)
    assert result.status is Status.WARN
    assert result.detail == "NVIDIA driver 580.65.06, but torch is built for the CPU"
    assert graphics.cuda(seen(), driver).status is Status.WARN
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert graphics.cuda(seen(), driver).status is Status.NONE
    found = graphics.cuda(seen(gpu(0)), driver)
    assert found.status is Status.OK
    assert found.detail == "cuda:0 NVIDIA H100, 80 GiB; driver 580.65.06"


def test_a_gpu_that_cannot_be_used_fails_because_the_job_would_take_it() -> None:
    result = graphics.cuda(seen(gpu(0), fault="cuda:0 cannot be used: out of memory"))
    assert result.status is Status.FAIL
    assert "cuda:0 cannot be used: out of memory" in result.detail
    assert "trainer=cpu" in result.advice


def test_a_device_that_sapien_refuses_is_not_drawn_on() -> None:
    refused = {"name": "GPU", "supported": False, "cuda": None}
    found = {"vulkan": [device("GPU", "1.0", "discrete")], "sapien": [refused]}
    assert not graphics.can_draw(found)
    assert graphics.can_draw({**found, "sapien": [refused, {**refused, "supported": True}]})
    assert not graphics.can_draw({"error": "no driver"})
    assert graphics.vulkan({**found, "refusal": None}).status is Status.FAIL


def test_each_cuda_device_is_matched_with_the_vulkan_device_at_its_address() -> None:
    torch = seen(gpu(0), gpu(1))
    vulkan = [device("H100", "580", "discrete", gpu(1)["pci"]), device("H100", "580", "discrete", gpu(0)["pci"])]
    sapien = [{"name": "H100", "supported": True, "cuda": index} for index in (1, 0)]
    result = graphics.mapping(torch, {"vulkan": vulkan, "sapien": sapien})
    assert result.status is Status.OK
    assert result.detail == "cuda:0 = 0000:15:00.0 = Vulkan 1; cuda:1 = 0000:25:00.0 = Vulkan 0"
    result = graphics.mapping(torch, {"vulkan": vulkan, "sapien": sapien[1:]})
    assert result.status is Status.WARN
    assert result.advice.startswith("cuda:1 cannot draw")
    result = graphics.mapping(torch, {"vulkan": [device("llvmpipe", "Mesa 25.0.7")], "sapien": []})
    assert result.detail == "cuda:0 = 0000:15:00.0 = none; cuda:1 = 0000:25:00.0 = none"
