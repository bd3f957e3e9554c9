"""Checks of what draws and computes: Vulkan, a picture, the environment, CUDA. Each reads a probe's answer."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from f1rl.tools.doctor.result import Result, fail, none, ok, warn
from f1rl_envs.sim.probe import BALLS

MESA_NEEDED = (24, 3)
DRIVER_ADVICE = (
    "without a GPU: make setup, as root, installs Mesa's software driver (24.3 or newer); with one: install the Vulkan "
    "part of its driver, in a container with NVIDIA_DRIVER_CAPABILITIES=all"
)
_RESTRICTIONS = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")


def can_draw(found: dict[str, Any]) -> bool:
    """Return whether SAPIEN supports one of the devices."""
    return any(device["supported"] for device in found.get("sapien", ()))


def vulkan(found: dict[str, Any]) -> Result:
    """Name every Vulkan device with its driver, and say whether SAPIEN can draw with one of them."""
    hidden = [f"{name}={os.environ[name]}" for name in _RESTRICTIONS if name in os.environ]
    advice = f"unset {' '.join(hidden)}, which hides all other drivers" if hidden else DRIVER_ADVICE
    if "error" in found:
        return fail("Vulkan", found["error"], advice)
    names = [f"{index}: {device['name']}, {device['version']}" for index, device in enumerate(found["vulkan"])]
    if can_draw(found):
        return ok("Vulkan", "; ".join(names))
    reason = found["refusal"] or "no reason given"
    if any(_is_outdated(device) for device in found["vulkan"]):
        reason = f"Mesa is older than {'.'.join(map(str, MESA_NEEDED))}"
    return fail("Vulkan", "; ".join([*names, f"SAPIEN can draw with none of them ({reason})"]), advice)


def _is_outdated(device: dict[str, Any]) -> bool:
    version = re.match(r"Mesa (\d+)\.(\d+)", device["version"])
    return device["kind"] == "cpu" and version is not None and tuple(map(int, version.groups())) < MESA_NEEDED


def picture(found: dict[str, Any] | None) -> Result:
    """Compare the picture that was drawn with what it must show."""
    if found is None:
        return none("picture", "not tried: Vulkan comes first")
    if "error" in found:
        return fail("picture", found["error"], DRIVER_ADVICE)
    wrong = [
        f"the {name} ball has colour {colour}"
        for index, (name, colour) in enumerate(zip(BALLS, found["colours"], strict=True))
        if colour[index] < 128 or max(value for c, value in enumerate(colour) if c != index) > 64
    ]
    if max(found["ground"]) > 64:
        wrong.append(f"the black ground has colour {found['ground']}")
    if wrong:
        return fail("picture", f"drawn, but wrong: {'; '.join(wrong)}", f"update the driver; {DRIVER_ADVICE}")
    return ok("picture", f"right, drawn on {found['renderer']['backend']}: {found['renderer']['device']}")


def environment(found: dict[str, Any] | None) -> Result:
    """Say whether the main job's environment was built, and whether its cameras see something."""
    if found is None:
        return none("environment", "not tried: a right picture comes first")
    advice = "python -m f1rl.tools.doctor.probe environment shows the whole error"
    if "error" in found:
        return fail("environment", found["error"], advice)
    blank = [name for name, contrast in found["contrast"].items() if contrast < 1]
    if blank:
        return fail("environment", f"{found['id']}: nothing is seen by camera {' and '.join(blank)}", advice)
    return ok("environment", f"{found['id']}: built, reset, stepped; cameras {', '.join(found['contrast'])}")


def cuda(found: dict[str, Any], driver: Path = Path("/proc/driver/nvidia/version")) -> Result:
    """Name the CUDA devices, or say quietly that there are none."""
    version = _nvidia_version(driver)
    if "error" in found:
        return none("CUDA", "not tried: torch comes first")
    if found["fault"]:
        advice = "trainer=cpu trains without it; nvidia-smi tells whether the device is busy or broken"
        return fail("CUDA", f"driver {version}: {found['fault']}", advice)
    if found["devices"]:
        sizes = [f"{device['name']}, {device['memory'] / 2**30:.0f} GiB" for device in found["devices"]]
        names = [f"cuda:{index} {size}" for index, size in enumerate(sizes)]
        return ok("CUDA", "; ".join([*names, f"driver {version or 'unknown'}"]))
    if version is None:
        return none("CUDA", "no NVIDIA GPU; training and simulation run on the CPU")
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return none("CUDA", f"NVIDIA driver {version}; CUDA_VISIBLE_DEVICES hides all GPUs")
    if found["cuda"] is None:
        return warn("CUDA", f"NVIDIA driver {version}, but torch is built for the CPU", "install torch's CUDA build")
    return warn(
        "CUDA",
        f"NVIDIA driver {version}, but torch (CUDA {found['cuda']}) sees no device",
        "compare nvidia-smi: a newer driver for this CUDA, or the container's access to the GPU (--gpus all)",
    )


def _nvidia_version(file: Path) -> str | None:
    try:
        version = re.search(r"\b\d{3,}\.[\d.]+", file.read_text())
    except OSError:
        return None  # the kernel has no such module
    return version[0] if version else "of unknown version"


def mapping(torch: dict[str, Any], devices: dict[str, Any]) -> Result:
    """Match the CUDA devices that train with the Vulkan devices that draw, by PCI address."""
    if not torch.get("devices"):
        return none("CUDA to Vulkan", "no CUDA device")
    vulkan = {device["pci"]: index for index, device in enumerate(devices.get("vulkan", ())) if device["pci"]}
    drawing = {device["cuda"] for device in devices.get("sapien", ()) if device["supported"]}
    lines, blind = [], []
    for index, device in enumerate(torch["devices"]):
        matched = device["pci"] in vulkan and index in drawing
        lines.append(f"cuda:{index} = {device['pci']} = " + (f"Vulkan {vulkan[device['pci']]}" if matched else "none"))
        if not matched:
            blind.append(f"cuda:{index}")
    if blind:
        return warn("CUDA to Vulkan", "; ".join(lines), f"{' and '.join(blind)} cannot draw. {DRIVER_ADVICE}")
    return ok("CUDA to Vulkan", "; ".join(lines))
