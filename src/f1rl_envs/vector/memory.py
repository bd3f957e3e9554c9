"""The memory that a vector environment shares with its workers."""

from __future__ import annotations

import numpy as np

from f1rl_envs.shared_memory import Fields, SharedBlocks
from f1rl_envs.spec import PADDED_DIM, EnvSpec


def scene_fields(spec: EnvSpec, num_scenes: int) -> Fields:
    """Return shape and type of the arrays for ``num_scenes`` scenes."""
    return {
        "image": ((2, num_scenes, *spec.image_shape), np.uint8),
        "state": ((2, num_scenes, PADDED_DIM), np.float32),
        "action": ((num_scenes, spec.max_steps, PADDED_DIM), np.float32),
        "reward": ((num_scenes,), np.float32),
        "terminated": ((num_scenes,), np.bool_),
        "truncated": ((num_scenes,), np.bool_),
        "lost": ((num_scenes,), np.bool_),
    }


class SharedScenes(SharedBlocks):
    """What all scenes were told and what they look like.

    Observations are written to their place in the batch, so that the batch is never put together. They have two halves,
    written in turns: what was observed before is still there when the next observation is. The actions of the running
    episode are all kept, because they are what a new process needs to get to the same state.

    Attributes:
        image: ``uint8 [2, N, C, 3, H, W]``.
        state: ``float32 [2, N, S]``.
        action: ``float32 [N, max_steps, A]``.
        reward: ``float32 [N]``; like all below, of the last step.
        terminated: ``bool [N]``.
        truncated: ``bool [N]``.
        lost: ``bool [N]``; scenes whose state a new process could not get back to.
    """

    def __init__(self, spec: EnvSpec, num_scenes: int, num_workers: int, fd: int | None = None) -> None:
        """Make the memory, or look at the memory that the parent made.

        Args:
            spec: decides the size of a scene.
            num_scenes: of all workers together.
            num_workers: how many tell where they are.
            fd: descriptor of existing memory; None makes new memory.
        """
        super().__init__([scene_fields(spec, num_scenes)], num_workers, fd)
        (arrays,) = self.blocks
        self.image, self.state, self.action = arrays["image"], arrays["state"], arrays["action"]
        self.reward, self.lost = arrays["reward"], arrays["lost"]
        self.terminated, self.truncated = arrays["terminated"], arrays["truncated"]
