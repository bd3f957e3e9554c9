"""A memory that follows many scenes while they are played."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.observed import Observed


class Watcher:
    """What a world model makes of ``N`` scenes, as far as its memory needs it; past frames are not included yet.

    Attributes:
        world: the network.
        state: its memory ``float32 [layers, N, hidden]`` after the newest frames.
        now: what it made of these.
        before: what it made of the frames one step before them.
    """

    before: Observed

    def __init__(self, world: F1Model, camera: int | None, inputs: WorldModelInputs) -> None:
        """Take in the first frames.

        Args:
            world: in evaluation mode.
            camera: index of the only camera that it sees; None shows it all.
            inputs: the first frames of all scenes.
        """
        self.world, self._camera = world, camera
        self.now, self.state = self._glance(inputs)

    def watch(self, window: WorldModelInputs) -> None:
        """Take in ``T`` steps of all scenes; an episode's first frame clears its memory (``is_first``)."""
        count, steps = window.is_first.shape
        seen, self.state = self.world.glance(self._shown(window), self.state)
        last = torch.arange(count, device=window.is_first.device) * steps + steps - 1
        self.before = seen[last - 1] if steps > 1 else self.now
        self.now = seen[last]

    def begin(self, scenes: Tensor, inputs: WorldModelInputs) -> None:
        """Take in the first frames of new episodes in ``scenes int64 [M]``; ``inputs`` are of these alone."""
        seen, state = self._glance(inputs)
        self.now, self.state = self.now.updated(scenes, seen), self.state.index_copy(1, scenes, state)

    def _glance(self, first: WorldModelInputs) -> tuple[Observed, Tensor]:
        empty = self.world.initial_memory(len(first.is_first), first.is_first.device)
        return self.world.glance(self._shown(first), empty)

    def _shown(self, inputs: WorldModelInputs) -> WorldModelInputs:
        if self._camera is None:
            return inputs
        return replace(inputs, image=inputs.image[:, :, self._camera, None])
