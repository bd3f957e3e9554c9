"""What is known of the simulator environments without a simulator; imports neither torch nor SAPIEN."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from f1rl_envs.sim import embodiments, randomization
from f1rl_envs.sim.control import modes
from f1rl_envs.spec import EnvSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CAMERAS = ("head", "wrist")
"""Cameras of every robot."""
PAIR_CAMERAS = (*CAMERAS, "wrist_right")
"""Those of a pair: ``wrist`` is on the left hand, whose next picture is predicted."""
FOVS = (0.2, 2.4)
"""Least and most vertical field of view, in radians."""


def check_simulation(config: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the keys that every simulator environment has.

    Args:
        config: with the keys ``camera``, ``control``, ``max_steps``, ``sim_freq``, ``control_freq``, ``render_device``.
        known: the cameras that its robot has.
    """
    cameras, scale = list(config["camera"]["names"]), config["control"]["action_scale"]
    if not cameras or len(set(cameras)) != len(cameras) or not set(cameras) <= set(known):
        yield f"camera.names={cameras}: must be one or more of {', '.join(known)}, each once"
    for key in ("head_fov", "wrist_fov"):
        fov = config["camera"][key]
        if fov is not None and not FOVS[0] <= fov <= FOVS[1]:
            yield f"camera.{key}={fov}: must be from {FOVS[0]} to {FOVS[1]} radians, or null for the robot's own"
    if not re.fullmatch(r"cpu|(auto|cuda)(:\d+)?", str(config["render_device"])):
        yield f"env.render_device={config['render_device']!r}: must be auto, cpu or cuda:N"
    ranges = {
        "camera.resolution": (config["camera"]["resolution"], 16, 1024),
        "env.max_steps": (config["max_steps"], 1, 10**6),
        "env.sim_freq": (config["sim_freq"], 50, 2000),
    }
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            yield f"{key}={value}: must be from {low} to {high}"
    if not 0.0 < scale <= 1.0:
        yield f"control.action_scale={scale}: must be above 0 and at most 1"
    if config["control_freq"] <= 0 or config["sim_freq"] % config["control_freq"] != 0:
        yield (
            f"env.control_freq={config['control_freq']}: must divide env.sim_freq={config['sim_freq']} "
            "without remainder"
        )


def _check_robot(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the robot and its control mode."""
    yield from (f"embodiment.{fault}" for fault in embodiments.faults(config["embodiment"]))
    yield from (f"control.{fault}" for fault in modes.faults(config["control"]))


def check(config: Mapping[str, Any]) -> None:
    """Refuse an impossible configuration, naming everything that is wrong with it at once.

    The registry has checked that each key is there and has the right type.

    Raises:
        ValueError: naming each key, what was given and what is allowed.
    """
    scenes = (f"randomization.{fault}" for fault in randomization.faults(config["randomization"]))
    cameras = CAMERAS if len(config["embodiment"]["arms"]) == 1 else PAIR_CAMERAS
    faults = [*_check_robot(config), *check_simulation(config, cameras), *scenes]
    if faults:
        raise ValueError("the configuration of random_exploration is wrong:\n  " + "\n  ".join(faults))


def spec(config: Mapping[str, Any]) -> EnvSpec:
    """Return the spec of the environment that :func:`f1rl_envs.sim.make` would build.

    Raises:
        ValueError: as :func:`check`.
    """
    check(config)
    robot, control = embodiments.embodiment(config["embodiment"]), config["control"]
    actions = modes.actions(robot, control["mode"], control["action_scale"]).layout
    return EnvSpec(
        name="random_exploration",
        cameras=tuple(config["camera"]["names"]),
        resolution=config["camera"]["resolution"],
        max_steps=config["max_steps"],
        control_freq=float(config["control_freq"]),
        action_mask=actions.mask,
        state_mask=modes.states(robot).layout.mask,
        grippers=actions.grippers,
        waypoints=modes.waypoints(robot, control["mode"]),
    )
