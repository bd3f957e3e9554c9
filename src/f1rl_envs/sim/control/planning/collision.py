"""Does a posture touch anything? The robot's own shapes against each other and against the scene, with fcl.

Boxes around the shapes are compared first, all at once; only pairs whose boxes overlap are handed to fcl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fcl
import numpy as np

from f1rl_envs.sim.control.planning.bodies import matrix, obstacles
from f1rl_envs.sim.control.planning.geometry import Shape, shapes_of

if TYPE_CHECKING:
    import sapien
    from sapien import physx

MARGINS = (0.01, 0.0, -0.01)
"""Distances in metres that are kept from an obstacle: the first that the start of the way keeps. What is touched at
the start is taken as smaller, so that the arm can leave it; what is entered deeper than that is left out."""


class Group:
    """Shapes with their boxes, all in the world."""

    def __init__(self, shapes: list[Shape]) -> None:
        """Take the shapes; :meth:`place` puts them somewhere."""
        self.shapes = shapes
        self._local = np.array([shape.local for shape in shapes]).reshape(-1, 4, 4)
        self._centres = np.array([[*shape.centre, 1.0] for shape in shapes]).reshape(-1, 4, 1)
        self._half_sizes = np.array([shape.half_size for shape in shapes]).reshape(-1, 3, 1)

    def place(self, poses: np.ndarray) -> None:
        """Move each shape's body to its pose, ``[n, 4, 4]``."""
        self.poses = poses @ self._local
        middle = (self.poses @ self._centres)[:, :3, 0]
        reach = (np.abs(self.poses[:, :3, :3]) @ self._half_sizes)[..., 0]
        self.low, self.high = middle - reach, middle + reach

    def overlaps(self, other: Group) -> np.ndarray:
        """Return which boxes overlap, ``bool [n, m]``."""
        apart = (self.low[:, None] > other.high[None]) | (other.low[None] > self.high[:, None])
        return ~apart.any(axis=-1)


def touch(group: Group, other: Group, pairs: np.ndarray) -> np.ndarray | None:
    """Return the first pair of shapes ``[i, j]`` among ``pairs`` (``[k, 2]``) that touch, or None."""
    request = fcl.CollisionRequest()
    for i, j in pairs:
        group.shapes[i].place(group.poses[i])
        other.shapes[j].place(other.poses[j])
        if fcl.collide(group.shapes[i].body, other.shapes[j].body, request, fcl.CollisionResult()):
            return np.array([i, j])
    return None


class CollisionModel:
    """One robot in one scene."""

    def __init__(self, articulation: physx.PhysxArticulation, model: Any, home: np.ndarray) -> None:
        """Take the robot's shapes, and find out which of them may meet.

        Links that are joined, and pairs that touch at home (neighbours' hulls overlap), are not compared.

        Args:
            articulation: the robot.
            model: its kinematics, from ``create_pinocchio_model()``.
            home: ``[n]``, a posture in which nothing is wrong.
        """
        self._model = model
        self._root = np.eye(4)
        links = list(articulation.links)
        owned = [(index, shape) for index, link in enumerate(links) for shape in shapes_of(link)]
        self._owner = np.array([index for index, _ in owned])
        self._body = Group([shape for _, shape in owned])
        at_home = self._link_poses(home)
        moving = np.any(np.abs(self._link_poses(home + 0.1) - at_home) > 1e-9, axis=(1, 2))[self._owner]
        self._mobile = np.flatnonzero(moving)
        self._self_pairs = self._may_meet(self._parents(links), moving, home)
        self._set_obstacles([])

    def _link_poses(self, posture: np.ndarray) -> np.ndarray:
        """Return the poses of all links in the root's frame, ``[L, 4, 4]``."""
        self._model.compute_forward_kinematics(posture)
        count = self._owner.max() + 1
        return np.array([matrix(self._model.get_link_pose(i)) for i in range(count)])

    @staticmethod
    def _parents(links: list[Any]) -> list[int]:
        """Return the closest ancestor of each link that has shapes, or -1."""
        indices = {link.name: i for i, link in enumerate(links)}
        parents = []
        for link in links:
            parent = link.parent
            while parent is not None and not parent.collision_shapes:
                parent = parent.parent
            parents.append(-1 if parent is None else indices[parent.name])
        return parents

    def _may_meet(self, parents: list[int], moving: np.ndarray, home: np.ndarray) -> np.ndarray:
        """Return the pairs of shapes to compare, ``bool [n, n]`` above the diagonal."""
        a, b = np.meshgrid(self._owner, self._owner, indexing="ij")
        joined = np.array(parents)
        pairs = (a < b) & (joined[a] != b) & (joined[b] != a) & (moving[:, None] | moving[None])
        self._body.place(self._link_poses(home)[self._owner])
        for i, j in np.argwhere(pairs & self._body.overlaps(self._body)):
            if touch(self._body, self._body, np.array([[i, j]])) is not None:
                pairs &= ~((a == self._owner[i]) & (b == self._owner[j]))
        return pairs

    def observe(self, scene: sapien.Scene, root: sapien.Pose, start: np.ndarray) -> None:
        """Take everything but the robot as it stands now, each with a margin that the posture ``start`` keeps."""
        self._root = matrix(root)
        kept: list[tuple[Shape, np.ndarray]] = []
        for body in obstacles(scene):
            pose = matrix(body.entity.pose)
            for margin in MARGINS:
                shapes = list(shapes_of(body, margin))
                self._set_obstacles([(shape, pose) for shape in shapes])
                if not self._meets_obstacles(start):
                    kept += [(shape, pose) for shape in shapes]
                    break
        self._set_obstacles(kept)

    def _set_obstacles(self, shapes: list[tuple[Shape, np.ndarray]]) -> None:
        self._obstacles = Group([shape for shape, _ in shapes])
        self._obstacles.place(np.array([pose for _, pose in shapes]).reshape(-1, 4, 4))

    def _meets_obstacles(self, posture: np.ndarray) -> bool:
        self._body.place(self._root @ self._link_poses(posture)[self._owner])
        overlaps = self._body.overlaps(self._obstacles)
        pairs = np.argwhere(overlaps[self._mobile])
        pairs[:, 0] = self._mobile[pairs[:, 0]]
        return touch(self._body, self._obstacles, pairs) is not None

    def is_free(self, posture: np.ndarray) -> bool:
        """Return whether a posture (``[n]``, all joints of the robot) touches neither an obstacle nor itself."""
        if self._meets_obstacles(posture):
            return False
        pairs = np.argwhere(self._self_pairs & self._body.overlaps(self._body))
        return touch(self._body, self._body, pairs) is None
