"""Phase 1: the world model learns to predict the next wrist frame from random actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from f1rl.losses.baselines import BaselineStatistics
from f1rl.losses.prediction import masked_mean, token_statistics
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.phases.base import OptimizerPlan, PhaseModule
from f1rl.phases.held_out import evaluate_world_model, imagine, world_model_inputs
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.source import TokenizedEpisode


class TeacherModule(PhaseModule):
    """Truncated backpropagation through time over persistent streams.

    Within a window gradients flow through the memory; between windows the state is carried on, detached. Only a
    step with ``is_first`` starts from zero.
    """

    def __init__(self, model: F1Model, plan: OptimizerPlan, *, carry_memory: bool, camera: int) -> None:
        """Train ``model``.

        Args:
            model: the world model with its frozen tokenizer.
            plan: how parameters are updated.
            carry_memory: keep the memory across windows (``bptt.sequential_training``).
            camera: index of the predicted camera.
        """
        super().__init__(model, plan)
        self.carry_memory, self.camera = carry_memory, camera
        self.baselines = BaselineStatistics(model.tokenizer.scales, model.config.tokenizer.codebook_size)
        """Token statistics of the episodes trained on; what the world model has to beat."""

    def forward(self, inputs: WorldModelInputs, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits ``[B, T, L, V]`` and the memory after the window ``[num_layers, B, hidden]``."""
        output = self.model(inputs, memory)
        return output.logits, output.memory

    def training_step(self, batch: WindowBatch, batch_index: int) -> dict[str, torch.Tensor]:
        """Return ``loss``, the mean cross-entropy of the window's real tokens, and its parts for the records.

        ``step_loss`` and ``step_accuracy`` are ``float32 [B, T]``, detached: nats per token, and the share of tokens
        predicted exactly.
        """
        if self.memory is None or not self.carry_memory:
            self.memory = self.model.initial_memory(batch.valid.shape[0], self.device)

        logits, memory = self(world_model_inputs(batch), self.memory.to(self.device))
        self.memory = memory.detach()

        for episode in batch.finished:
            self.count_episode(episode.tokens)
        statistics = token_statistics(logits, batch.target)
        loss = masked_mean(statistics.loss, batch.valid)
        return {"loss": loss, "step_loss": statistics.loss.detach(), "step_accuracy": statistics.accuracy}

    def count_episode(self, tokens: np.ndarray) -> None:
        """Add an episode ``int [N + 1, L]`` that was trained on to the token statistics."""
        self.baselines.add(tokens)

    def evaluate(self, episodes: Sequence[TokenizedEpisode]) -> dict[str, float]:
        """Return the metrics of :func:`f1rl.phases.held_out.evaluate_world_model` on ``episodes``, and their reward."""
        with self.mean_weights():
            metrics = evaluate_world_model(self.model, episodes, self.baselines, self.camera, self.device)
        return metrics | {"reward": float(np.mean([episode.episode.reward.sum() for episode in episodes]))}

    def headline(self, metrics: dict[str, float]) -> str:
        """Return an evaluation in a line."""
        return (
            f"loss {metrics['loss']:.4f} (copy last {metrics['copy_last_loss']:.4f}, "
            f"unigram {metrics['unigram_loss']:.4f}), accuracy {metrics['accuracy']:.3f}, "
            f"action sensitivity {metrics['action_sensitivity']:.4f}"
        )

    def imagine(self, episode: TokenizedEpisode, steps: Sequence[int] | None = None) -> np.ndarray:
        """Return the predicted frames ``uint8 [K, 3, H, W]`` after ``steps`` of ``episode``; None means all."""
        with self.mean_weights():
            return imagine(self.model, episode, self.device, steps)

    def training_state(self) -> dict[str, Any]:
        """Return what the phase needs to go on, for a checkpoint."""
        return {**super().training_state(), "baselines": self.baselines.state_dict()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned; call before training starts."""
        super().load_training_state(state)
        self.baselines.load_state_dict(state["baselines"])
