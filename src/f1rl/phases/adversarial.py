"""Phase 3: the explorer seeks what the world model predicts badly, and the world model learns from what it finds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from f1rl.losses.prediction import masked_mean, token_statistics
from f1rl.models.agent import Agent
from f1rl.models.f1 import F1Model
from f1rl.phases.base import OptimizerPlan
from f1rl.phases.decisions import Rollout
from f1rl.phases.explorer_evaluation import HeldOutSeeds, compare, headline
from f1rl.phases.explorer_phase import ExplorerModule, ExplorerSettings
from f1rl.phases.held_out import prediction_loss, world_model_inputs
from f1rl.phases.players import RandomPlayer
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.replay import ReplayBuffer, pack, unpack
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.stream import BatchRing, SequentialStream, WindowShape

_ENDLESS = range(2**40)


@dataclass(frozen=True)
class WorldSettings:
    """How the world model learns."""

    plan: OptimizerPlan
    """Its steps are rollouts, each of several updates."""
    updates: int
    """Optimizer steps per rollout."""
    shape: WindowShape
    """Of the windows that it learns from."""
    surprise: Literal["excess", "progress"]
    """Loss above its running mean, or what a slow world model predicts worse."""
    slow_decay: float
    """Share of its old weights that the slow world model keeps at each rollout."""


class AdversarialModule(ExplorerModule):
    """World model and explorer in turns, each with an optimizer of its own."""

    def __init__(
        self, agent: Agent, settings: ExplorerSettings, world: WorldSettings, buffer: ReplayBuffer, ring: BatchRing
    ) -> None:
        """Take networks and memory.

        Args:
            agent: explorer and world model, both of which learn.
            settings: of the explorer; its rewards have the term ``surprise``.
            world: of the world model.
            buffer: what the world model learns from.
            ring: batches for its windows.
        """
        super().__init__(agent, settings)
        self.world_settings, self.buffer, self._ring = world, buffer, ring
        if world.surprise == "progress":
            self.slow = slow_copy(agent.world)
        self.memory: torch.Tensor | None = None
        """``[num_layers, B, hidden]`` of the world model's streams, detached."""
        self.first_found: list[TokenizedEpisode] = []
        """What the explorer did on the held-out seeds before this phase."""
        self._position: dict[str, Any] | None = None
        self._windows: Iterator[WindowBatch] | None = None

    def prepare(self, random: list[TokenizedEpisode], held_out: HeldOutSeeds) -> None:
        """Take the random episodes, and see what the explorer finds now; only at the start of a run."""
        self.buffer.add_random(random)
        self.first_found = held_out.play(self.sample).episodes

    # ----------------------------------------------------------------------------------------------------- learning
    def plans(self) -> dict[str, OptimizerPlan]:
        """Return how each part of the agent that learns is updated, by name."""
        return {**super().plans(), "world": self.world_settings.plan}

    def configure_optimizers(self) -> list[dict[str, Any]]:
        """Return optimizer and schedule of the explorer, and those of the world model."""
        return [
            self._optimizer(self.model.explorer, self.settings.plan, "explorer"),
            self._optimizer(self.model.world, self.world_settings.plan, "world"),
        ]

    def training_step(self, rollout: Rollout, batch_index: int) -> dict[str, Any]:
        """Learn from one rollout, world model first; return ``loss`` and what to record of each episode."""
        with self.timed():
            explorer, world = zip(self.optimizers(), self.lr_schedulers(), strict=True)
            reward = self.paid(rollout)
            self.buffer.add(rollout.episodes)
            metrics = {"wm_loss": self._learn_world(*world)}
            metrics |= self.learn(rollout, reward, *explorer)
        return {"loss": torch.tensor(metrics["loss"]), "episodes": self.episode_values(rollout, reward, metrics)}

    def _learn_world(self, optimizer: Any, schedule: Any) -> float:
        """Make the world model's updates of one rollout and return the mean loss, nats per token."""
        world, settings, losses = self.model.world.train(), self.world_settings, []
        for _ in range(settings.updates):
            batch = self._next_window().to(self.device)
            if self.memory is None:
                self.memory = world.initial_memory(batch.valid.shape[0], self.device)
            output = world(world_model_inputs(batch), self.memory.to(self.device))
            self.memory = output.memory.detach()
            loss = masked_mean(token_statistics(output.logits, batch.target).loss, batch.valid)
            self.update("world", loss, optimizer)
            losses.append(float(loss))
        world.eval()
        schedule.step()
        if self.slow is not None:
            new = _trained(world)
            with torch.no_grad():
                for name, slow in _trained(self.slow).items():
                    slow.lerp_(new[name], 1 - settings.slow_decay)
        return sum(losses) / len(losses)

    def _next_window(self) -> WindowBatch:
        if self._windows is None:
            stream = SequentialStream(self.buffer, self._ring, self.world_settings.shape, _ENDLESS, self._position)
            self._windows = iter(stream)
        batch = next(self._windows)
        self._position = batch.position
        return batch

    # --------------------------------------------------------------------------------------------------- evaluation
    def evaluate(self, held_out: HeldOutSeeds) -> dict[str, float]:
        """Return the comparison with chance under today's world model, and ``explorer_loss``.

        That is the world model's loss on what the explorer of the beginning found on the held-out seeds: the same
        frames at every evaluation, while ``loss`` is that on what it finds now.
        """
        with self.mean_weights():
            random = held_out.play(lambda streams: self.watch(streams, RandomPlayer(held_out.spec)))
            metrics = compare(held_out.play(self.sample), random, self.scales)
            metrics["explorer_loss"] = prediction_loss(self.model.world, self.first_found, self.device)
        return metrics

    def headline(self, metrics: dict[str, float]) -> str:
        """Return an evaluation in a line."""
        return f"{headline(metrics)}; on the first explorer's episodes {metrics['explorer_loss']:.3f}"

    # -------------------------------------------------------------------------------------------------- checkpoints
    def training_state(self) -> dict[str, Any]:
        """Return what the phase needs to go on, for a checkpoint."""
        world = {"optimizer": self.optimizers()[1].state_dict(), "schedule": self.lr_schedulers()[1].state_dict()}
        return {
            **super().training_state(),
            "world": world,
            "slow": {name: p.detach() for name, p in _trained(self.slow).items()} if self.slow else None,
            "memory": self.memory,
            "windows": self._position,
            "buffer": self.buffer.state_dict(),
            "first_found": [pack(episode) for episode in self.first_found],
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned; call before training starts."""
        super().load_training_state(state)
        if self.slow is not None:
            with torch.no_grad():
                for name, slow in _trained(self.slow).items():
                    slow.copy_(state["slow"][name])
        self.memory, self._position = state["memory"], state["windows"]
        self.buffer.load_state_dict(state["buffer"])
        self.first_found = [unpack(packed) for packed in state["first_found"]]


def slow_copy(world: F1Model) -> F1Model:
    """Return a copy of ``world`` with weights of its own where they learn; it shares those that are frozen.

    The parameters that learn keep ``requires_grad`` although no optimizer has them: so nothing is cached of them.
    """
    shared = [*(p for p in world.parameters() if not p.requires_grad), *world.buffers()]
    return copy.deepcopy(world, {id(tensor): tensor for tensor in shared})


def _trained(network: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
