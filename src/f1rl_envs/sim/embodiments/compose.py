"""Two arms as one robot: a URDF with both, every name with its arm's prefix."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from f1rl_envs.sim.cache import cache_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from f1rl_envs.sim.embodiments.base import Arm

ROOT_LINK = "pair_base"


def compose(arms: Sequence[Arm], name: str) -> Path:
    """Write the URDF of several arms as one articulation.

    The file's name holds a hash of its contents, which name the arms' own files, so that an existing one is never out
    of date, and processes that write the same one at the same time do not disturb each other.

    Args:
        arms: with prefixes and base positions; all stand on one root link.
        name: first part of the file's name.

    Raises:
        OSError: if neither the user's cache nor a temporary directory can be written.
    """
    root = ElementTree.Element("robot", name=name)
    ElementTree.SubElement(root, "link", name=ROOT_LINK)
    for arm in arms:
        _add_arm(root, arm)
    ElementTree.indent(root)
    content = ElementTree.tostring(root, encoding="utf-8")
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = cache_root() / "robots" / f"{name}-{digest}.urdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(path, content)
    return path


def _add_arm(out: ElementTree.Element, arm: Arm) -> None:
    """Append links and joints of one arm, and the joint that fixes it to the root link."""
    source = ElementTree.parse(arm.urdf).getroot()
    for mesh in source.iter("mesh"):
        mesh.set("filename", str(arm.urdf.parent / mesh.get("filename")))
    for material in source.iter("material"):
        material.set("name", arm.prefix + material.get("name", ""))
    for element in source:
        if element.tag != "material":
            element.set("name", arm.prefix + element.get("name"))
        for tag in ("parent", "child"):
            end = element.find(tag)
            if end is not None:
                end.set("link", arm.prefix + end.get("link"))
        out.append(element)
    children = {joint.find("child").get("link") for joint in source.iter("joint")}
    (base,) = (link.get("name") for link in source.iter("link") if link.get("name") not in children)
    mount = ElementTree.SubElement(out, "joint", name=f"{arm.prefix}mount", type="fixed")
    ElementTree.SubElement(mount, "parent", link=ROOT_LINK)
    ElementTree.SubElement(mount, "child", link=base)
    ElementTree.SubElement(mount, "origin", xyz=" ".join(map(str, arm.base_position)))


def _write_whole(path: Path, content: bytes) -> None:
    """Write ``path`` under a temporary name first, so that nobody ever reads half of it."""
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        partial.write(content)
    Path(partial.name).replace(path)
