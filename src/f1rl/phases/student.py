"""Phase 2: the explorer learns to find what its memory lacks and what the frozen world model is unsure of."""

from __future__ import annotations

from typing import Any

import torch

from f1rl.models.agent import Agent
from f1rl.phases.decisions import Rollout
from f1rl.phases.explorer_evaluation import HeldOutSeeds, compare, headline
from f1rl.phases.explorer_phase import ExplorerModule, ExplorerSettings


class StudentModule(ExplorerModule):
    """Policy gradients on curiosity: memory divergence, the world model's uncertainty, and success."""

    def __init__(self, agent: Agent, settings: ExplorerSettings) -> None:
        """Freeze the world model."""
        agent.world.requires_grad_(False)
        super().__init__(agent, settings)

    def training_step(self, rollout: Rollout, batch_index: int) -> dict[str, Any]:
        """Learn from one rollout; return ``loss`` and the values to record of each of its episodes."""
        with self.timed():
            reward = self.paid(rollout)
            metrics = self.learn(rollout, reward, self.optimizers(), self.lr_schedulers())
        return {"loss": torch.tensor(metrics["loss"]), "episodes": self.episode_values(rollout, reward, metrics)}

    def evaluate(self, held_out: HeldOutSeeds) -> dict[str, float]:
        """Return :func:`f1rl.phases.explorer_evaluation.compare` on held-out seeds."""
        with self.mean_weights():
            return compare(held_out.play(self.sample), held_out.random, self.scales)

    def headline(self, metrics: dict[str, float]) -> str:
        """Return an evaluation in a line."""
        return headline(metrics)
