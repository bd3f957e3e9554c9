"""What the phases of the training see of an environment, for those who write a loop of their own.

The histories of pictures and actions, the memory and the rewards of the phases belong to the trainer; these classes
choose the cameras, and a camera that nobody reads is not rendered.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium

import f1rl_envs  # noqa: F401  (registers the names)


class PhaseEnv(gymnasium.Wrapper):
    """A registered environment with the cameras of a phase."""

    cameras: ClassVar[tuple[str, ...]]
    """Cameras in the order of the image array."""

    def __init__(self, name: str = "f1rl/RandomExploration-v0", **changes: Any) -> None:
        """Build the environment.

        Args:
            name: one of :data:`f1rl_envs.registration.CONFIGURATIONS`.
            **changes: as :func:`f1rl_envs.registration.make`, without ``camera["names"]``.

        Raises:
            ValueError: if a key is unknown or a value is out of range.
            EnvError: if the environment cannot be built on this machine.
        """
        camera = {**changes.pop("camera", {}), "names": list(self.cameras)}
        super().__init__(gymnasium.make(name, camera=camera, **changes))


class TeacherEnv(PhaseEnv):
    """What the world model learns from: both cameras."""

    cameras = ("head", "wrist")


class StudentEnv(PhaseEnv):
    """What the explorer acts on: the wrist camera alone."""

    cameras = ("wrist",)
