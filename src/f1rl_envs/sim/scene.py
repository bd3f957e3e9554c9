"""What is in a scene and where things start, drawn from seeds in plain numpy; nothing is built here.

Two seeds, two draws: :func:`sample_scene` decides what is built (shapes, sizes, colours, textures, lights) from the
scene seed, :func:`sample_start` decides where the objects and the robot start from the episode seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from f1rl_envs.sim.textures import STYLES, texture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TABLE_HALF_SIZE = (0.66, 0.66, 0.02)
TABLE_POSITION = (0.1, 0.0, -0.02)
"""Centre of the table's board; its top is at z = 0."""
FLOOR_HEIGHT = -0.75
WALL_POSITION = (-1.5, 0.0, 0.6)

SPREAD_X = (-0.06, 0.36)
SPREAD_Y = (-0.28, 0.28)
"""Where objects start: within reach of the home pose and in view of both cameras, in metres."""
CLEARANCE = 0.015
"""Free room between two objects at the start, in metres; also further than contacts are looked for."""
DROP = 2e-4
"""Height above the table at which an object starts, in metres: it settles within a few milliseconds."""

HOME_NOISE = 0.04
"""Standard deviation of an arm joint's start around the home pose, in radians, cut at two of them."""

_COLOURS = (
    (0.80, 0.13, 0.12),
    (0.10, 0.32, 0.75),
    (0.95, 0.70, 0.08),
    (0.13, 0.55, 0.22),
    (0.55, 0.20, 0.60),
    (0.95, 0.42, 0.08),
    (0.08, 0.60, 0.62),
    (0.92, 0.92, 0.90),
)
"""Colours of the objects in turn, unless ``random_appearance`` draws them."""

Shape = Literal["box", "cylinder", "sphere"]
SHAPES: tuple[Shape, ...] = ("box", "cylinder", "sphere")
_SHAPE_ODDS = (0.5, 0.3, 0.2)


@dataclass(frozen=True)
class ObjectSpec:
    """One clutter object, standing upright."""

    shape: Shape
    half_size: tuple[float, float, float]
    """Half extents in metres; a cylinder has radius ``[0]`` and half height ``[2]``, a sphere radius ``[0]``."""
    colour: tuple[float, float, float]

    @property
    def footprint(self) -> float:
        """Radius of the circle around its base, in metres."""
        x, y, _ = self.half_size
        return float(np.hypot(x, y)) if self.shape == "box" else x


@dataclass(frozen=True)
class LightSpec:
    """The scene's lights; colours are linear RGB and may exceed 1."""

    ambient: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], ...]
    colours: tuple[tuple[float, float, float], ...]


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


@dataclass(frozen=True)
class Start:
    """Where an episode starts."""

    arm_noise: np.ndarray
    """``float32 [J]``, radians, to be added to the home pose."""
    poses: np.ndarray
    """``float32 [K, 7]``: position in metres and ``w, x, y, z`` of each object."""


def _sample_object(rng: np.random.Generator, index: int, random_appearance: bool) -> ObjectSpec:
    """Draw one object between 3 and 8 cm across."""
    shape = SHAPES[int(rng.choice(len(SHAPES), p=_SHAPE_ODDS))]
    x, y, z = rng.uniform(0.016, 0.036, 3)
    if shape == "cylinder":
        half_size = (x, x, z)
    elif shape == "sphere":
        half_size = (x, x, x)
    else:
        half_size = (x, y, z)
    colour = rng.uniform(0.05, 0.95, 3)
    if not random_appearance:
        colour = np.array(_COLOURS[index % len(_COLOURS)])
    return ObjectSpec(shape, tuple(float(v) for v in half_size), tuple(float(c) for c in colour))


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


def sample_scene(seed: int, randomization: Mapping[str, Any], num_objects: int | None = None) -> SceneSpec:
    """Return the scene of ``seed``.

    Args:
        seed: the scene seed.
        randomization: the group of that name in the environment's configuration.
        num_objects: fixes the number of objects instead of drawing it from ``randomization["num_objects"]``.
    """
    # One stream per aspect: switching one kind of randomisation on or off leaves the others as they were.
    objects_rng, background_rng, light_rng, robot_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )
    low, high = randomization["num_objects"]
    drawn = int(objects_rng.integers(low, high + 1)) if randomization["cluttered_table"] else 0
    count = drawn if num_objects is None else num_objects
    random_appearance = bool(randomization["random_appearance"])
    tint = robot_rng.uniform(0.3, 1.0, 3) if random_appearance else np.ones(3)
    table, wall, floor = _sample_textures(background_rng, bool(randomization["random_background"]))
    return SceneSpec(
        seed=seed,
        table=table,
        wall=wall,
        floor=floor,
        objects=tuple(_sample_object(objects_rng, i, random_appearance) for i in range(count)),
        light=_sample_light(light_rng, bool(randomization["random_light"])),
        robot_tint=tuple(float(t) for t in tint),
    )


def _scatter(rng: np.random.Generator, footprints: list[float]) -> np.ndarray:
    """Return positions ``[K, 2]`` of circles that keep :data:`CLEARANCE`, by drawing each until it fits.

    Twelve of the largest objects cover less than half of the area, so that a full restart is rare and an endless
    search impossible in practice.
    """
    low, high = np.array([SPREAD_X[0], SPREAD_Y[0]]), np.array([SPREAD_X[1], SPREAD_Y[1]])
    while True:
        placed = np.empty((0, 2))
        for k, footprint in enumerate(footprints):
            for _ in range(200):
                spot = rng.uniform(low, high)
                apart = np.hypot(*(placed - spot).T)
                if (apart > footprint + np.array(footprints[:k]) + CLEARANCE).all():
                    placed = np.vstack([placed, spot])
                    break
            else:
                break
        else:
            return placed


def sample_start(seed: int, objects: tuple[ObjectSpec, ...], num_joints: int) -> Start:
    """Return where the episode of ``seed`` starts in a scene with ``objects``.

    Objects stand upright at rest height, turned about the vertical, none touching another, so that nothing has to be
    simulated until it settles.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    noise = np.clip(rng.standard_normal(num_joints), -2.0, 2.0) * HOME_NOISE
    poses = np.zeros((len(objects), 7), np.float32)
    poses[:, :2] = _scatter(rng, [o.footprint for o in objects])
    poses[:, 2] = [o.half_size[2] + DROP for o in objects]
    half_turn = rng.uniform(-np.pi, np.pi, len(objects)) / 2
    poses[:, 3], poses[:, 6] = np.cos(half_turn), np.sin(half_turn)
    return Start(noise.astype(np.float32), poses)
