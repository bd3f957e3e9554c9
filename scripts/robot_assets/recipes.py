"""What is taken from where, and what is changed, for each robot."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lxml import etree

from robot_assets.description import HALF_PI, Recipe, element, parse, text
from robot_assets.gripper import add_parallel_gripper

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE_ROBOT_DATA = "example-robot-data==6.0.0"
RTB_DATA = "rtb-data==2.0.0"
_SHARE = "cmeel.prefix/share"
_ROBOTS = f"{_SHARE}/example-robot-data/robots"


def _from_package(wheel: Path, filename: str) -> Path:
    return wheel / _SHARE / filename.removeprefix("package://")


def _described(path: str) -> dict:
    """Return the recipe's entries for a robot of ``example-robot-data``."""
    return {
        "wheel": EXAMPLE_ROBOT_DATA,
        "source": lambda wheel: parse(wheel / _ROBOTS / path),
        "mesh_path": _from_package,
    }


def _give_xarm_a_gripper(root: etree._Element) -> None:
    add_parallel_gripper(root, "link7", ((0, 0, 0), (0, 0, HALF_PI)), stroke=0.043, scale=0.85)


def _give_ur5_a_gripper(root: etree._Element) -> None:
    """Put the gripper at the flange; the small box that stood for a tool goes."""
    for link in root.findall("link"):
        if link.get("name") == "ee_link":
            for collision in link.findall("collision"):
                link.remove(collision)
    add_parallel_gripper(root, "tool0", ((0, 0, 0), (0, 0, 0)), stroke=0.055)


def _expand_vx300s(wheel: Path) -> etree._Element:
    """Expand the macros; names lose the robot's own prefix."""
    import xacro

    path = wheel / "rtbdata/xacro/trossen_descriptions/urdf/vx300s.urdf.xacro"
    document = xacro.process_file(str(path), mappings={"robot_name": "ROBOT", "use_world_frame": "false"})
    return etree.fromstring(document.toxml().replace("ROBOT/", ""), etree.XMLParser(remove_comments=True))


def _prepare_vx300s(root: etree._Element) -> None:
    """Paint it black, fix the propeller of the gripper's motor, let both fingers open in the positive direction."""
    for material in root.iter("material"):
        for child in list(material):
            material.remove(child)
        material.append(element("color", rgba="0.12 0.12 0.13 1"))
    joints = {joint.get("name"): joint for joint in root.findall("joint")}
    joints["gripper"].set("type", "fixed")
    finger, limit = joints["right_finger"], joints["right_finger"].find("limit")
    finger.find("axis").set("xyz", "0 -1 0")
    low, high = limit.get("lower"), limit.get("upper")
    limit.set("lower", text(-float(high)))
    limit.set("upper", text(-float(low)))
    for name in ("left_finger_link", "right_finger_link"):
        _give_box_collision(root, name, sign=1 if name.startswith("left") else -1)


def _give_box_collision(root: etree._Element, name: str, sign: int) -> None:
    """Replace the hull of a finger, which fills its hook, by two boxes: the tip and the carriage."""
    (link,) = (link for link in root.findall("link") if link.get("name") == name)
    for collision in link.findall("collision"):
        link.remove(collision)
    for centre, size in (((0.045, -0.010, 0.0), (0.046, 0.007, 0.030)), ((0.005, -0.003, 0.0), (0.036, 0.020, 0.06))):
        collision = etree.SubElement(link, "collision")
        etree.SubElement(collision, "origin", xyz=text(centre[0], sign * centre[1], centre[2]))
        etree.SubElement(etree.SubElement(collision, "geometry"), "box", size=text(*size))


def _panda_pairs(wheel: Path) -> set[frozenset[str]]:
    """Return the pairs that the Panda's own SRDF lists."""
    root = ElementTree.parse(wheel / _ROBOTS / "panda_description/srdf/panda.srdf").getroot()
    return {frozenset((p.get("link1"), p.get("link2"))) for p in root.iter("disable_collisions")}


RECIPES: dict[str, Recipe] = {
    "franka_panda": Recipe(
        **_described("panda_description/urdf/panda.urdf"),
        name="panda",
        budget={
            "panda_link0": 800,
            "panda_link5": 1000,
            "panda_link6": 900,
            "panda_hand": 850,
            "panda_leftfinger": 260,
            "panda_rightfinger": 260,
        },
        default_budget=640,
        pairs=_panda_pairs,
    ),
    "xarm7": Recipe(
        **_described("xarm_description/urdf/xarm7.urdf"),
        name="xarm7",
        budget={"link7": 500},
        default_budget=850,
        extend=_give_xarm_a_gripper,
    ),
    "ur5": Recipe(
        **_described("ur_description/urdf/ur5_joint_limited_robot.urdf"),
        name="ur5",
        budget={"upper_arm_link": 1300, "forearm_link": 1200, "base_link": 500, "wrist_3_link": 500},
        default_budget=900,
        extend=_give_ur5_a_gripper,
    ),
    "so101": Recipe(
        **_described("so_arm_description/urdf/so101.urdf"),
        name="so101",
        budget={"gripper_link": 1700, "moving_jaw_so101_v1_link": 700},
        default_budget=1100,
        slices={"gripper_link": (2, 6), "moving_jaw_so101_v1_link": (1, 5)},
    ),
    "vx300s": Recipe(
        wheel=RTB_DATA,
        source=_expand_vx300s,
        mesh_path=lambda wheel, filename: wheel / "rtbdata/xacro" / filename.removeprefix("package://"),
        name="vx300s",
        budget={"gripper_link": 1100, "gripper_bar_link": 1000, "gripper_prop_link": 200},
        default_budget=700,
        extend=_prepare_vx300s,
    ),
}
"""Every robot by its folder under ``src/f1rl_envs/assets``."""
