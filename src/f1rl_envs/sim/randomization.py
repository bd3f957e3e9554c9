"""The randomisation group of a configuration: its default, and which values make a scene that can be built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f1rl_envs.sim.objects import SHAPE_ODDS, largest_footprint
from f1rl_envs.sim.start import MAX_COVER, cover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT: dict[str, Any] = {
    "random_background": True,
    "random_light": True,
    "random_appearance": False,
    "cluttered_table": True,
    "num_objects": (3, 6),
    "object_shapes": ("box", "cylinder", "sphere"),
    "object_size": (0.032, 0.072),
    "object_density": (1000.0, 1000.0),
    "object_friction": (0.3, 0.3),
    "camera_position_jitter": 0.0,
    "camera_rotation_jitter": 0.0,
    "initial_pose_noise": 0.04,
}
"""For those who make the environment through ManiSkill; the project's configuration names every key itself."""
RANGES = {
    "num_objects": (0, 12),
    "object_size": (0.02, 0.12),
    "object_density": (50.0, 8000.0),
    "object_friction": (0.05, 2.0),
}
"""Least and most that the ends of a range may be: metres, kg/m3, and a coefficient."""
BOUNDS = {"camera_position_jitter": 0.1, "camera_rotation_jitter": 0.3, "initial_pose_noise": 0.5}
"""The most that may be asked for: metres and radians."""


def faults(randomization: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the group ``randomization``, one sentence each."""
    for key, (least, most) in RANGES.items():
        low, high = randomization[key]
        if not least <= low <= high <= most:
            yield f"{key}={[low, high]}: must rise and lie from {least} to {most}"
    for key, most in BOUNDS.items():
        if not 0 <= randomization[key] <= most:
            yield f"{key}={randomization[key]}: must be from 0 to {most}"
    shapes = list(randomization["object_shapes"])
    if not shapes or len(set(shapes)) != len(shapes) or not set(shapes) <= set(SHAPE_ODDS):
        yield f"object_shapes={shapes}: must be one or more of {', '.join(SHAPE_ODDS)}, each once"
    count, size = randomization["num_objects"][1], randomization["object_size"][1]
    share = cover(count, largest_footprint(size))
    if share > MAX_COVER:
        yield (
            f"num_objects and object_size: {count} objects of {size} m and the room between them would take "
            f"{share:.0%} of the part of the table that they are put on, of which {MAX_COVER:.0%} can be filled; "
            "lower either"
        )
