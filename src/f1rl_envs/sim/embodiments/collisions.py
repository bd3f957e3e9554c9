"""Which links of a pair do not collide, as the collision groups of a physics engine.

Two links whose masks share a bit pass through each other. SAPIEN's loader gives every pair of an SRDF file a bit of its
own, which are too few for two arms; here a bit serves as many links as may all pass through each other.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from f1rl_envs.sim.embodiments.base import Arm

FREE_BITS = 29
"""Bits from 0 that nobody else uses: ManiSkill has its own use for the highest ones."""

Pairs = set[frozenset[str]]


def ignored_pairs(srdf: Path) -> Pairs:
    """Return the pairs of links that a description says need no collision check."""
    found = ElementTree.parse(srdf).getroot().iter("disable_collisions")
    return {frozenset((pair.get("link1"), pair.get("link2"))) for pair in found}


def collision_masks(arms: Sequence[Arm]) -> dict[str, int]:
    """Return a mask for each link (with its prefix) that passes through another one of its own arm.

    Links of different arms never share a bit.

    Raises:
        ValueError: if there are not enough bits.
    """
    masks: dict[str, int] = {}
    bit = 0
    for arm in arms:
        pairs = ignored_pairs(arm.urdf.with_suffix(".srdf"))
        for group in _cover(pairs, _joined_pairs(arm.urdf)):
            for link in group:
                masks[arm.prefix + link] = masks.get(arm.prefix + link, 0) | 1 << bit
            bit += 1
    if bit > FREE_BITS:
        raise ValueError(f"{' and '.join(arm.name for arm in arms)} need {bit} collision groups; there are {FREE_BITS}")
    return masks


def _joined_pairs(urdf: Path) -> Pairs:
    """Return the pairs of links that a joint joins: no physics engine lets those collide."""
    joints = ElementTree.parse(urdf).getroot().iter("joint")
    return {frozenset((joint.find("parent").get("link"), joint.find("child").get("link"))) for joint in joints}


def _cover(pairs: Pairs, joined: Pairs) -> list[set[str]]:
    """Return groups of links, each of pairs that may overlap, which together hold all of ``pairs``; greedily few."""
    allowed, left = pairs | joined, pairs - joined
    links = sorted(set().union(*allowed))
    groups = []
    while left:
        group = set(min(left, key=sorted))
        while True:
            fitting = [
                link for link in links if link not in group and all(frozenset((link, k)) in allowed for k in group)
            ]
            gains = {link: sum(frozenset((link, k)) in left for k in group) for link in fitting}
            if not gains or max(gains.values()) == 0:
                break
            group.add(max(fitting, key=gains.__getitem__))
        left -= {frozenset(pair) for pair in combinations(group, 2)}
        groups.append(group)
    return groups
