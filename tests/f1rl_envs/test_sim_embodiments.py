"""The table of robots against their own descriptions; nothing is simulated here."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import combinations, combinations_with_replacement
from xml.etree import ElementTree

import numpy as np
import pytest

from f1rl_envs.sim.embodiments import ARMS, embodiment
from f1rl_envs.sim.embodiments.collisions import collision_masks, ignored_pairs
from f1rl_envs.sim.embodiments.compose import compose


def elements(urdf, tag):
    """Return the named elements of a description."""
    return {element.get("name"): element for element in ElementTree.parse(urdf).getroot().findall(tag)}


def limits_of(joint):
    limit = joint.find("limit")
    return float(limit.get("lower")), float(limit.get("upper"))


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_home_pose_and_limits_agree_with_the_description(arm):
    joints, links = elements(arm.urdf, "joint"), elements(arm.urdf, "link")
    for name, limits, home in zip(arm.joints, arm.limits, arm.home, strict=True):
        assert limits == limits_of(joints[name])
        assert limits[0] < home < limits[1]
    for finger in arm.fingers:
        assert sorted((finger.closed, finger.open)) == list(limits_of(joints[finger.joint]))
    movable = {name for name, joint in joints.items() if joint.get("type") != "fixed"}
    assert movable == {*arm.joints, *(finger.joint for finger in arm.fingers)}
    assert {*arm.finger_links, arm.tcp_link, arm.wrist_camera.link} <= set(links)
    np.testing.assert_allclose(np.linalg.norm(arm.wrist_camera.quaternion), 1.0, atol=1e-6)


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_files_are_shipped_with_their_licence(arm):
    folder = arm.urdf.parent
    for mesh in ElementTree.parse(arm.urdf).getroot().iter("mesh"):
        assert (folder / mesh.get("filename")).is_file()
    for document in (arm.urdf.with_suffix(".srdf"), folder / "LICENSE", folder / "NOTICE"):
        assert document.is_file()


def test_a_pair_has_every_part_of_both_arms_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pair = embodiment({"arms": ["franka", "franka"], "distance": 0.71})
    left, right = pair.arms
    assert left.base_position[1] - right.base_position[1] == pytest.approx(0.71)
    joints, links = elements(pair.urdf, "joint"), elements(pair.urdf, "link")
    for arm in pair.arms:
        alone = elements(arm.urdf, "link")
        assert {arm.prefix + name for name in alone} <= set(links)
        assert {arm.tcp_link, arm.wrist_camera.link, *arm.finger_links} <= set(links)
        assert {*arm.joints, *(finger.joint for finger in arm.fingers)} <= set(joints)
    for mesh in ElementTree.parse(pair.urdf).getroot().iter("mesh"):
        assert (pair.urdf.parent / mesh.get("filename")).is_file()
    assert list(pair.wrist_cameras) == ["wrist", "wrist_right"]


@pytest.mark.parametrize("names", list(combinations_with_replacement(ARMS, 2)))
def test_links_of_a_pair_pass_through_those_that_they_may_and_no_others(names):
    arms = embodiment({"arms": names, "distance": 0.7}).arms
    masks = collision_masks(arms)
    assert max(masks.values()) < 2**29
    allowed = {
        frozenset(arm.prefix + link for link in pair)
        for arm in arms
        for pair in ignored_pairs(arm.urdf.with_suffix(".srdf")) | joined_pairs(arm.urdf)
    }
    sharing = {frozenset(pair) for pair in combinations(masks, 2) if masks[pair[0]] & masks[pair[1]]}
    assert sharing <= allowed
    needed = {
        frozenset(arm.prefix + link for link in pair)
        for arm in arms
        for pair in ignored_pairs(arm.urdf.with_suffix(".srdf")) - joined_pairs(arm.urdf)
    }
    assert needed <= sharing


def joined_pairs(urdf):
    joints = elements(urdf, "joint").values()
    return {frozenset((joint.find("parent").get("link"), joint.find("child").get("link"))) for joint in joints}


def test_many_may_compose_the_same_pair_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arms = embodiment({"arms": ["franka", "franka"], "distance": 0.7}).arms
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: compose(arms, "pair"), range(16)))
    (path,) = paths
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arms", "distance", "said"),
    [
        (["frnka"], None, "did you mean franka"),
        ([], None, "must name one arm"),
        (["franka"] * 3, 0.6, "must name one arm"),
        (["franka"], 0.6, "must be null"),
        (["franka", "franka"], None, "needs the distance"),
        (["franka", "franka"], 3.0, "from 0.2 to 1.2"),
    ],
)
def test_a_wrong_configuration_is_explained(arms, distance, said):
    with pytest.raises(ValueError, match=said):
        embodiment({"arms": arms, "distance": distance})


def test_a_placed_arm_keeps_every_number():
    arm = ARMS["franka"]
    placed = arm.placed("left_", 0.3)
    changed = {field.name for field in fields(arm) if getattr(arm, field.name) != getattr(placed, field.name)}
    assert changed == {
        "joints", "fingers", "finger_links", "tcp_link", "wrist_camera", "base_position", "prefix"
    }  # fmt: skip


def test_the_table_needs_no_simulator():
    code = (
        "import sys; import f1rl_envs.sim.embodiments; "
        "sys.exit(len({'torch', 'sapien', 'mani_skill'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
