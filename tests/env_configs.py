"""Configurations of environments for tests: the settings of ``conf/``, with what a test changes."""

from __future__ import annotations

import copy
from typing import Any

_TOY = {"id": "toy", "variant": "arm", "max_steps": 50, "camera": {"names": ["head", "wrist"], "resolution": 64}}
_SIMULATOR = {
    "id": "random_exploration",
    "max_steps": 50,
    "sim_freq": 200,
    "control_freq": 20,
    "render_device": "auto",
    "embodiment": {"arms": ["franka"], "distance": None},
    "control": {"mode": "delta_qpos", "action_scale": 0.3, "planner": None},
    "camera": {"names": ["head", "wrist"], "resolution": 64, "head_fov": None, "wrist_fov": None, "depth": False},
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
}


def toy(**changes: Any) -> dict[str, Any]:
    """Return the toy environment's configuration; see :func:`changed` for ``changes``."""
    return changed(_TOY, **changes)


def simulator(**changes: Any) -> dict[str, Any]:
    """Return the simulator's configuration; see :func:`changed` for ``changes``."""
    return changed(_SIMULATOR, **changes)


def changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a copy of ``config`` with keys replaced; ``camera__resolution=32`` replaces one inside a group."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = config
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return config


def without(config: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a copy of ``config`` that lacks the key at the dotted ``path``."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return config
