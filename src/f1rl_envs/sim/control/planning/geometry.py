"""Collision shapes of SAPIEN as fcl's: boxes, balls, cylinders, capsules and convex hulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fcl
import numpy as np
from sapien import physx

from f1rl_envs.sim.control.planning.bodies import box_around, matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

_X_TO_Z = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Turns fcl's axis of cylinders and capsules (z) into PhysX's (x)."""
_LEAST = 1e-3
"""What a shape keeps in each direction when it is shrunk, in metres."""


@dataclass
class Shape:
    """One convex shape of a body."""

    local: np.ndarray
    """``[4, 4]``, its pose in the frame of the body."""
    centre: np.ndarray
    """``[3]``, the middle of a box around it, in its own frame."""
    half_size: np.ndarray
    """``[3]``, half extents of that box."""
    body: fcl.CollisionObject
    axes: np.ndarray
    """``[3, 3]``, from fcl's axes to the shape's own."""

    def place(self, pose: np.ndarray) -> None:
        """Move fcl's body to where the shape's own frame has the pose ``[4, 4]`` in the world."""
        self.body.setTransform(fcl.Transform(pose[:3, :3] @ self.axes, pose[:3, 3]))


def shapes_of(component: physx.PhysxRigidBaseComponent, margin: float = 0.0) -> Iterator[Shape]:
    """Yield the collision shapes of a body, grown by ``margin`` metres on each side (shrunk if it is negative)."""
    for shape in component.collision_shapes:
        centre, half_size = box_around(shape)
        half_size = np.maximum(half_size + margin, _LEAST)
        geometry, axes = _convert(shape, centre, half_size)
        yield Shape(matrix(shape.local_pose), centre, half_size, fcl.CollisionObject(geometry), axes)


def _convert(shape: Any, centre: np.ndarray, half_size: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return fcl's geometry of a shape that fills the given box, and the rotation from fcl's axes to the shape's."""
    length, radius, _ = half_size.tolist()
    if isinstance(shape, physx.PhysxCollisionShapeBox):
        return fcl.Box(*(2.0 * half_size)), np.eye(3)
    if isinstance(shape, physx.PhysxCollisionShapeSphere):
        return fcl.Sphere(radius), np.eye(3)
    if isinstance(shape, physx.PhysxCollisionShapeCylinder):
        return fcl.Cylinder(radius, 2.0 * length), _X_TO_Z
    if isinstance(shape, physx.PhysxCollisionShapeCapsule):
        return fcl.Capsule(radius, 2.0 * (length - radius)), _X_TO_Z
    vertices = np.array(shape.vertices, np.float64) * shape.scale - centre
    vertices = centre + vertices * (half_size / np.abs(vertices).max(axis=0))
    triangles = np.array(shape.triangles, np.int64)
    faces = np.column_stack([np.full(len(triangles), 3), triangles]).ravel()
    return fcl.Convex(vertices, len(triangles), faces), np.eye(3)
