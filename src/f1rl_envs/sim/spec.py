"""What is known of the simulator environments without a simulator; imports neither torch nor SAPIEN."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from f1rl_envs.normalize import delta_qpos_actions, joint_states
from f1rl_envs.sim.embodiments import ARMS
from f1rl_envs.spec import EnvSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

CAMERAS = ("head", "wrist")
CONTROL_MODES = ("delta_qpos",)
KEYS = (
    "embodiment",
    "control_mode",
    "action_scale",
    "cameras",
    "resolution",
    "max_steps",
    "sim_freq",
    "control_freq",
    "render_device",
    "randomization",
)
"""Keys of the configuration, besides ``id``."""
RANDOMIZATION_KEYS = ("random_background", "random_light", "random_appearance", "cluttered_table", "num_objects")
MAX_OBJECTS = 12
"""More than this do not fit on the table without touching each other."""


def _check_choices(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the values that come from a fixed list."""
    faults = []
    if config["embodiment"] not in ARMS:
        faults.append(f"embodiment={config['embodiment']!r}: must be one of {', '.join(ARMS)}")
    if config["control_mode"] not in CONTROL_MODES:
        faults.append(f"control_mode={config['control_mode']!r}: must be one of {', '.join(CONTROL_MODES)}")
    cameras = list(config["cameras"])
    if not cameras or len(set(cameras)) != len(cameras) or not set(cameras) <= set(CAMERAS):
        faults.append(f"cameras={cameras}: must be one or more of {', '.join(CAMERAS)}, each once")
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(config["render_device"])):
        faults.append(f"render_device={config['render_device']!r}: must be auto, cpu or cuda:N")
    return faults


def _check_numbers(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the numbers."""
    faults = []
    for key, low, high in (("resolution", 16, 1024), ("max_steps", 1, 10**6), ("sim_freq", 50, 2000)):
        if not low <= config[key] <= high:
            faults.append(f"{key}={config[key]}: must be from {low} to {high}")
    if not 0.0 < config["action_scale"] <= 1.0:
        faults.append(f"action_scale={config['action_scale']}: must be above 0 and at most 1")
    if config["control_freq"] <= 0 or config["sim_freq"] % config["control_freq"] != 0:
        faults.append(
            f"control_freq={config['control_freq']}: must divide sim_freq={config['sim_freq']} without remainder"
        )
    low, high = config["randomization"]["num_objects"]
    if not 0 <= low <= high <= MAX_OBJECTS:
        faults.append(f"randomization.num_objects={[low, high]}: must rise and lie from 0 to {MAX_OBJECTS}")
    return faults


def check(config: Mapping[str, Any]) -> None:
    """Refuse an incomplete or impossible configuration, naming everything that is wrong with it at once.

    Raises:
        ValueError: naming each key, what was given and what is allowed.
    """
    missing = [key for key in KEYS if key not in config]
    if "randomization" in config:
        missing += [f"randomization.{key}" for key in RANDOMIZATION_KEYS if key not in config["randomization"]]
    if missing:
        raise ValueError(f"env configuration of random_exploration lacks {', '.join(missing)}; add the key to env")
    faults = _check_choices(config) + _check_numbers(config)
    if faults:
        raise ValueError("env configuration of random_exploration is wrong:\n  env." + "\n  env.".join(faults))


def spec(config: Mapping[str, Any]) -> EnvSpec:
    """Return the spec of the environment that :func:`f1rl_envs.sim.make` would build.

    Raises:
        ValueError: as :func:`check`.
    """
    check(config)
    arm = ARMS[config["embodiment"]]
    actions = delta_qpos_actions(len(arm.joints), arm.gripper_limits, config["action_scale"])
    return EnvSpec(
        name="random_exploration",
        cameras=tuple(config["cameras"]),
        resolution=config["resolution"],
        max_steps=config["max_steps"],
        control_freq=float(config["control_freq"]),
        action_mask=actions.mask,
        state_mask=joint_states(arm.joint_limits).mask,
    )
