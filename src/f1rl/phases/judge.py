"""What the frames that an explorer's decisions led to are worth, by a world model that did not see them before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from f1rl.losses.prediction import token_statistics
from f1rl.losses.rewards import MemorySign, disagreement, prediction_entropy
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.observed import Observed
from f1rl.rollout.streams import Outcome

UncertaintyKind = Literal["entropy", "disagreement"]


@dataclass(frozen=True)
class RewardSettings:
    """What the terms of the reward weigh, and how they are measured."""

    weights: Mapping[str, float]
    """Of the terms ``memory``, ``uncertainty`` and ``success``, and of ``surprise`` where it is wanted."""
    centred: tuple[str, ...]
    """Terms that are paid only above their running mean."""
    memory_sign: MemorySign
    """Whether the student's memory shall approach the teacher's or leave it."""
    uncertainty: UncertaintyKind
    """Entropy of the prediction, or disagreement of several."""
    masks: int
    """``K`` predictions that may disagree."""
    dropout: float
    """Share of its input that each of them lacks."""


class Judge:
    """Says what the frames that a step produced are worth, all terms but those that every frame has."""

    def __init__(
        self, world: F1Model, settings: RewardSettings, generator: torch.Generator, slow: F1Model | None, count: int
    ) -> None:
        """Take whom to ask.

        Args:
            world: in evaluation mode.
            settings: how rewards are measured.
            generator: of the dropout behind disagreement; on the world's device.
            slow: a world model that learns more slowly; the surprise is then how much worse it predicts than ``world``.
            count: ``N`` scenes.
        """
        self._world, self._settings, self._generator = world, settings, generator
        self._slow = None if slow is None else _Slow(slow, count, generator.device)

    def watch(self, inputs: WorldModelInputs) -> None:
        """Take in what all scenes look like before a step."""
        if self._slow is not None:
            self._slow.watch(inputs)

    def __call__(
        self, scenes: Tensor, seen: Observed, history: Tensor, outcome: Outcome
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return terms and measures, ``float32 [M]`` by name, of frames that nobody knew when the actions were chosen.

        Args:
            scenes: ``int64 [M]``, which of ``N`` are judged.
            seen: what the teacher made of all of them before the step.
            history: ``float32 [N, n_obs, A]``, ending with the actions taken.
            outcome: of the step.
        """
        settings, history, tokens = self._settings, history[scenes], outcome.tokens.to(history.device)[scenes]
        seen = self._world.include_past(seen[scenes])
        logits = self._world.next_frame(seen, history, tokens)
        statistics, entropy = token_statistics(logits, tokens), prediction_entropy(logits)
        terms = {"uncertainty": entropy}
        if settings.uncertainty == "disagreement":
            guesses = [
                self._world.next_frame(seen, history, tokens, dropout=settings.dropout, generator=self._generator)
                for _ in range(settings.masks)
            ]
            terms["uncertainty"] = disagreement(torch.stack(guesses))
        if "surprise" in settings.weights:
            terms["surprise"] = statistics.loss
            if self._slow is not None:
                terms["surprise"] = self._slow.loss(scenes, history, tokens) - statistics.loss
        return terms, {"avg_loss": statistics.loss, "avg_acc": statistics.accuracy, "wm_entropy": entropy}


class _Slow:
    """A second world model that watches the same episodes with a memory of its own."""

    def __init__(self, world: F1Model, count: int, device: torch.device) -> None:
        self._world, self._state = world, world.initial_memory(count, device)
        self._seen: Observed | None = None

    def watch(self, inputs: WorldModelInputs) -> None:
        """Take in the frames before a step; an episode's first frame clears the memory (``inputs.is_first``)."""
        self._seen, self._state = self._world.glance(inputs, self._state)

    def loss(self, scenes: Tensor, history: Tensor, tokens: Tensor) -> Tensor:
        """Return the loss ``float32 [M]`` on the frames after the step of ``scenes int64 [M]``."""
        seen = self._world.include_past(self._seen[scenes])
        return token_statistics(self._world.next_frame(seen, history, tokens), tokens).loss
