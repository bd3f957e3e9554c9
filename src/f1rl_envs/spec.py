"""The vocabulary between environments and everything that uses them.

Shapes use the letters of the whole project: ``A`` action entries and ``S`` state entries (both padded to
:data:`PADDED_DIM`), ``C`` cameras, ``H`` and ``W`` pixels, ``N`` steps of an episode.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PADDED_DIM = 32
"""Width of every action and state vector; the entries that an embodiment does not use are zero and masked."""


@dataclass(frozen=True)
class Waypoints:
    """Where random actions head for in a control mode whose actions are places, not changes."""

    centre: tuple[float, ...]
    """``[A]``, the middle of what is drawn, normalised; zero where the action mask is false."""
    spread: tuple[float, ...]
    """``[A]``, furthest from the middle; what leaves [-1, 1] is clipped."""
    hold: tuple[int, int]
    """Least and most steps that one waypoint is held."""


@dataclass(frozen=True)
class EnvSpec:
    """What is known of an environment before one is built, so that no simulator is needed to plan with it."""

    name: str
    """Name of the environment, for records."""
    cameras: tuple[str, ...]
    """Camera names in the order of the image array, e.g. ``("head", "wrist")``."""
    resolution: int
    """Height and width of each camera's picture in pixels."""
    max_steps: int
    """Steps after which an episode is truncated."""
    control_freq: float
    """Actions per simulated second, in Hz."""
    action_mask: tuple[bool, ...]
    """Which of the ``A`` action entries are real."""
    state_mask: tuple[bool, ...]
    """Which of the ``S`` state entries are real."""
    grippers: tuple[int, ...] = ()
    """The action entries that are grippers: absolute commands, -1 closed and 1 open."""
    waypoints: Waypoints | None = None
    """What random actions head for; None where actions are changes, which are drawn anew at each step."""

    @property
    def image_shape(self) -> tuple[int, int, int, int]:
        """Shape ``(C, 3, H, W)`` of one observation's ``uint8`` image."""
        return (len(self.cameras), 3, self.resolution, self.resolution)

    def camera_index(self, name: str) -> int:
        """Return the position of camera ``name`` in the image array.

        Raises:
            ValueError: if the environment has no such camera.
        """
        if name not in self.cameras:
            raise ValueError(f"environment {self.name!r} has no camera {name!r}; it has {', '.join(self.cameras)}")
        return self.cameras.index(name)


@dataclass(frozen=True)
class EpisodeRequest:
    """One episode to be collected; its seeds decide everything that happens in it."""

    index: int
    """Number of the episode within its split, from 0."""
    seed: int
    """Seed of the poses, the robot's start and the random actions."""
    scene_seed: int
    """Seed of what is built once per scene: shapes, textures, colours, lights."""


@dataclass
class Episode:
    """One finished episode.

    ``image[t]`` and ``state[t]`` are what was observed *before* ``action[t]``; ``image[t + 1]`` is what it led to.
    """

    request: EpisodeRequest
    """What was asked for."""
    image: np.ndarray
    """``uint8 [N + 1, C, 3, H, W]``, straight from the renderer."""
    state: np.ndarray
    """``float32 [N + 1, S]``, normalised to about [-1, 1]."""
    action: np.ndarray
    """``float32 [N, A]`` in [-1, 1]; zero where the action mask is false."""
    reward: np.ndarray
    """``float32 [N]``."""
    terminated: bool
    """The task ended the episode (it has no value after its last step)."""
    truncated: bool
    """The step limit ended the episode (its last state still has a value)."""
    worker: int = -1
    """Worker that collected it."""
    attempts: int = 1
    """How often it was started; above 1 when a worker died or hung over it."""
    seconds: float = 0.0
    """Wall time of the collection in seconds."""
    info: dict[str, float] = field(default_factory=dict)
    """Scalars of the last step's info, e.g. ``success``."""

    def __len__(self) -> int:
        """Return the number ``N`` of steps."""
        return len(self.action)
