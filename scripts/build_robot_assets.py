"""Build the low-polygon Franka Panda that ships in ``src/f1rl_envs/assets/franka_panda``.

A software renderer pays for triangles, not for pixels: the original visual meshes have 135 thousand, what this script
writes has a twentieth of that and looks the same in a picture of 256 pixels. The source is the Panda of
``franka_description`` (Apache-2.0) as packaged by ``example-robot-data``::

    pip download --no-deps example-robot-data==6.0.0
    unzip example_robot_data-6.0.0-0-py3-none-any.whl -d example_robot_data
    pip install trimesh fast_simplification pycollada lxml scipy
    python scripts/build_robot_assets.py example_robot_data

Written: ``panda.urdf`` (mesh paths relative to it), ``panda.srdf``, ``visual/*.glb``, ``collision/*.stl``, ``LICENSE``.
``NOTICE`` (origin and list of changes) is kept by hand beside them.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from pathlib import Path

import fast_simplification
import numpy as np
import trimesh
from lxml import etree

LOG = logging.getLogger("build_robot_assets")
SOURCE = Path("cmeel.prefix/share/example-robot-data/robots/panda_description")
TARGET = Path(__file__).resolve().parents[1] / "src" / "f1rl_envs" / "assets" / "franka_panda"

TRIANGLES = {"link0": 800, "link5": 1000, "link6": 900, "hand": 850, "finger": 260}
"""Triangles of a visual mesh; what is seen from near (the wrist camera looks at the hand) gets more."""
DEFAULT_TRIANGLES = 640
COLLISION_TRIANGLES = 60
SMALL_PART = 2e-4
"""Parts with less surface than this, in square metres, are screws and lettering: left out."""


def _simplify(mesh: trimesh.Trimesh, triangles: int) -> trimesh.Trimesh:
    """Return ``mesh`` with at most about ``triangles`` faces, by quadric edge collapse."""
    mesh = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    if len(mesh.faces) <= triangles:
        return mesh
    vertices, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, np.float32),
        np.asarray(mesh.faces, np.int32),
        target_reduction=1.0 - triangles / len(mesh.faces),
        agg=5,
    )
    return trimesh.Trimesh(vertices, faces, process=True)


def _parts(path: Path) -> list[tuple[trimesh.Trimesh, tuple[int, int, int, int]]]:
    """Return the coloured parts of a visual mesh in the mesh's own frame, parts of one colour joined."""
    scene = trimesh.load(path)
    scene = scene if isinstance(scene, trimesh.Scene) else trimesh.Scene(scene)
    by_colour: dict[tuple[int, int, int, int], list[trimesh.Trimesh]] = {}
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        part = scene.geometry[name].copy()
        part.apply_transform(transform)
        if part.area < SMALL_PART:
            continue
        colour = tuple(int(c) for c in part.visual.material.main_color)
        by_colour.setdefault(colour, []).append(trimesh.Trimesh(part.vertices, part.faces, process=False))
    return [(trimesh.util.concatenate(meshes), colour) for colour, meshes in by_colour.items()]


def build_visual(source: Path, target: Path) -> tuple[int, int]:
    """Decimate one visual mesh into a ``.glb`` and return the triangles before and after.

    The budget is shared among the parts by the square root of their surface: a small dark ring next to a large white
    shell is what the eye reads as a joint, and would vanish in proportion.
    """
    parts = _parts(source)
    budget = TRIANGLES.get(source.stem, DEFAULT_TRIANGLES)
    weights = np.sqrt([mesh.area for mesh, _ in parts])
    shares = budget * weights / weights.sum()
    out = trimesh.Scene()
    before = after = 0
    for (mesh, colour), share in zip(parts, shares, strict=True):
        small = _simplify(mesh, max(24, int(share)))
        before, after = before + len(mesh.faces), after + len(small.faces)
        shaded = trimesh.graph.smooth_shade(small, angle=np.radians(40))
        material = trimesh.visual.material.PBRMaterial(
            baseColorFactor=colour, metallicFactor=0.05, roughnessFactor=0.55, name=f"part_{len(out.geometry)}"
        )
        shaded.visual = trimesh.visual.TextureVisuals(material=material)
        out.add_geometry(shaded)
    out.export(target, include_normals=True)
    return before, after


def build_collision(source: Path, target: Path) -> None:
    """Write the convex hull of a collision mesh with few faces; the simulator would take the hull anyway."""
    hull = trimesh.load(source).convex_hull
    _simplify(hull, COLLISION_TRIANGLES).convex_hull.export(target)


def build_urdf(source: Path, target: Path) -> None:
    """Rewrite the description with relative mesh paths, in plain form.

    The mimic tag of the second finger goes: both fingers are driven with the same target, which every physics backend
    can do. Massless frames lose their empty inertia, which some loaders refuse.
    """
    root = etree.parse(str(source), etree.XMLParser(remove_comments=True, remove_blank_text=True)).getroot()
    for mesh in root.iter("mesh"):
        path = Path(mesh.get("filename"))
        suffix = ".glb" if path.parent.name == "visual" else ".stl"
        mesh.set("filename", f"{path.parent.name}/{path.stem}{suffix}")
    for link in root.iter("link"):
        inertial = link.find("inertial")
        if inertial is not None and float(inertial.find("mass").get("value")) == 0.0:
            link.remove(inertial)
    for joint in root.iter("joint"):
        for tag in ("mimic", "safety_controller"):
            element = joint.find(tag)
            if element is not None:
                joint.remove(element)
    etree.cleanup_namespaces(root)
    target.write_bytes(etree.tostring(root, pretty_print=True))


def build_srdf(source: Path, target: Path) -> None:
    """Keep the pairs of links that need no collision check; SAPIEN honours those whose reason is ``Default``."""
    root = etree.parse(str(source), etree.XMLParser(remove_comments=True, remove_blank_text=True)).getroot()
    out = etree.Element("robot", name="panda")
    for pair in root.iter("disable_collisions"):
        etree.SubElement(out, "disable_collisions", link1=pair.get("link1"), link2=pair.get("link2"), reason="Default")
    target.write_bytes(etree.tostring(out, pretty_print=True))


def main() -> None:
    """Build everything from an unpacked ``example-robot-data`` wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="folder of the unpacked wheel")
    parser.add_argument("--target", type=Path, default=TARGET)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    source, target = args.wheel / SOURCE, args.target
    for folder in ("visual", "collision"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    total = np.zeros(2, int)
    for mesh in sorted((source / "meshes" / "visual").glob("*.dae")):
        counts = build_visual(mesh, target / "visual" / f"{mesh.stem}.glb")
        total += counts
        LOG.info("%-8s %6d -> %5d triangles", mesh.stem, *counts)
    for mesh in sorted((source / "meshes" / "collision").glob("*.stl")):
        if mesh.stem != "finger":  # the description gives the fingers boxes
            build_collision(mesh, target / "collision" / mesh.name)
    build_urdf(source / "urdf" / "panda.urdf", target / "panda.urdf")
    build_srdf(source / "srdf" / "panda.srdf", target / "panda.srdf")
    shutil.copyfile(source / "LICENSE", target / "LICENSE")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    LOG.info("total    %6d -> %5d triangles, %d kB", *total, size // 1024)


if __name__ == "__main__":
    main()
