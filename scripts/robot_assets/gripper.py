"""A parallel gripper made of boxes, in the proportions of a Schunk WSG 50, for arms that come without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from robot_assets.description import element, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robot_assets.description import Origin

Vector = tuple[float, float, float]
DARK, STEEL, RUBBER = "0.13 0.13 0.15 1", "0.62 0.63 0.66 1", "0.05 0.05 0.055 1"


@dataclass(frozen=True)
class Box:
    """One box of a link."""

    centre: Vector
    size: Vector
    rgba: str
    solid: bool = True
    """Whether things collide with it."""


def add_parallel_gripper(root: etree._Element, parent: str, origin: Origin, stroke: float, scale: float = 1.0) -> None:
    """Add body, two fingers and the frame ``tcp`` to ``parent``.

    The approach is along +z of the frame at ``origin``, the fingers open along +y and -y.

    Args:
        root: the description.
        parent: link that carries the gripper.
        origin: position in metres and roll, pitch, yaw in radians in its frame.
        stroke: way of each finger in metres.
        scale: size of the body; 1 is 14.6 cm wide.
    """
    width, depth, height = 0.146 * scale, 0.055 * scale, 0.07 * scale
    rail = 0.018 * scale
    body = [
        Box((0, 0, height / 2), (depth, width, height), DARK),
        Box((0, 0, height + rail / 2), (depth * 0.7, width * 0.94, rail), STEEL),
    ]
    _add_link(root, "gripper_base", 0.9 * scale, body)
    _add_joint(root, "gripper_fixed", "fixed", parent, "gripper_base", origin)
    for side, sign in (("left", 1), ("right", -1)):
        finger = [
            Box((0, sign * 0.013, 0.012), (0.036 * scale, 0.026, 0.024), DARK),
            Box((0, sign * 0.009, 0.052), (0.022, 0.010, 0.060), STEEL),
            Box((0, sign * 0.002, 0.064), (0.022, 0.004, 0.036), RUBBER),
        ]
        _add_link(root, f"{side}_finger", 0.08, finger)
        joint = _add_joint(
            root,
            f"{side}_finger_joint",
            "prismatic",
            "gripper_base",
            f"{side}_finger",
            ((0, 0, height + rail), (0, 0, 0)),
        )
        joint.append(element("axis", xyz=text(0, sign, 0)))
        joint.append(element("limit", lower="0", upper=text(stroke), effort="80", velocity="0.4"))
    _add_link(root, "tcp", 0.0, [])
    _add_joint(root, "tcp_fixed", "fixed", "gripper_base", "tcp", ((0, 0, height + rail + 0.064), (0, 0, 0)))


def _add_joint(root: etree._Element, name: str, kind: str, parent: str, child: str, origin: Origin) -> etree._Element:
    joint = etree.SubElement(root, "joint", name=name, type=kind)
    etree.SubElement(joint, "parent", link=parent)
    etree.SubElement(joint, "child", link=child)
    etree.SubElement(joint, "origin", xyz=text(*origin[0]), rpy=text(*origin[1]))
    return joint


def _add_link(root: etree._Element, name: str, mass: float, boxes: Sequence[Box]) -> None:
    """Add a link; its inertia is that of the first box, which holds most of the mass."""
    link = etree.SubElement(root, "link", name=name)
    if boxes:
        centre, (x, y, z) = boxes[0].centre, boxes[0].size
        inertial = etree.SubElement(link, "inertial")
        etree.SubElement(inertial, "origin", xyz=text(*centre))
        etree.SubElement(inertial, "mass", value=text(mass))
        moments = {"ixx": y * y + z * z, "iyy": x * x + z * z, "izz": x * x + y * y}
        inertia = {key: text(mass / 12 * value) for key, value in moments.items()}
        etree.SubElement(inertial, "inertia", {**inertia, "ixy": "0", "ixz": "0", "iyz": "0"})
    for box in boxes:
        for tag in ("visual", "collision") if box.solid else ("visual",):
            holder = etree.SubElement(link, tag)
            etree.SubElement(holder, "origin", xyz=text(*box.centre))
            etree.SubElement(etree.SubElement(holder, "geometry"), "box", size=text(*box.size))
            if tag == "visual":
                material = etree.SubElement(holder, "material", name=f"gripper_{box.rgba.replace(' ', '_')}")
                etree.SubElement(material, "color", rgba=box.rgba)
