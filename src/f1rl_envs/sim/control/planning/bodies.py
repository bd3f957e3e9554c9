"""What stands in a SAPIEN scene besides the robot, and the boxes around its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sapien import physx

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sapien


def obstacles(scene: sapien.Scene) -> Iterator[physx.PhysxRigidBaseComponent]:
    """Yield every body that can be touched and is no link of a robot."""
    for entity in scene.entities:
        for component in entity.components:
            is_link = isinstance(component, physx.PhysxArticulationLinkComponent)
            if isinstance(component, physx.PhysxRigidBaseComponent) and not is_link:
                yield component


def box_around(shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle and the half extents, ``[3]`` each in metres, of a box around a shape, in the shape's frame.

    Raises:
        ValueError: if the shape is neither box, ball, cylinder, capsule nor convex mesh.
    """
    middle = np.zeros(3)
    if isinstance(shape, physx.PhysxCollisionShapeBox):
        return middle, np.array(shape.half_size, np.float64)
    if isinstance(shape, physx.PhysxCollisionShapeSphere):
        return middle, np.full(3, shape.radius)
    if isinstance(shape, physx.PhysxCollisionShapeCylinder):
        return middle, np.array([shape.half_length, shape.radius, shape.radius])
    if isinstance(shape, physx.PhysxCollisionShapeCapsule):
        return middle, np.array([shape.half_length + shape.radius, shape.radius, shape.radius])
    if isinstance(shape, physx.PhysxCollisionShapeConvexMesh):
        vertices = np.array(shape.vertices, np.float64) * shape.scale
        return (vertices.max(axis=0) + vertices.min(axis=0)) / 2, np.ptp(vertices, axis=0) / 2
    raise ValueError(f"the planner knows no collision shape of type {type(shape).__name__}")


def matrix(pose: sapien.Pose) -> np.ndarray:
    """Return a pose as ``float64 [4, 4]``."""
    return pose.to_transformation_matrix().astype(np.float64)
