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
from f1rl.models.observed import Observed

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
    """Says what the frames that decisions led to are worth, all terms but those that every frame has."""

    def __init__(
        self, world: F1Model, settings: RewardSettings, generator: torch.Generator, slow: F1Model | None
    ) -> None:
        """Take whom to ask.

        Args:
            world: in evaluation mode.
            settings: how rewards are measured.
            generator: of the dropout behind disagreement; on the world's device.
            slow: a world model that learns more slowly; the surprise is then how much worse it predicts than ``world``.
        """
        self._world, self._settings, self._generator, self.slow = world, settings, generator, slow

    def __call__(
        self, seen: Observed, slow_seen: Observed | None, history: Tensor, tokens: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return terms and measures, ``float32 [M]`` by name, of frames that nobody knew when the actions were chosen.

        Args:
            seen: what the teacher made of the frames one step before.
            slow_seen: what the slow world model made of them, if there is one.
            history: actions ``float32 [M, n_obs, A]``, ending with those that led to the frames.
            tokens: of the frames, ``int64 [M, L]``.
        """
        settings, seen = self._settings, self._world.include_past(seen)
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
            if self.slow is not None and slow_seen is not None:
                slow_logits = self.slow.next_frame(self.slow.include_past(slow_seen), history, tokens)
                terms["surprise"] = token_statistics(slow_logits, tokens).loss - statistics.loss
        return terms, {"avg_loss": statistics.loss, "avg_acc": statistics.accuracy, "wm_entropy": entropy}
