"""Names of the entries of actions and states, for whoever reads a dataset without this program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from f1rl_envs.spec import EnvSpec

_POSE = {
    "delta_ee_pos": ("x", "y", "z"),
    "delta_ee": ("x", "y", "z", "rx", "ry", "rz"),
    "ee_pose": ("x", "y", "z", "qw", "qx", "qy", "qz"),
}
"""Entries of an arm in the control modes that move its tool centre point; in the others they are joints."""


def action_names(env: Mapping[str, Any], spec: EnvSpec) -> list[str]:
    """Return a name for each real entry of an action, e.g. ``left_joint_0`` or ``gripper``."""
    mode = env.get("control", {}).get("mode")
    return _names(spec.action_mask, spec.grippers, _POSE.get(mode, ()))


def state_names(spec: EnvSpec) -> list[str]:
    """Return a name for each real entry of a state: joints, then the gripper, of each arm."""
    last = max(entry for entry, real in enumerate(spec.state_mask) if real)
    pair = len(spec.grippers) > 1  # their places are the same in states; a single gripper follows its arm
    return _names(spec.state_mask, spec.grippers if pair else (last,), ())


def _names(mask: Sequence[bool], grippers: Sequence[int], words: Sequence[str]) -> list[str]:
    sides = iter(("left_", "right_") if len(grippers) > 1 else ("",))
    side, number, names = next(sides), 0, []
    for entry, real in enumerate(mask):
        if real and entry in grippers:
            names.append(f"{side}gripper")
            side, number = next(sides, ""), 0
        elif real:
            names.append(f"{side}{words[number] if words else f'joint_{number}'}")
            number += 1
    return names
