"""The clutter: what an object is, how one is drawn from a seed, and the primitives that it is made of.

Plain numpy. Every object stands on a flat foot with its centre of mass above it, so that it is at rest where it is put.
Hollow shapes collide as a ring of boxes, because a convex hull would close them: things can be put into a bowl.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Shape = Literal["box", "cylinder", "sphere", "l_shape", "mug", "bowl"]
SHAPE_ODDS: dict[Shape, float] = {"box": 0.5, "cylinder": 0.3, "sphere": 0.2, "l_shape": 0.2, "mug": 0.2, "bowl": 0.2}
"""How often each shape is drawn, relative to the others that are allowed."""
_FOOTPRINTS = {"sphere": 1.0, "cylinder": 1.0, "mug": 1.41, "bowl": 1.08}
"""Radius of the circle around a round object, in its own radii: a mug has a handle, a bowl's boxes have corners."""

RING = 8
"""Boxes that make the wall of a hollow shape."""
WALL = 0.16
"""Thickness of a hollow shape's wall, as a share of its radius."""
BOWL_FOOT = 0.5
"""Radius of a bowl's foot, as a share of its rim's."""
HANDLE_REACH, HANDLE_RADIUS, HANDLE_TUBE = 0.95, 0.36, 0.09
"""A mug's handle, in its radii: centre of the arc, radius of the arc, radius of what is bent."""

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


@dataclass(frozen=True)
class ObjectSpec:
    """One clutter object, standing upright."""

    shape: Shape
    half_size: tuple[float, float, float]
    """Half extents in metres; of a round shape ``[0]`` is the (largest) radius, without a handle."""
    colour: tuple[float, float, float]
    """sRGB in [0, 1]."""
    density: float
    """In kg/m3; with the volume it makes the mass."""
    friction: float
    """Static and dynamic friction of its surface; a contact has the mean of both surfaces'."""

    @property
    def footprint(self) -> float:
        """Radius of the circle around it as seen from above, in metres."""
        x, y, _ = self.half_size
        return _FOOTPRINTS[self.shape] * x if self.shape in _FOOTPRINTS else float(np.hypot(x, y))


@dataclass(frozen=True)
class Part:
    """A primitive in the frame of its object, whose origin is the centre of the object's extent."""

    shape: Literal["box", "cylinder", "sphere"]
    half_size: tuple[float, float, float]
    """Half extents in metres; a cylinder stands upright and has radius ``[0]`` and half height ``[2]``."""
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """``w, x, y, z``."""


def collision_parts(spec: ObjectSpec) -> list[Part]:
    """Return the primitives that an object collides as."""
    x, y, z = spec.half_size
    if spec.shape == "l_shape":
        foot = Part("box", (x, y, 0.35 * z), (0.0, 0.0, -0.65 * z))
        return [foot, Part("box", (0.35 * x, y, 0.65 * z), (-0.65 * x, 0.0, 0.35 * z))]
    if spec.shape == "mug":
        handle = Part("box", (0.2 * x, HANDLE_TUBE * x, 0.5 * z), (1.2 * x, 0.0, 0.0))
        return [_disc(0.95 * x, z, WALL * x), *_ring(0.97 * x, 0.97 * x, z, WALL * x), handle]
    if spec.shape == "bowl":
        return [_disc(BOWL_FOOT * x, z, WALL * x), *_ring(BOWL_FOOT * x, x, z, WALL * x)]
    return [Part(spec.shape, spec.half_size)]


def _disc(radius: float, half_height: float, thickness: float) -> Part:
    """Return the bottom of a hollow shape."""
    return Part("cylinder", (radius, radius, thickness / 2), (0.0, 0.0, thickness / 2 - half_height))


def _ring(foot: float, rim: float, half_height: float, thickness: float) -> list[Part]:
    """Return the wall of a hollow shape: boxes whose outer faces run from a foot's radius up to a rim's."""
    slope = np.arctan2(rim - foot, 2 * half_height)
    half_length = np.hypot(rim - foot, 2 * half_height) / 2
    # The boxes lie within the wall: the lowest edge is at the foot and does not reach into the table.
    radius = (foot + rim) / 2 - np.cos(slope) * thickness / 2
    height = np.sin(slope) * thickness / 2
    half_size = (thickness / 2, radius * np.tan(np.pi / RING), half_length)
    parts = []
    for angle in 2 * np.pi * np.arange(RING) / RING:
        c, s = np.cos(angle / 2), np.sin(angle / 2)
        tilt_c, tilt_s = np.cos(slope / 2), np.sin(slope / 2)
        position = (radius * np.cos(angle), radius * np.sin(angle), height)
        quaternion = (c * tilt_c, -s * tilt_s, c * tilt_s, s * tilt_c)  # leaned outwards, then turned about z
        parts.append(Part("box", _floats(half_size), _floats(position), _floats(quaternion)))
    return parts


def _floats(values: tuple[Any, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def largest_footprint(size: float) -> float:
    """Return the radius in metres of the circle around the widest object with edges of up to ``size`` metres."""
    return float(np.sqrt(2.0)) * size / 2


def sample_objects(
    rng: np.random.Generator, physical_rng: np.random.Generator, count: int, randomization: Mapping[str, Any]
) -> tuple[ObjectSpec, ...]:
    """Draw ``count`` objects.

    Args:
        rng: decides shapes, sizes and colours; every object takes the same number of draws from it.
        physical_rng: decides densities and frictions.
        count: how many.
        randomization: the group of that name in the environment's configuration.
    """
    shapes = [shape for shape in SHAPE_ODDS if shape in randomization["object_shapes"]]
    odds = np.array([SHAPE_ODDS[shape] for shape in shapes])
    low, high = (edge / 2 for edge in randomization["object_size"])
    objects = []
    for index in range(count):
        shape = shapes[int(rng.choice(len(shapes), p=odds / odds.sum()))]
        half_size = _half_size(shape, *rng.uniform(low, high, 3))
        colour = rng.uniform(0.05, 0.95, 3)
        if not randomization["random_appearance"]:
            colour = np.array(_COLOURS[index % len(_COLOURS)])
        density = physical_rng.uniform(*randomization["object_density"])
        friction = physical_rng.uniform(*randomization["object_friction"])
        objects.append(ObjectSpec(shape, _floats(half_size), _floats(tuple(colour)), float(density), float(friction)))
    return tuple(objects)


def _half_size(shape: Shape, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the half extents of a shape from three draws."""
    if shape in ("cylinder", "mug"):
        return x, x, z
    if shape == "sphere":
        return x, x, x
    if shape == "bowl":
        return x, x, 0.5 * x
    return x, y, z
