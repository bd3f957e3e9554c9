"""A world model and the explorer that acts on what it sees and remembers, as one set of weights."""

from __future__ import annotations

from torch import nn

from f1rl.models.explorer import Explorer
from f1rl.models.f1 import F1Model


class Agent(nn.Module):
    """What the phases with an explorer train and save.

    Attributes:
        world: sees, remembers and predicts.
        explorer: acts.
    """

    def __init__(self, world: F1Model, explorer: Explorer) -> None:
        """Take both parts."""
        super().__init__()
        self.world, self.explorer = world, explorer
