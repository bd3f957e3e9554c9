"""What a robot is to the environments: names, limits and poses as plain numbers; no simulator is imported here.

Angles are in radians, lengths in metres. The table's top is at z = 0, x points away from the robot, y to its left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from f1rl_envs.sim.control.rotations import to_quaternion
from f1rl_envs.sim.embodiments.compose import compose

ASSETS = Path(__file__).resolve().parents[2] / "assets"


@dataclass(frozen=True)
class CameraMount:
    """A camera fixed to a link of the robot."""

    link: str
    """Link that carries the camera."""
    position: tuple[float, float, float]
    """Position in the link's frame."""
    quaternion: tuple[float, float, float, float]
    """Orientation in the link's frame as ``w, x, y, z``; the camera looks along its own +x, +z is up."""
    fov: float
    """Vertical field of view."""

    @classmethod
    def looking(
        cls,
        link: str,
        position: tuple[float, float, float],
        forward: tuple[float, float, float],
        up: tuple[float, float, float],
        fov: float,
    ) -> CameraMount:
        """Return a camera that looks along ``forward``, with ``up`` upwards in its picture, both in the link's frame.

        Args:
            link: as :attr:`link`.
            position: as :attr:`position`.
            forward: any length.
            up: any length; only its part across ``forward`` counts.
            fov: as :attr:`fov`.
        """
        x = np.array(forward) / np.linalg.norm(forward)
        z = np.array(up) - x * np.dot(x, up)
        z /= np.linalg.norm(z)
        rotation = np.stack([x, np.cross(z, x), z], axis=1)
        return cls(link, position, tuple(to_quaternion(rotation).tolist()), fov)


@dataclass(frozen=True)
class CameraView:
    """A camera fixed in the room."""

    eye: tuple[float, float, float]
    """Where the camera is."""
    target: tuple[float, float, float]
    """What it looks at, in the middle of its picture; its picture is upright."""
    fov: float
    """Vertical field of view."""


@dataclass(frozen=True)
class Finger:
    """One driven joint of a gripper."""

    joint: str
    closed: float
    """Joint position (m, or rad of a jaw that turns) of the closed gripper."""
    open: float
    """Joint position of the open gripper; may be below ``closed``."""


@dataclass(frozen=True)
class Arm:
    """One arm with one gripper, as described by a URDF file, and where it stands."""

    name: str
    """What the configuration calls it."""
    urdf: Path
    """Description of this arm alone; the names in it have no :attr:`prefix`."""
    joints: tuple[str, ...]
    """Joints of the arm from base to tip, without the gripper."""
    limits: tuple[tuple[float, float], ...]
    """Lower and upper limit of each joint; the same numbers as in the URDF."""
    home: tuple[float, ...]
    """Joint positions at the start of an episode, before noise."""
    fingers: tuple[Finger, ...]
    """Driven joints of the gripper; one command moves all of them."""
    finger_links: tuple[str, ...]
    """Links that touch what is gripped; they get a rubber's friction."""
    tcp_link: str
    """Link that carries the tool centre point."""
    tcp_offset: tuple[float, float, float]
    """The tool centre point, where a gripped object is, in the frame of :attr:`tcp_link`."""
    wrist_camera: CameraMount
    head_camera: CameraView
    """The view of the room that shows this arm and its working area."""
    stiffness: float
    """Drive stiffness of the arm's joints in N m/rad."""
    damping: float
    """Drive damping of the same in N m s/rad."""
    force_limit: float
    """Largest drive torque of a joint in N m."""
    finger_stiffness: float
    """Drive stiffness of a finger in N/m (N m/rad of a jaw that turns)."""
    finger_damping: float
    """Drive damping of the same in N s/m (N m s/rad)."""
    finger_force_limit: float
    """Largest drive force of a finger in N (N m)."""
    base_position: tuple[float, float, float]
    """Where the base stands; it faces +x."""
    armature: float = 0.0
    """Inertia in kg m2 that the motors' rotors add to each joint, through the gears, where the description has none."""
    prefix: str = ""
    """What the names of joints and links begin with: empty, or ``left_`` or ``right_`` in a pair."""

    @property
    def gripper_limits(self) -> tuple[float, float]:
        """Position of the first finger when closed and when open."""
        return self.fingers[0].closed, self.fingers[0].open

    def placed(self, prefix: str, y: float) -> Arm:
        """Return this arm as a part of a pair: moved sideways, all its names beginning with ``prefix``."""
        camera = replace(self.wrist_camera, link=prefix + self.wrist_camera.link)
        return replace(
            self,
            joints=tuple(prefix + joint for joint in self.joints),
            fingers=tuple(replace(finger, joint=prefix + finger.joint) for finger in self.fingers),
            finger_links=tuple(prefix + link for link in self.finger_links),
            tcp_link=prefix + self.tcp_link,
            wrist_camera=camera,
            base_position=(self.base_position[0], y, self.base_position[2]),
            prefix=prefix,
        )


@dataclass(frozen=True)
class Embodiment:
    """The robot of an environment: one arm, or two that are one articulation."""

    name: str
    """The names of its arms, joined by ``_``; a pair's distance follows."""
    arms: tuple[Arm, ...]
    """One arm, or left and right; their names are those of :attr:`urdf`."""
    head_camera: CameraView

    @cached_property
    def urdf(self) -> Path:
        """Description of the whole; that of a pair is composed at the first use."""
        return self.arms[0].urdf if len(self.arms) == 1 else compose(self.arms, self.name)

    @property
    def root_position(self) -> tuple[float, float, float]:
        """Where the root link of :attr:`urdf` stands; a pair's contains the places of its arms."""
        return self.arms[0].base_position if len(self.arms) == 1 else (0.0, 0.0, 0.0)

    @property
    def wrist_cameras(self) -> dict[str, CameraMount]:
        """Camera names and mounts: ``wrist`` of a single or left arm, ``wrist_right`` of a right one."""
        return dict(zip(("wrist", "wrist_right"), (arm.wrist_camera for arm in self.arms), strict=False))
