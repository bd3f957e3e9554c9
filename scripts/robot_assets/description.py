"""Robot descriptions: read in any form, reduced to what the simulator needs, written plainly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import trimesh
from lxml import etree

from robot_assets import meshes

if TYPE_CHECKING:
    from pathlib import Path

Origin = tuple[tuple[float, float, float], tuple[float, float, float]]
JOINT_PARTS = ("origin", "parent", "child", "axis", "limit")
"""What is kept of a joint. A mimic tag goes: all fingers are driven, which every physics backend can do."""
GREY = (140, 140, 145, 255)


@dataclass(frozen=True)
class Recipe:
    """How one robot is made from what a wheel holds."""

    wheel: str
    """Name of the wheel on PyPI, with its version."""
    source: Callable[[Path], etree._Element]
    """Returns the original description, given the folder of the unpacked wheel."""
    mesh_path: Callable[[Path, str], Path]
    """Returns the path of a mesh file, given that folder and the name in the description."""
    name: str
    """Name of the description's files."""
    budget: dict[str, int]
    """Triangles of a link's visual mesh; what is seen from near (the wrist camera looks at the gripper) gets more."""
    default_budget: int
    extend: Callable[[etree._Element], None] = lambda root: None
    """Changes the description before anything is built, e.g. adds a gripper."""
    slices: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Links whose collision meshes are cut (axis of the link, count) before their hulls are taken."""
    pairs: Callable[[Path], set[frozenset[str]]] | None = None
    """Returns the pairs of links that need no collision check, where the origin lists them well; else they are found
    by :mod:`robot_assets.collisions`."""


def element(tag: str, **attributes: str) -> etree._Element:
    """Return a new element."""
    return etree.Element(tag, attributes)


def parse(path: Path) -> etree._Element:
    """Read a description without comments."""
    return etree.parse(str(path), etree.XMLParser(remove_comments=True, remove_blank_text=True)).getroot()


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _transform(holder: etree._Element) -> np.ndarray:
    """Return the ``[4, 4]`` transform of a visual or collision, the scale of its mesh included."""
    origin, mesh = holder.find("origin"), holder.find("geometry/mesh")
    matrix = np.eye(4)
    if origin is not None:
        roll, pitch, yaw = _numbers(origin.get("rpy", "0 0 0"))
        matrix = trimesh.transformations.euler_matrix(roll, pitch, yaw, "sxyz")
        matrix[:3, 3] = _numbers(origin.get("xyz", "0 0 0"))
    return matrix @ np.diag([*_numbers(mesh.get("scale", "1 1 1")), 1.0])


def _colour(visual: etree._Element, named: dict[str, meshes.Colour]) -> meshes.Colour | None:
    """Return the colour that the description gives a visual, or None."""
    material = visual.find("material")
    if material is None:
        return None
    return _own_colour(material) or named.get(material.get("name"))


def _own_colour(material: etree._Element) -> meshes.Colour | None:
    colour = material.find("color")
    return None if colour is None else tuple(round(255 * c) for c in _numbers(colour.get("rgba")))


def build_links(root: etree._Element, recipe: Recipe, wheel: Path, target: Path) -> tuple[int, int]:
    """Write the meshes of all links, one visual file a link, and let ``root`` name them; return triangle counts.

    Shapes that are boxes, cylinders or spheres stay as they are.
    """
    named = {m.get("name"): colour for m in root.findall("material") if (colour := _own_colour(m))}
    total = np.zeros(2, int)
    for link in root.findall("link"):
        name = link.get("name")
        parts, pieces = [], []
        for holder in [*link.findall("visual"), *link.findall("collision")]:
            mesh = holder.find("geometry/mesh")
            if mesh is None:
                continue
            path, transform = recipe.mesh_path(wheel, mesh.get("filename")), _transform(holder)
            colour = _colour(holder, named) or (None if path.suffix == ".dae" else GREY)
            loaded = [(part.apply_transform(transform), shade) for part, shade in meshes.load_parts(path, colour)]
            if holder.tag == "visual":
                parts += loaded
            else:
                pieces.append(trimesh.util.concatenate([part for part, _ in loaded]))
            link.remove(holder)
        if parts:
            budget = recipe.budget.get(name, recipe.default_budget)
            total += meshes.write_visual(parts, budget, target / "visual" / f"{name}.glb")
            link.append(_mesh_holder("visual", f"visual/{name}.glb"))
        if name in recipe.slices:
            pieces = meshes.slabs(trimesh.util.concatenate(pieces), *recipe.slices[name])
        for k, piece in enumerate(pieces):
            file = f"collision/{name}{f'_{k}' if len(pieces) > 1 else ''}.stl"
            meshes.hull(piece).export(target / file)
            link.append(_mesh_holder("collision", file))
    return tuple(total)


def _mesh_holder(tag: str, filename: str) -> etree._Element:
    holder = element(tag)
    etree.SubElement(etree.SubElement(holder, "geometry"), "mesh", filename=filename)
    return holder


def reduce(root: etree._Element) -> None:
    """Keep links and joints only, and of them what the simulator needs.

    Massless frames lose their empty inertia, which some loaders refuse.
    """
    for child in list(root):
        if child.tag not in ("link", "joint"):
            root.remove(child)
    for link in root.findall("link"):
        for child in list(link):
            if child.tag not in ("inertial", "visual", "collision"):
                link.remove(child)
        inertial = link.find("inertial")
        if inertial is not None and float(inertial.find("mass").get("value")) < 1e-6:
            link.remove(inertial)
    for joint in root.findall("joint"):
        for child in list(joint):
            if child.tag not in JOINT_PARTS or (child.tag in ("axis", "limit") and joint.get("type") == "fixed"):
                joint.remove(child)
    etree.cleanup_namespaces(root)


def write(root: etree._Element, path: Path) -> None:
    """Write a description."""
    etree.indent(root)
    path.write_bytes(etree.tostring(root, pretty_print=True))


def write_pairs(pairs: set[frozenset[str]], robot: str, path: Path) -> None:
    """Write the pairs of links that need no collision check; SAPIEN honours those whose reason is ``Default``."""
    root = element("robot", name=robot)
    for first, second in sorted(sorted(pair) for pair in pairs):
        etree.SubElement(root, "disable_collisions", link1=first, link2=second, reason="Default")
    write(root, path)


def text(*values: float) -> str:
    """Return numbers as a description writes them."""
    return " ".join(f"{value:.6g}" for value in values)


HALF_PI = math.pi / 2
