"""Which pairs of links of one arm need no collision check, found by trying."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import sapien

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = 2000
OFTEN = 0.25
"""Pairs that touch in more than this share of random poses overlap by their shapes, not by the pose."""


def ignorable_pairs(urdf: Path, home: dict[str, float]) -> set[frozenset[str]]:
    """Return the pairs of links that may overlap without meaning anything.

    These are links joined by a joint (also over links without a shape, and over one link that is fixed between them),
    links that overlap in the home pose, and links that overlap in very many of the poses within the joint limits.

    Args:
        urdf: a description without an SRDF file beside it.
        home: position of each movable joint.
    """
    scene = sapien.Scene()
    loader = scene.create_urdf_loader()
    loader.fix_root_link = True
    robot = loader.load(str(urdf))
    limits = robot.get_qlimits()
    order = [joint.name for joint in robot.get_active_joints()]
    rng = np.random.default_rng(0)
    poses = [np.array([home[name] for name in order]), *rng.uniform(limits[:, 0], limits[:, 1], (SAMPLES, len(order)))]
    counts: Counter[frozenset[str]] = Counter()
    for index, pose in enumerate(poses):
        found = _overlaps(scene, robot, pose)
        counts.update(found if index else dict.fromkeys(found, SAMPLES))
    often = {pair for pair, count in counts.items() if count > OFTEN * SAMPLES}
    return often | _neighbours(robot)


def _overlaps(scene: sapien.Scene, robot: sapien.physx.PhysxArticulation, pose: np.ndarray) -> set[frozenset[str]]:
    """Return the pairs of links whose shapes overlap in ``pose``."""
    robot.set_qpos(pose)
    robot.set_qvel(np.zeros_like(pose))
    scene.step()
    pairs = set()
    for contact in scene.get_contacts():
        if any(point.separation < 0 for point in contact.points):
            pairs.add(frozenset(body.entity.name for body in contact.bodies))
    return pairs


def _neighbours(robot: sapien.physx.PhysxArticulation) -> set[frozenset[str]]:
    """Return the pairs that one movable joint joins: each link with those that move with its parent."""
    links = {link.name: link for link in robot.get_links()}
    carrier = {name: _first_moving(link).name for name, link in links.items()}
    pairs = set()
    for name, link in links.items():
        parent = link.parent
        for other, body in carrier.items():
            same = body == carrier[name] or (parent is not None and body == carrier[parent.name])
            if other != name and same:
                pairs.add(frozenset((name, other)))
    return pairs


def _first_moving(link: sapien.physx.PhysxArticulationLinkComponent) -> sapien.physx.PhysxArticulationLinkComponent:
    """Return the link that ``link`` is rigidly joined to and that moves itself, or the root."""
    while link.parent is not None and link.joint.dof == 0:
        link = link.parent
    return link
