"""What the environments must know of each robot, as plain numbers: no simulator is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@dataclass(frozen=True)
class CameraMount:
    """A camera fixed to a link of the robot."""

    link: str
    """Link that carries the camera."""
    position: tuple[float, float, float]
    """Position in the link's frame, in metres."""
    quaternion: tuple[float, float, float, float]
    """Orientation in the link's frame as ``w, x, y, z``; the camera looks along its own +x, +z is up."""
    fov: float
    """Vertical field of view in radians."""


@dataclass(frozen=True)
class Embodiment:
    """A single arm with a parallel gripper. Angles are in radians, lengths in metres."""

    name: str
    urdf: Path
    arm_joints: tuple[str, ...]
    arm_limits: tuple[tuple[float, float], ...]
    """Lower and upper limit of each arm joint; the same numbers as in the URDF."""
    gripper_joints: tuple[str, ...]
    """Finger joints; all get the same target."""
    gripper_limits: tuple[float, float]
    """Opening of one finger when closed and when open."""
    home: tuple[float, ...]
    """Arm joints at the start of an episode, before noise."""
    base_position: tuple[float, float, float]
    """Where the base stands; the table's top is at z = 0."""
    wrist_camera: CameraMount
    stiffness: float
    """Drive stiffness in N m/rad; see :mod:`f1rl_envs.sim.agents` for how the gains were chosen."""
    damping: float
    """Drive damping in N m s/rad."""
    force_limit: float
    """Largest drive torque in N m (N for the fingers)."""

    @property
    def joint_limits(self) -> np.ndarray:
        """``float32 [J + 1, 2]``: the arm joints, then the gripper as one entry."""
        return np.array([*self.arm_limits, self.gripper_limits], dtype=np.float32)


def _tilted_camera(position: tuple[float, float, float], tilt: float, fov: float) -> CameraMount:
    """Return a mount on the Panda's hand that looks along the fingers, tilted by ``tilt`` radians towards them.

    The hand's frame has z along the approach and y along the fingers' opening. A rotation of ``-90 degrees - tilt``
    about y turns the camera's +x from the hand's x to its z and beyond, towards -x, where the fingers are.
    """
    half = (-np.pi / 2 - tilt) / 2
    return CameraMount("panda_hand", position, (float(np.cos(half)), 0.0, float(np.sin(half)), 0.0), fov)


FRANKA = Embodiment(
    name="franka",
    urdf=ASSETS / "franka_panda" / "panda.urdf",
    arm_joints=tuple(f"panda_joint{i}" for i in range(1, 8)),
    arm_limits=(
        (-2.8973, 2.8973),
        (-1.7628, 1.7628),
        (-2.8973, 2.8973),
        (-3.0718, -0.0698),
        (-2.8973, 2.8973),
        (-0.0175, 3.7525),
        (-2.8973, 2.8973),
    ),
    gripper_joints=("panda_finger_joint1", "panda_finger_joint2"),
    gripper_limits=(0.0, 0.04),
    home=(0.0, 0.3927, 0.0, -1.9635, 0.0, 2.3562, 0.7854),
    base_position=(-0.5, 0.0, 0.0),
    wrist_camera=_tilted_camera((0.08, 0.0, 0.01), tilt=0.26, fov=1.3),
    stiffness=4e3,
    damping=2e2,
    force_limit=100.0,
)

EMBODIMENTS = {"franka": FRANKA}
"""Every embodiment by the name that the configuration uses."""
