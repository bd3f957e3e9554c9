"""What is in a scene, drawn from the scene seed in plain numpy; nothing is built here.

The other seed is the episode's: :mod:`f1rl_envs.sim.start` draws from it where objects and robot start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f1rl_envs.sim.objects import ObjectSpec, sample_objects
from f1rl_envs.sim.textures import STYLES, texture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TABLE_HALF_SIZE = (0.66, 0.66, 0.02)
TABLE_POSITION = (0.1, 0.0, -0.02)
"""Centre of the table's board; its top is at z = 0."""
FLOOR_HEIGHT = -0.75
WALL_POSITION = (-1.5, 0.0, 0.6)

CAMERAS = ("head", "wrist", "wrist_right")
"""Every camera that a robot may have; each has draws of its own, whichever of them are built."""


@dataclass(frozen=True)
class LightSpec:
    """The scene's lights; colours are linear RGB and may exceed 1."""

    ambient: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], ...]
    colours: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class CameraShift:
    """How far a camera is from where it should be."""

    position: tuple[float, float, float]
    """In metres, along the axes of the camera: forward, left, up."""
    rotation: tuple[float, float, float]
    """Rotation vector in radians, about the same axes."""


@dataclass(frozen=True)
class SceneSpec:
    """Everything that is built for one scene."""

    seed: int
    table: np.ndarray
    """``uint8 [n, n, 4]``, as the other two textures."""
    wall: np.ndarray
    floor: np.ndarray
    objects: tuple[ObjectSpec, ...]
    light: LightSpec
    robot_tint: tuple[float, float, float]
    """Factor on the robot's own colours."""
    cameras: dict[str, CameraShift]
    """By the names in :data:`CAMERAS`."""


def _sample_light(rng: np.random.Generator, random_light: bool) -> LightSpec:
    """Return a key light from the front left and a weak fill from the right, or a draw around them."""
    key, fill = np.array([-0.45, 0.35, -1.0]), np.array([-0.2, -0.8, -0.6])
    ambient, key_colour, fill_colour = np.full(3, 0.32), np.array([1.75, 1.68, 1.55]), np.array([0.5, 0.55, 0.65])
    if random_light:
        key[:2] += rng.uniform(-0.7, 0.7, 2)
        fill[:2] += rng.uniform(-0.5, 0.5, 2)
        ambient = rng.uniform(0.18, 0.42) * rng.uniform(0.85, 1.15, 3)
        key_colour = key_colour * rng.uniform(0.65, 1.25) * rng.uniform(0.85, 1.1, 3)
        fill_colour = fill_colour * rng.uniform(0.4, 1.5) * rng.uniform(0.85, 1.15, 3)
    return LightSpec(tuple(ambient), (tuple(key), tuple(fill)), (tuple(key_colour), tuple(fill_colour)))


def _sample_textures(rng: np.random.Generator, random_background: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the textures of table, wall and floor: always the same unless ``random_background``."""
    styles = list(STYLES)
    if not random_background:
        return tuple(
            texture(style, seed, random_colours=False) for style, seed in (("wood", 0), ("marble", 1), ("tiles", 2))
        )
    draws = rng.integers(0, 2**31, 3), rng.integers(0, len(styles), 3)
    return tuple(texture(styles[k], int(seed), random_colours=True) for seed, k in zip(*draws, strict=True))


def _sample_cameras(rng: np.random.Generator, randomization: Mapping[str, Any]) -> dict[str, CameraShift]:
    """Draw how far each camera is moved and turned; every component is uniform within its bound."""
    shifts = {}
    for name in CAMERAS:
        position = randomization["camera_position_jitter"] * rng.uniform(-1.0, 1.0, 3)
        rotation = randomization["camera_rotation_jitter"] * rng.uniform(-1.0, 1.0, 3)
        shifts[name] = CameraShift(tuple(position.tolist()), tuple(rotation.tolist()))
    return shifts


def sample_scene(seed: int, randomization: Mapping[str, Any], num_objects: int | None = None) -> SceneSpec:
    """Return the scene of ``seed``.

    Args:
        seed: the scene seed.
        randomization: the group of that name in the environment's configuration.
        num_objects: fixes the number of objects instead of drawing it from ``randomization["num_objects"]``.
    """
    # One stream per aspect: switching one kind of randomisation on or off leaves the others as they were.
    objects_rng, background_rng, light_rng, robot_rng, cameras_rng, physical_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)
    )
    low, high = randomization["num_objects"]
    drawn = int(objects_rng.integers(low, high + 1)) if randomization["cluttered_table"] else 0
    count = drawn if num_objects is None else num_objects
    tint = robot_rng.uniform(0.3, 1.0, 3) if randomization["random_appearance"] else np.ones(3)
    table, wall, floor = _sample_textures(background_rng, bool(randomization["random_background"]))
    return SceneSpec(
        seed=seed,
        table=table,
        wall=wall,
        floor=floor,
        objects=sample_objects(objects_rng, physical_rng, count, randomization),
        light=_sample_light(light_rng, bool(randomization["random_light"])),
        robot_tint=tuple(float(t) for t in tint),
        cameras=_sample_cameras(cameras_rng, randomization),
    )
