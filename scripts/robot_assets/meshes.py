"""Meshes of few triangles from meshes of many."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import fast_simplification
import numpy as np
import trimesh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Colour = tuple[int, int, int, int]
COLLISION_TRIANGLES = 60
SMALL_PART = 2e-4
"""Parts with less surface than this, in square metres, are screws and lettering: left out."""
SAMPLES = 20_000
"""Points on the surface that stand for a mesh when it is cut."""
FINEST_CELL = 8e-4
"""Where joining vertices begins, in metres."""


def simplify(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    """Return ``mesh`` with about ``triangles`` faces or fewer.

    Quadric edge collapse keeps shapes best, but comes to a halt early on threads, gratings and screw holes. Where it
    does, vertices closer than a growing distance are joined first, until it comes through.
    """
    mesh = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    small, cell = _collapse(mesh, triangles), FINEST_CELL
    while len(small.faces) > 1.15 * triangles:
        small, cell = _collapse(_cluster(mesh, cell), triangles), 1.4 * cell
    return small


def _collapse(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    """Collapse edges by their quadric error until ``triangles`` are left, or none can be collapsed."""
    if len(mesh.faces) <= triangles:
        return mesh
    vertices, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, np.float32),
        np.asarray(mesh.faces, np.int32),
        target_reduction=1.0 - triangles / len(mesh.faces),
        agg=5,
    )
    return trimesh.Trimesh(vertices, faces, process=True)


def _cluster(mesh: trimesh.Trimesh, cell: float) -> trimesh.Trimesh:
    """Join the vertices in each cube of side ``cell`` (metres) in their mean, and drop what has no area left."""
    keys = np.floor(mesh.vertices / cell).astype(np.int64)
    _, group, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    vertices = np.zeros((len(counts), 3))
    np.add.at(vertices, group.ravel(), mesh.vertices)
    faces = group.ravel()[mesh.faces]
    distinct = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    _, first = np.unique(np.sort(faces[distinct], axis=1), axis=0, return_index=True)
    return trimesh.Trimesh(vertices / counts[:, None], faces[distinct][np.sort(first)], process=True)


def load_parts(path: Path, colour: Colour | None) -> list[tuple[trimesh.Trimesh, Colour]]:
    """Return the coloured parts of a mesh file in the file's own frame.

    Args:
        path: a mesh file.
        colour: colour of all parts; None for the file's own colours.
    """
    scene = trimesh.load(path)
    scene = scene if isinstance(scene, trimesh.Scene) else trimesh.Scene(scene)
    parts = []
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        part = scene.geometry[name].copy()
        part.apply_transform(transform)
        own = colour or tuple(int(c) for c in part.visual.material.main_color)
        parts.append((trimesh.Trimesh(part.vertices, part.faces, process=False), own))
    return parts


def write_visual(parts: Sequence[tuple[trimesh.Trimesh, Colour]], budget: int, target: Path) -> tuple[int, int]:
    """Decimate coloured parts into one ``.glb`` and return the triangles before and after.

    Parts of one colour are joined. The budget is shared among the colours by the square root of their surface: a small
    dark ring next to a large white shell is what the eye reads as a joint, and would vanish in proportion.
    """
    by_colour: dict[Colour, list[trimesh.Trimesh]] = {}
    for mesh, colour in parts:
        if mesh.area >= SMALL_PART:
            by_colour.setdefault(colour, []).append(mesh)
    joined = {colour: trimesh.util.concatenate(meshes) for colour, meshes in by_colour.items()}
    weights = np.sqrt([mesh.area for mesh in joined.values()])
    shares = budget * weights / weights.sum()
    out = trimesh.Scene()
    before = after = 0
    for (colour, mesh), share in zip(joined.items(), shares, strict=True):
        small = simplify(mesh, max(24, int(share)))
        before, after = before + len(mesh.faces), after + len(small.faces)
        shaded = trimesh.graph.smooth_shade(small, angle=np.radians(40))
        material = trimesh.visual.material.PBRMaterial(
            baseColorFactor=colour, metallicFactor=0.05, roughnessFactor=0.55, name=f"part_{len(out.geometry)}"
        )
        shaded.visual = trimesh.visual.TextureVisuals(material=material)
        out.add_geometry(shaded)
    out.export(target, include_normals=True)
    return before, after


def hull(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Return the convex hull with few faces; the simulator would take the hull anyway."""
    return simplify(mesh.convex_hull, COLLISION_TRIANGLES).convex_hull


def slabs(mesh: trimesh.Trimesh, axis: int, count: int) -> list[trimesh.Trimesh]:
    """Return points of ``mesh`` in ``count`` slabs of equal thickness across ``axis``, as the vertices of meshes.

    The hull of a jaw fills what the jaw should close around; the hulls of its slices leave it open.
    """
    points = np.concatenate([mesh.vertices, trimesh.sample.sample_surface(mesh, SAMPLES, seed=0)[0]])
    edges = np.linspace(*mesh.bounds[:, axis], count + 1)
    slices = [points[(points[:, axis] >= a) & (points[:, axis] <= b)] for a, b in itertools.pairwise(edges)]
    return [trimesh.PointCloud(slice_).convex_hull for slice_ in slices]
