"""The robots: single arms by name, and pairs of any two of them. Plain numbers, no simulator is imported here."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from f1rl_envs.sim.embodiments.base import Arm, CameraMount, CameraView, Embodiment, Finger
from f1rl_envs.sim.embodiments.franka import FRANKA
from f1rl_envs.sim.embodiments.so101 import SO101
from f1rl_envs.sim.embodiments.ur5 import UR5
from f1rl_envs.sim.embodiments.vx300s import VX300S
from f1rl_envs.sim.embodiments.xarm7 import XARM7

if TYPE_CHECKING:
    from collections.abc import Mapping

ARMS: dict[str, Arm] = {arm.name: arm for arm in (FRANKA, XARM7, UR5, SO101, VX300S)}
"""Every single arm by the name that the configuration uses."""
DISTANCES = (0.2, 1.2)
"""Least and most distance between the bases of a pair: they must neither overlap nor leave the table."""
PAIR_HEAD_CAMERA = CameraView(eye=(1.05, 0.25, 0.85), target=(-0.15, 0.0, 0.15), fov=1.1)


def faults(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a configuration of :func:`embodiment`, one sentence each."""
    names, distance = list(config["arms"]), config["distance"]
    found = []
    for name in names:
        if name not in ARMS:
            close = difflib.get_close_matches(str(name), ARMS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            found.append(f"arms names {name!r}, which is no arm: {hint}There are {', '.join(ARMS)}")
    if len(names) not in (1, 2):
        found.append(f"arms={names}: must name one arm, or the left and the right one of a pair")
    elif len(names) == 1 and distance is not None:
        found.append(f"distance={distance}: must be null for a single arm; a second name in arms makes a pair")
    elif len(names) == 2 and (distance is None or not DISTANCES[0] <= distance <= DISTANCES[1]):
        low, high = DISTANCES
        found.append(f"distance={distance}: a pair needs the distance of its bases in metres, from {low} to {high}")
    return found


def embodiment(config: Mapping[str, Any]) -> Embodiment:
    """Return the robot that a configuration describes.

    Args:
        config: ``arms``, one name of :data:`ARMS` or two (left, right), and ``distance``, in metres between the bases
            of a pair, else None.

    Raises:
        ValueError: naming each wrong value, and what is allowed.
    """
    found = faults(config)
    if found:
        raise ValueError("the embodiment is wrong: " + "; ".join(found))
    return _build(tuple(config["arms"]), config["distance"])


@lru_cache
def _build(names: tuple[str, ...], distance: float | None) -> Embodiment:
    if len(names) == 1:
        arm = ARMS[names[0]]
        return Embodiment(arm.name, (arm,), arm.head_camera)
    left, right = (ARMS[name] for name in names)
    arms = (left.placed("left_", distance / 2), right.placed("right_", -distance / 2))
    return Embodiment(f"{left.name}_{right.name}_{distance:g}", arms, PAIR_HEAD_CAMERA)


__all__ = ["ARMS", "Arm", "CameraMount", "CameraView", "Embodiment", "Finger", "embodiment", "faults"]
