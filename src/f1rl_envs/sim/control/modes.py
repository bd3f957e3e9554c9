"""What an action says in each control mode: entries, bounds, and what random exploration draws.

| mode | entries of an arm | at -1 and 1 |
|---|---|---|
| ``delta_qpos`` | change of each joint target | 0.1 rad x ``action_scale`` |
| ``delta_ee_pos`` | change of the tool centre point's target | 0.05 m x ``action_scale`` |
| ``delta_ee`` | the same, then a rotation vector | 0.05 m and 0.2 rad, x ``action_scale`` |
| ``qpos`` | joint positions | the joint limits |
| ``ee_pose`` | position of the tool centre point, then a quaternion | the workspace box; 1 |

Positions and rotations are in the frame of the arm's base. After each arm's entries comes its gripper, always absolute.
In the absolute modes ``action_scale`` is the speed of the approach: its share of 0.1 rad per control period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl_envs.layout import layout
from f1rl_envs.normalize import AffineNormalizer
from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.spec import Waypoints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from f1rl_envs.sim.embodiments import Arm, Embodiment

MODES = ("delta_qpos", "delta_ee_pos", "delta_ee", "qpos", "ee_pose")
PLANNING_MODES = ("ee_pose",)
"""Modes that need a planner; no other imports one."""
PLANNERS = ("ompl", "curobo")

JOINT_BOUND = 0.1
"""Largest change of a joint target in radians per control period, before ``action_scale``."""
POSITION_BOUND = 0.05
"""Likewise of the tool centre point, in metres along each axis."""
ROTATION_BOUND = 0.2
"""Likewise of its orientation, in radians about each axis."""

_WORKSPACE = np.array([[0.6, 1.2], [-0.6, 0.6], [0.0, 0.8]])
"""Workspace box in multiples of the home position's horizontal distance from the base."""
_CLEARANCE = 0.02
"""Height of the workspace box over the table in metres."""

_QPOS_SPREAD = 0.5
"""Random joint waypoints lie within this many radians of the home posture."""
_QPOS_HOLD = (10, 25)
"""Steps that a random joint waypoint is held: about as long as the way to it takes."""
_POSE_SPREAD = 0.8
"""Random positions fill this share of the workspace box."""
_QUATERNION_SPREAD = 0.25
"""Random orientations: each entry of the home quaternion plus up to this much."""


def faults(control: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with ``mode`` and ``planner``, one sentence each."""
    mode, planner = control["mode"], control["planner"]
    if mode not in MODES:
        yield f"mode={mode!r}: must be one of {', '.join(MODES)}"
    if mode in PLANNING_MODES and planner not in PLANNERS:
        yield f"planner={planner!r}: mode {mode} plans and needs one of {', '.join(PLANNERS)}"
    if mode in MODES and mode not in PLANNING_MODES and planner is not None:
        yield f"planner={planner!r}: mode {mode} plans nothing; set it to null"


def actions(robot: Embodiment, mode: str, action_scale: float) -> AffineNormalizer:
    """Return the map between actions and commands in radians, metres, quaternions and gripper openings (-1 to 1)."""
    return _normalizer([_append(arm_range(arm, mode, action_scale), 0.0, 1.0) for arm in robot.arms])


def states(robot: Embodiment) -> AffineNormalizer:
    """Return the map of states: joint positions by their limits, the gripper by its first finger's range."""
    ranges = []
    for arm in robot.arms:
        closed, opened = arm.gripper_limits
        ranges.append(_append(_joint_range(arm), (closed + opened) / 2, (opened - closed) / 2))
    return _normalizer(ranges)


def waypoints(robot: Embodiment, mode: str) -> Waypoints | None:
    """Return what random exploration heads for in the absolute modes; None where it draws each step's change."""
    if mode not in ("qpos", "ee_pose"):
        return None
    normalizer = actions(robot, mode, 1.0)
    centres, spreads = [], []
    for arm in robot.arms:
        centre, half_range = arm_range(arm, mode, 1.0)
        if mode == "qpos":
            centres += [*(np.array(arm.home) - centre) / half_range, 0.0]
            spreads += [*_QPOS_SPREAD / half_range, 1.0]
        else:
            centres += [0.0, 0.0, 0.0, *rotations.to_quaternion(home_pose(arm)[:3, :3]), 0.0]
            spreads += [*[_POSE_SPREAD] * 3, *[_QUATERNION_SPREAD] * 4, 1.0]
    padded = np.zeros((2, len(normalizer.layout.mask)))
    padded[:, normalizer.layout.entries] = centres, spreads
    hold = _QPOS_HOLD if mode == "qpos" else (1, 1)
    return Waypoints(tuple(padded[0].tolist()), tuple(padded[1].tolist()), hold)


def home_pose(arm: Arm) -> np.ndarray:
    """Return the pose of the tool centre point at home, ``float64 [4, 4]`` in the frame of the arm's base."""
    return arm_kinematics(arm).forward(np.array(arm.home))


def workspace(arm: Arm) -> np.ndarray:
    """Return the box of positions that ``ee_pose`` spans, ``float64 [3, 2]`` in the frame of the arm's base."""
    box = _WORKSPACE * np.linalg.norm(home_pose(arm)[:2, 3])
    box[2] += _CLEARANCE - arm.base_position[2]
    return box


def arm_range(arm: Arm, mode: str, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and half range of an arm's entries in physical units, without the gripper."""
    if mode == "qpos":
        return _joint_range(arm)
    if mode == "ee_pose":
        box = workspace(arm)
        centre, half_range = box.mean(axis=1), (box[:, 1] - box[:, 0]) / 2
        return np.append(centre, [0.0] * 4), np.append(half_range, [1.0] * 4)
    bounds = {
        "delta_qpos": [JOINT_BOUND] * len(arm.joints),
        "delta_ee_pos": [POSITION_BOUND] * 3,
        "delta_ee": [POSITION_BOUND] * 3 + [ROTATION_BOUND] * 3,
    }[mode]
    return np.zeros(len(bounds)), scale * np.array(bounds)


def _joint_range(arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    limits = np.array(arm.limits)
    return limits.mean(axis=1), (limits[:, 1] - limits[:, 0]) / 2


def _append(ranges: tuple[np.ndarray, np.ndarray], centre: float, half_range: float) -> tuple[np.ndarray, np.ndarray]:
    return np.append(ranges[0], centre), np.append(ranges[1], half_range)


def _normalizer(ranges: list[tuple[np.ndarray, np.ndarray]]) -> AffineNormalizer:
    """Join the ranges of the arms, each with its gripper as the last entry."""
    centre, half_range = (np.concatenate(parts) for parts in zip(*ranges, strict=True))
    return AffineNormalizer(layout([len(part) - 1 for part, _ in ranges]), centre, half_range)
