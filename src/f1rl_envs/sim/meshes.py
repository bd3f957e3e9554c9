"""Render shapes of a few triangles; SAPIEN's own sphere has 960, and its box spreads a texture in its own way."""

from __future__ import annotations

import numpy as np
from sapien import Pose
from sapien.render import RenderMaterial, RenderShapeTriangleMesh

from f1rl_envs.sim.objects import BOWL_FOOT, HANDLE_RADIUS, HANDLE_REACH, HANDLE_TUBE, WALL

_SPHERE_RINGS, _SPHERE_SECTORS = 9, 14
_VESSEL_SECTORS = 14
_TUBE_SECTORS = 5


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


def _revolve(
    points: np.ndarray, normals: np.ndarray, sectors: int, material: RenderMaterial
) -> RenderShapeTriangleMesh:
    """Return the surface that strips leave when they turn about the z axis.

    Args:
        points: ``[M, 2, 2]``: start and end of each strip as (distance from the axis, height) in metres; the outside is
            to the right of the way from start to end.
        normals: ``[M, 2, 2]``: the surface's unit normals there, in the same plane.
        sectors: corners of a turn.
        material: what it shows.
    """
    angles = np.linspace(0.0, 2 * np.pi, sectors, endpoint=False)
    turn = np.stack([np.cos(angles), np.sin(angles)])

    def turned(plane: np.ndarray) -> np.ndarray:
        """Return ``[M, 2, 2]`` as ``[M * 2 * sectors, 3]``, ring after ring."""
        around = plane[..., :1, None] * turn
        height = np.broadcast_to(plane[..., 1:, None], (*plane.shape[:2], 1, sectors))
        return np.concatenate([around, height], axis=2).transpose(0, 1, 3, 2).reshape(-1, 3).astype(np.float32)

    first = np.arange(sectors)
    second = (first + 1) % sectors
    band = np.concatenate(
        [np.stack([first, second, second + sectors], 1), np.stack([first, second + sectors, first + sectors], 1)]
    )
    triangles = (band + 2 * sectors * np.arange(len(points))[:, None, None]).reshape(-1, 3)
    vertices = turned(points)
    uvs = np.zeros((len(vertices), 2), np.float32)
    return RenderShapeTriangleMesh(vertices, triangles.astype(np.uint32), turned(normals), uvs, material)


def sphere(radius: float, material: RenderMaterial) -> RenderShapeTriangleMesh:
    """Return a smoothly shaded ball of 224 triangles.

    Args:
        radius: in metres.
        material: what it shows.
    """
    polar = np.linspace(-np.pi / 2, np.pi / 2, _SPHERE_RINGS)
    normals = np.stack([np.cos(polar), np.sin(polar)], 1)
    strips = np.stack([normals[:-1], normals[1:]], 1)
    return _revolve(radius * strips, strips, _SPHERE_SECTORS, material)


def _vessel(outline: list[tuple[float, float]], material: RenderMaterial) -> RenderShapeTriangleMesh:
    """Return a hollow shape from its section: from the axis below, out, up, over the rim, down and back to the axis."""
    line = np.array(outline)
    points = np.stack([line[:-1], line[1:]], 1)
    step = points[:, 1] - points[:, 0]
    normal = np.stack([step[:, 1], -step[:, 0]], 1) / np.linalg.norm(step, axis=1, keepdims=True)
    return _revolve(points, np.repeat(normal[:, None], 2, axis=1), _VESSEL_SECTORS, material)


def mug(radius: float, half_height: float, material: RenderMaterial) -> list[RenderShapeTriangleMesh]:
    """Return a mug: an open cylinder with a handle towards its +x.

    Args:
        radius: outer radius in metres, without the handle.
        half_height: in metres; the origin is in the middle.
        material: what it shows.
    """
    inner, floor = radius * (1 - WALL), WALL * radius - half_height
    body = [(0, -half_height), (radius, -half_height), (radius, half_height), (inner, half_height), (inner, floor)]
    return [_vessel([*body, (0, floor)], material), _handle(radius, half_height, material)]


def _handle(radius: float, half_height: float, material: RenderMaterial) -> RenderShapeTriangleMesh:
    """Return the handle of a mug of that size: half a flattened ring, a bent tube."""
    bend = np.linspace(-np.pi / 2, np.pi / 2, 7)[:, None]
    around = np.linspace(0.0, 2 * np.pi, _TUBE_SECTORS, endpoint=False)[None]
    normals = np.stack([np.cos(bend) * np.cos(around), np.sin(around) + 0 * bend, np.sin(bend) * np.cos(around)], -1)
    arc = np.array([HANDLE_RADIUS * radius, 0.0, 0.55 * half_height])
    centre = np.array([HANDLE_REACH * radius, 0.0, 0.0])
    ring = np.stack([np.cos(bend), 0 * bend, np.sin(bend)], -1)
    vertices = centre + arc * ring + HANDLE_TUBE * radius * normals
    index = np.arange(bend.size * _TUBE_SECTORS).reshape(bend.size, _TUBE_SECTORS)
    a, b = index[:-1], np.roll(index, -1, axis=1)[:-1]
    c, d = index[1:], np.roll(index, -1, axis=1)[1:]
    triangles = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)]).reshape(-1, 3)
    uvs = np.zeros((index.size, 2), np.float32)
    return RenderShapeTriangleMesh(
        vertices.reshape(-1, 3).astype(np.float32),
        triangles.astype(np.uint32),
        normals.reshape(-1, 3).astype(np.float32),
        uvs,
        material,
    )


def bowl(radius: float, half_height: float, material: RenderMaterial) -> list[RenderShapeTriangleMesh]:
    """Return a bowl with straight walls on a flat foot.

    Args:
        radius: of the rim, in metres.
        half_height: in metres; the origin is in the middle.
        material: what it shows.
    """
    foot, inner, floor = BOWL_FOOT * radius, (1 - WALL) * radius, WALL * radius - half_height
    body = [(0, -half_height), (foot, -half_height), (radius, half_height), (inner, half_height), (0.9 * foot, floor)]
    return [_vessel([*body, (0, floor)], material)]
