"""Who acts in a rollout: an explorer, or chance."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from f1rl.models.explorer import Decision, Explorer, Situation
from f1rl_envs.actions import RandomActions
from f1rl_envs.spec import EnvSpec, EpisodeRequest


class Player(Protocol):
    """Chooses the actions of all scenes together."""

    chunk: int
    """``H``, actions of a decision."""
    executed: int
    """How many of them are carried out before the next decision."""
    learns: bool
    """Whether somebody learns from its decisions."""

    def begin(self, scene: int, request: EpisodeRequest) -> None:
        """Take note that ``scene`` begins an episode."""
        ...

    def choose(self, scenes: Tensor, situation: Situation) -> Decision:
        """Return a decision for each of the scenes ``int64 [M]`` in their ``M`` situations."""
        ...

    def value(self, situation: Situation) -> Tensor:
        """Return what is expected of each situation, ``float32 [M]``."""
        ...


class ExplorerPlayer:
    """An explorer acts."""

    learns = True

    def __init__(
        self, explorer: Explorer, generator: torch.Generator | None = None, *, deterministic: bool = False
    ) -> None:
        """Take the explorer.

        Args:
            explorer: as it is when it is asked.
            generator: of its noise, on its device.
            deterministic: act without noise.
        """
        self._explorer, self._generator, self._deterministic = explorer, generator, deterministic
        self.chunk, self.executed = explorer.config.act.chunk, explorer.executed

    def begin(self, scene: int, request: EpisodeRequest) -> None:
        """Nothing to note: all that an explorer knows of an episode is what it sees and remembers."""

    def choose(self, scenes: Tensor, situation: Situation) -> Decision:
        """Return the explorer's decisions; see :class:`Player`."""
        return self._explorer.decide(situation, deterministic=self._deterministic, generator=self._generator)

    def value(self, situation: Situation) -> Tensor:
        """Return the explorer's values; see :class:`Player`."""
        return self._explorer.value(situation)


class RandomPlayer:
    """The random actions that the teacher phase collects, for the same seeds the same ones."""

    chunk = executed = 1
    learns = False

    def __init__(self, spec: EnvSpec) -> None:
        """Take what actions look like."""
        self._spec = spec
        self._actions: dict[int, RandomActions] = {}

    def begin(self, scene: int, request: EpisodeRequest) -> None:
        """Start the sequence of actions that belongs to the episode's seed."""
        self._actions[scene] = RandomActions(self._spec, request.seed)

    def choose(self, scenes: Tensor, situation: Situation) -> Decision:
        """Return the next action of each scene; nothing that a density could be computed from is stored."""
        action = torch.zeros(len(scenes), 1, len(self._spec.action_mask))
        for row, scene in enumerate(scenes.tolist()):
            self._actions[scene].sample(action[row, 0].numpy())
        nothing = torch.zeros(len(scenes))
        return Decision(action, nothing.view(-1, 1, 1, 1), nothing)

    def value(self, situation: Situation) -> Tensor:
        """Return zeros; chance expects nothing."""
        return torch.zeros(len(situation.state))
