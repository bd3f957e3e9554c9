"""The environments under the names of Gymnasium: ``gymnasium.make("f1rl/RandomExploration-v0", max_steps=20)``.

A registered name stands for one whole configuration, as Gymnasium's version numbers promise: what ``-v0`` is does not
change with the defaults of somebody's program, so numbers of two reports can be compared. Here it is the configuration
that the project's own defaults give today (a test compares them); everything in it can be replaced by keyword.

Nothing of the simulator is imported before an environment is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from f1rl_envs import registry

_SIMULATOR = {
    "max_steps": 50,
    "control_freq": 20,
    "render_device": "auto",
    "control": {"mode": "delta_qpos", "action_scale": 0.3, "planner": None},
    "camera": {"names": ["head", "wrist"], "resolution": 64, "head_fov": None, "wrist_fov": None, "depth": False},
}
CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "f1rl/RandomExploration-v0": {
        **_SIMULATOR,
        "id": "random_exploration",
        "sim_freq": 200,
        "embodiment": {"arms": ["franka"], "distance": None},
        "randomization": {
            "random_background": True,
            "random_light": True,
            "random_appearance": False,
            "cluttered_table": True,
            "num_objects": [3, 6],
            "object_shapes": ["box", "cylinder", "sphere"],
            "object_size": [0.032, 0.072],
            "object_density": [1000.0, 1000.0],
            "object_friction": [0.3, 0.3],
            "camera_position_jitter": 0.0,
            "camera_rotation_jitter": 0.0,
            "initial_pose_noise": 0.04,
        },
    },
    "f1rl/ManiSkill-v0": {**_SIMULATOR, "id": "maniskill", "sim_freq": 100, "task": "PickCube-v1"},
    "f1rl/Toy-v0": {
        "id": "toy",
        "variant": "arm",
        "max_steps": 50,
        "camera": {"names": ["head", "wrist"], "resolution": 64},
    },
}
"""What each name stands for, as :func:`f1rl_envs.registry.make` takes it."""


def register() -> None:
    """Tell Gymnasium the names."""
    for name in CONFIGURATIONS:
        gymnasium.register(name, entry_point="f1rl_envs.registration:make", kwargs={"name": name})


def make(name: str, render_mode: str | None = None, **changes: Any) -> gymnasium.Env:
    """Build the environment that ``gymnasium.make`` was asked for.

    Args:
        name: key of :data:`CONFIGURATIONS`.
        render_mode: ``rgb_array`` where the environment can draw a larger picture, or None.
        **changes: keys of the configuration; a mapping changes only the keys that it names
            (``camera={"resolution": 128}``).

    Raises:
        ValueError: if a key is unknown or a value is out of range; all faults are named at once.
        EnvError: if the environment cannot be built on this machine.
    """
    env = registry.make(merged(CONFIGURATIONS[name], changes))
    env.render_mode = render_mode
    return env


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` with ``changes``, inside of mappings too; neither is modified."""
    result = dict(config)
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return result
