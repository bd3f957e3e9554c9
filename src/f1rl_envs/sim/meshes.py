"""Render shapes of a few triangles; SAPIEN's own sphere has 960, and its box spreads a texture in its own way."""

from __future__ import annotations

import numpy as np
from sapien import Pose
from sapien.render import RenderMaterial, RenderShapeTriangleMesh

_SPHERE_RINGS, _SPHERE_SECTORS = 9, 14


def plane(half_x: float, half_y: float, tile: float, material: RenderMaterial, pose: Pose) -> RenderShapeTriangleMesh:
    """Return a rectangle that faces its own +z, two triangles.

    Args:
        half_x: half extent along its x, in metres.
        half_y: half extent along its y, in metres.
        tile: side of one repeat of the texture, in metres.
        material: what it shows.
        pose: where it is on the actor.
    """
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    vertices = np.zeros((4, 3), np.float32)
    vertices[:, :2] = corners * (half_x, half_y)
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.uint32)
    shape = RenderShapeTriangleMesh(vertices, triangles, normals, vertices[:, :2] / np.float32(tile) + 0.5, material)
    shape.local_pose = pose
    return shape


def sphere(radius: float, material: RenderMaterial) -> RenderShapeTriangleMesh:
    """Return a smoothly shaded ball of 224 triangles.

    Args:
        radius: in metres.
        material: what it shows.
    """
    polar = np.linspace(0.0, np.pi, _SPHERE_RINGS)[1:-1, None]
    around = np.linspace(0.0, 2 * np.pi, _SPHERE_SECTORS, endpoint=False)[None]
    ring = np.stack(np.broadcast_arrays(np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)))
    normals = np.concatenate([[[0, 0, 1]], ring.reshape(3, -1).T, [[0, 0, -1]]]).astype(np.float32)
    first = 1 + np.arange(_SPHERE_SECTORS)
    second = 1 + (np.arange(_SPHERE_SECTORS) + 1) % _SPHERE_SECTORS
    last = len(normals) - 1
    offset = last - _SPHERE_SECTORS - 1
    triangles = [np.stack([np.zeros_like(first), first, second], 1)]
    for k in range(_SPHERE_RINGS - 3):
        a, b = first + k * _SPHERE_SECTORS, second + k * _SPHERE_SECTORS
        c, d = a + _SPHERE_SECTORS, b + _SPHERE_SECTORS
        triangles += [np.stack([a, c, d], 1), np.stack([a, d, b], 1)]
    triangles.append(np.stack([np.full_like(first, last), second + offset, first + offset], 1))
    uvs = np.zeros((len(normals), 2), np.float32)
    return RenderShapeTriangleMesh(
        normals * np.float32(radius), np.concatenate(triangles).astype(np.uint32), normals, uvs, material
    )
