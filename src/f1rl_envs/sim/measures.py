"""What the robot does to the scene, measured at each step of an episode without a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sapien

if TYPE_CHECKING:
    from collections.abc import Sequence

    from f1rl_envs.sim.agents import RobotAgent

VOXEL_EDGE = 0.05
"""Edge of the cubes that the room is divided into, in metres."""
VOXELS_PER_AXIS = 64
_CENTRE = VOXELS_PER_AXIS // 2


def voxel_index(position: np.ndarray) -> int:
    """Return the number of the cube that a position is in.

    The grid has :data:`VOXELS_PER_AXIS` cubes along each axis around the origin, which is on the table; positions
    outside (beyond 1.6 m, out of every arm's reach) count to the nearest cube. The number is
    ``(ix * 64 + iy) * 64 + iz``.

    Args:
        position: ``[3]`` in metres.
    """
    cell = np.floor(np.asarray(position, np.float64) / VOXEL_EDGE).astype(np.int64) + _CENTRE
    x, y, z = np.clip(cell, 0, VOXELS_PER_AXIS - 1).tolist()
    return (x * VOXELS_PER_AXIS + y) * VOXELS_PER_AXIS + z


class Measures:
    """Measures of one scene, since the start of its episode."""

    def __init__(
        self,
        physics: sapien.physx.PhysxCpuSystem,
        agent: RobotAgent,
        bodies: Sequence[sapien.physx.PhysxRigidDynamicComponent],
    ) -> None:
        """Begin an episode from how things are now.

        Args:
            physics: the physics scene of the episode.
            agent: the robot in it.
            bodies: the objects in it.
        """
        self._physics, self._bodies, self._objects = physics, list(bodies), set(bodies)
        links = agent.robot.links_map
        self._links = {link._objs[0] for link in links.values()}
        self._end_effectors = [
            (links[arm.tcp_link]._objs[0].entity, sapien.Pose(arm.tcp_offset)) for arm in agent.embodiment.arms
        ]
        self._starts = self._positions()
        self._visited = set(self._voxels())
        self._contact_steps = 0

    def _positions(self) -> np.ndarray:
        """Return where the objects are, ``float32 [K, 3]``."""
        return np.array([body.entity.pose.p for body in self._bodies], np.float32).reshape(-1, 3)

    def _voxels(self) -> list[int]:
        """Return the cube of each arm's tool centre point."""
        return [voxel_index((entity.pose * offset).p) for entity, offset in self._end_effectors]

    def _contacts(self) -> int:
        """Return how many pairs of a robot's link and an object pressed on each other in the last physics step."""
        count = 0
        for contact in self._physics.get_contacts():
            first, second = contact.bodies
            if (first in self._objects and second in self._links) or (second in self._objects and first in self._links):
                count += any(point.impulse.any() for point in contact.points)
        return count

    def measure(self) -> dict[str, Any]:
        """Return the measures after a step; to be called once for each.

        ``contacts``: pairs of a link and an object that press on each other at the end of the step. ``contact_steps``:
        steps so far that had any. ``object_displacement``: distance of the objects from where they started, summed, in
        metres. ``ee_voxel``: ``int64 [arms]``, see :func:`voxel_index`. ``voxels_visited``: how many so far.
        """
        contacts, voxels = self._contacts(), self._voxels()
        self._contact_steps += contacts > 0
        self._visited.update(voxels)
        return {
            "contacts": contacts,
            "contact_steps": self._contact_steps,
            "object_displacement": float(np.linalg.norm(self._positions() - self._starts, axis=1).sum()),
            "ee_voxel": np.array(voxels, np.int64),
            "voxels_visited": len(self._visited),
        }
