"""Where an episode starts, drawn from its seed in plain numpy: the objects on the table and the robot's joints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from f1rl_envs.sim.objects import ObjectSpec

SPREAD_X = (-0.06, 0.36)
SPREAD_Y = (-0.28, 0.28)
"""Where objects start: within reach of the home pose and in view of both cameras, in metres."""
CLEARANCE = 0.015
"""Free room between two objects at the start, in metres; also further than contacts are looked for."""
DROP = 2e-4
"""Height above the table at which an object is put, in metres: it lands within a few milliseconds."""
MAX_COVER = 0.4
"""Largest share of the area that the circles around the objects may take; discs put down at random jam at 0.55."""
_START_STREAM, _AGAIN_STREAM = 1, 3
"""Tell an episode's draws from each other; 2 is the scene seed that is derived from an episode's."""


@dataclass(frozen=True)
class Start:
    """Where an episode starts."""

    arm_noise: np.ndarray
    """``float32 [J]``, radians, to be added to the home pose."""
    poses: np.ndarray
    """``float32 [K, 7]``: position in metres and ``w, x, y, z`` of each object."""


def start_seed(seed: int, attempt: int) -> int:
    """Return the seed of the start that is tried after ``attempt`` others of an episode would not settle."""
    if attempt == 0:
        return seed
    return int(np.random.SeedSequence([seed, _AGAIN_STREAM, attempt]).generate_state(1)[0] >> 1)


def cover(count: int, footprint: float) -> float:
    """Return the share of the area that ``count`` objects of a footprint (radius, m) and their clearance take."""
    radius = footprint + CLEARANCE / 2
    width, depth = (high - low + 2 * radius for low, high in (SPREAD_X, SPREAD_Y))
    return count * np.pi * radius**2 / (width * depth)


def sample_start(seed: int, objects: Sequence[ObjectSpec], num_joints: int, noise: float) -> Start:
    """Return where the episode of ``seed`` starts.

    Objects stand upright at rest height, turned about the vertical, none touching another, so that there is nothing to
    settle but :data:`DROP`. Joints and objects have a random stream each: neither depends on the number of the other.

    Args:
        seed: the episode seed, or that of a later attempt, see :func:`start_seed`.
        objects: what the scene holds.
        num_joints: arm joints, of all arms.
        noise: standard deviation around the home pose in radians, cut at two of them.
    """
    joints_rng, objects_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence([seed, _START_STREAM]).spawn(2)
    )
    arm_noise = np.clip(joints_rng.standard_normal(num_joints), -2.0, 2.0) * noise
    poses = np.zeros((len(objects), 7), np.float32)
    poses[:, :2] = _scatter(objects_rng, [o.footprint for o in objects])
    poses[:, 2] = [o.half_size[2] + DROP for o in objects]
    half_turn = objects_rng.uniform(-np.pi, np.pi, len(objects)) / 2
    poses[:, 3], poses[:, 6] = np.cos(half_turn), np.sin(half_turn)
    return Start(arm_noise.astype(np.float32), poses)


def _scatter(rng: np.random.Generator, footprints: list[float]) -> np.ndarray:
    """Return positions ``[K, 2]`` of circles that keep :data:`CLEARANCE`, by drawing each until it fits.

    Up to :data:`MAX_COVER` a full restart is rare and an endless search impossible in practice.
    """
    while True:
        placed: list[tuple[float, float, float]] = []
        for footprint in footprints:
            for _ in range(200):
                # Plain numbers: an array of two or three costs more than what is computed with it.
                x, y = rng.uniform(*SPREAD_X), rng.uniform(*SPREAD_Y)
                if all(math.hypot(x - px, y - py) > footprint + other + CLEARANCE for px, py, other in placed):
                    placed.append((x, y, footprint))
                    break
            else:
                break
        else:
            return np.array([spot[:2] for spot in placed]).reshape(-1, 2)
