"""What the graphics drivers of this machine can do, as one line of JSON; run in a process of its own, which may die.

``python -m f1rl_envs.sim.probe devices`` lists the Vulkan devices and what SAPIEN makes of them; ``... picture`` draws
:func:`picture` with the set-up of the environments. What fails in a foreseen way is ``{"error": "..."}``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from f1rl_envs.errors import EnvError

BALLS = ("red", "green", "blue")
"""The balls of :func:`picture`, from left to right."""
_RESOLUTION, _FIELD_OF_VIEW = 64, 1.0  # in pixels, in radians
_DISTANCE, _SPACING, _RADIUS = 2.0, 0.6, 0.2  # in metres


def devices() -> dict[str, Any]:
    """Return ``vulkan``, the devices that the loader offers, and ``sapien``, those that SAPIEN can draw with.

    Raises:
        RendererError: if the loader does not start.
    """
    from f1rl_envs.sim import vulkan

    found: dict[str, Any] = {"vulkan": [asdict(device) for device in vulkan.devices()], "sapien": [], "refusal": None}
    import sapien  # after the loader was asked: an old driver is named then, even if SAPIEN refuses it

    try:
        found["sapien"] = parse_summary(sapien.render.get_device_summary())
    except RuntimeError as error:
        found["refusal"] = str(error)
    return found


def parse_summary(summary: str) -> list[dict[str, Any]]:
    """Read SAPIEN's summary of its devices.

    Returns:
        For each device ``name``, ``supported`` and ``cuda``, its index among the visible CUDA devices or None.
    """
    found: list[dict[str, Any]] = []
    for line in summary.splitlines():
        key, _, value = line.strip().partition(":")
        if key == "GPU":
            found.append({"name": value.strip(), "supported": False, "cuda": None})
        elif key == "Supported":
            found[-1]["supported"] = value.strip() == "1"
        elif key == "cudaId" and int(value) >= 0:
            found[-1]["cuda"] = int(value)
    return found


def picture() -> dict[str, Any]:
    """Draw three balls before a black ground, from left to right as in :data:`BALLS`.

    Returns:
        ``renderer`` as in :meth:`f1rl_envs.sim.render.Renderer.as_record`; ``colours``, ``[r, g, b]`` in 0..255 in the
        middle of each ball; ``ground``, the same in a corner.

    Raises:
        RendererError: if there is no usable driver.
    """
    from f1rl_envs.sim import render

    renderer = render.setup("auto")
    import sapien

    render.set_picture_formats()
    sapien.render.set_camera_shader_dir(renderer.shader)
    scene = sapien.Scene([sapien.physx.PhysxCpuSystem(), sapien.render.RenderSystem(sapien.Device(renderer.backend))])
    scene.set_ambient_light([1.0] * 3)
    builder = scene.create_actor_builder()
    for index in range(len(BALLS)):
        colour = [float(index == channel) for channel in range(3)]
        material = sapien.render.RenderMaterial(base_color=[*colour, 1.0], roughness=1.0)
        place = sapien.Pose([_DISTANCE, (1 - index) * _SPACING, 0])  # SAPIEN's cameras look along x, with y to the left
        builder.add_sphere_visual(place, radius=_RADIUS, material=material)
    builder.build_static("balls")
    camera = scene.add_camera("camera", _RESOLUTION, _RESOLUTION, _FIELD_OF_VIEW, 0.01, 10)
    scene.update_render()
    camera.take_picture()
    image = camera.get_picture("Color")
    middle = _RESOLUTION // 2
    apart = middle / math.tan(_FIELD_OF_VIEW / 2) * _SPACING / _DISTANCE  # of two neighbours, in pixels
    return {
        "renderer": renderer.as_record(),
        "colours": [image[middle, round(middle + (index - 1) * apart), :3].tolist() for index in range(len(BALLS))],
        "ground": image[1, 1, :3].tolist(),
    }


def answer(probe: Callable[[], dict[str, Any]]) -> None:
    """Print what ``probe`` returns."""
    try:
        found = probe()
    except EnvError as error:
        found = {"error": str(error)}
    sys.stdout.write(f"\n{json.dumps(found)}\n")  # on a line of its own, whatever a library has printed


PROBES = {"devices": devices, "picture": picture}

if __name__ == "__main__":
    answer(PROBES[sys.argv[1]])
