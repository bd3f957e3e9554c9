from __future__ import annotations

import pytest

from f1rl_envs.errors import RendererError
from f1rl_envs.sim import probe, vulkan

SUMMARY = """\
GPU: NVIDIA H100 PCIe
  Supported: 1
  Present:   0
  cudaId:    3
  rayTrace:  1
  cudaMode   0
GPU: llvmpipe (LLVM 15.0.6, 256 bits)
  Supported: 0
  Present:   0
  cudaId:    -1
  rayTrace:  1
  cudaMode   -1
"""


def test_the_summary_is_read() -> None:
    assert probe.parse_summary(SUMMARY) == [
        {"name": "NVIDIA H100 PCIe", "supported": True, "cuda": 3},
        {"name": "llvmpipe (LLVM 15.0.6, 256 bits)", "supported": False, "cuda": None},
    ]
    assert probe.parse_summary("") == []


@pytest.mark.sim
def test_the_loader_and_sapien_name_the_same_devices() -> None:
    found = probe.devices()
    assert {device["name"] for device in found["sapien"]} <= {device["name"] for device in found["vulkan"]}
    for device in found["vulkan"]:
        assert device["driver"]
        assert device["version"]
        assert device["api"].startswith("1.")
        assert (device["pci"] is None) == (device["kind"] == "cpu")


@pytest.mark.sim
def test_no_driver_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent")
    monkeypatch.setenv("VK_DRIVER_FILES", "/nonexistent")
    with pytest.raises(RendererError, match="no driver may be installed"):
        vulkan.devices()


def test_no_loader_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vulkan, "_LOADER", "libnonesuch.so.1")
    with pytest.raises(RendererError, match=r"libnonesuch\.so\.1 cannot be loaded"):
        vulkan.devices()
