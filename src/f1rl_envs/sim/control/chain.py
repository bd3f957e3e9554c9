"""From a URDF to the numbers that the kinematics of one arm needs; reads the file's joints and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f1rl_envs.sim.control import rotations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Chain:
    """Revolute joints in a row, each turning about the z axis of its own frame."""

    fixed: np.ndarray
    """``float64 [J, 4, 4]``: pose of each joint's frame, at angle zero, in the frame before it."""
    tip: np.ndarray
    """``float64 [4, 4]``: pose of the tool centre point in the last joint's frame."""


def read_chain(
    urdf: Path, joints: Sequence[str], tip_link: str, tip_pose: np.ndarray | None = None, root_link: str | None = None
) -> Chain:
    """Return the chain from the root link through ``joints`` to the tool centre point.

    Args:
        urdf: the robot's description.
        joints: names of the revolute joints, from the base to the tip.
        tip_link: link that carries the tool centre point.
        tip_pose: ``[4, 4]``, the tool centre point in that link's frame; None for the link's own frame.
        root_link: link where the chain begins; None for the root of the file.

    Raises:
        ValueError: if the joints between root and tip that are not fixed are others than ``joints``.
    """
    above = {
        element.find("child").get("link"): element
        for element in ElementTree.parse(urdf).getroot().iter("joint")
        if element.find("child") is not None
    }
    found, fixed = [], []
    pose = np.eye(4) if tip_pose is None else np.asarray(tip_pose, np.float64)
    link = tip_link
    while link != root_link and link in above:
        joint = above[link]
        if joint.get("type") != "fixed":
            turn = _z_to(_vector(joint.find("axis"), "xyz", (1.0, 0.0, 0.0)))
            fixed.append(turn.T @ pose)
            found.append((joint.get("name"), joint.get("type")))
            pose = turn
        pose = _origin(joint.find("origin")) @ pose
        link = joint.find("parent").get("link")
    fixed.append(pose)
    *frames, tip = fixed[::-1]
    names = [name for name, _ in found[::-1]]
    if names != list(joints) or {kind for _, kind in found} - {"revolute", "continuous"}:
        raise ValueError(
            f"{urdf}: between root and {tip_link} lie the joints {found[::-1]}, not revolute {list(joints)}"
        )
    return Chain(np.stack(frames), tip)


def _vector(element: ElementTree.Element | None, key: str, default: tuple[float, float, float]) -> np.ndarray:
    text = None if element is None else element.get(key)
    return np.array(default if text is None else [float(part) for part in text.split()])


def _origin(element: ElementTree.Element | None) -> np.ndarray:
    """Return the pose of an ``origin`` element: fixed-axis roll, pitch, yaw, then the offset."""
    pose = np.eye(4)
    roll, pitch, yaw = np.diag(_vector(element, "rpy", (0.0, 0.0, 0.0)))
    pose[:3, :3] = rotations.from_vector(yaw, np) @ rotations.from_vector(pitch, np) @ rotations.from_vector(roll, np)
    pose[:3, 3] = _vector(element, "xyz", (0.0, 0.0, 0.0))
    return pose


def _z_to(axis: np.ndarray) -> np.ndarray:
    """Return a pose without offset whose z axis is ``axis``."""
    z = axis / np.linalg.norm(axis)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    return pose
