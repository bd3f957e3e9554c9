"""Let an explorer act, while a frozen world model sees, remembers and judges what it finds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from f1rl.losses.prediction import token_statistics
from f1rl.losses.rewards import (
    MemorySign,
    Recollection,
    disagreement,
    memory_distance,
    memory_reward,
    origin,
    prediction_entropy,
)
from f1rl.models.explorer import Explorer, Situation
from f1rl.models.f1 import F1Model, Observed
from f1rl.models.interface import WorldModelInputs
from f1rl.phases.decisions import Rollout, RolloutRecorder
from f1rl.rollout.streams import EpisodeStreams, Outcome

UncertaintyKind = Literal["entropy", "disagreement"]


@dataclass(frozen=True)
class RewardSettings:
    """How the terms of the reward are measured."""

    memory_sign: MemorySign
    """Whether the student's memory shall approach the teacher's or leave it."""
    uncertainty: UncertaintyKind
    """Entropy of the prediction, or disagreement of several."""
    masks: int
    """``K`` predictions that may disagree."""
    dropout: float
    """Share of its input that each of them lacks."""


@dataclass
class _View:
    """What both memories made of the newest frames of ``N`` scenes."""

    student: Observed
    teacher: Observed
    distance: Tensor
    """``float32 [N]`` between the two memories."""


class _Memories:
    """Two memories in one network: the teacher's sees all cameras, the student's the predicted one alone."""

    def __init__(self, world: F1Model, camera: int, count: int, device: torch.device) -> None:
        self._world, self._camera, self._origin = world, camera, origin(world.memory)
        self._states = [world.initial_memory(count, device) for _ in range(2)]

    def look(self, inputs: WorldModelInputs) -> _View:
        """Take in the newest frames."""
        own = replace(inputs, image=inputs.image[:, :, self._camera, None])
        student, self._states[0] = self._world.observe(own, self._states[0])
        teacher, self._states[1] = self._world.observe(inputs, self._states[1])
        distance = memory_distance(*(Recollection(state, self._origin) for state in self._states))
        return _View(student, teacher, distance)

    def look_again(self, inputs: WorldModelInputs, started: Tensor, before: _View) -> _View:
        """Take in the first frames of the scenes ``started bool [N]``; the others have been looked at already."""
        states = self._states
        after = self.look(inputs)
        self._states = [torch.where(started[:, None], new, old) for new, old in zip(self._states, states, strict=True)]
        return _View(
            _mixed(after.student, before.student, started),
            _mixed(after.teacher, before.teacher, started),
            torch.where(started, after.distance, before.distance),
        )


@torch.no_grad()
def explore(
    world: F1Model,
    explorer: Explorer,
    streams: EpisodeStreams,
    settings: RewardSettings,
    camera: int,
    *,
    deterministic: bool = False,
    generator: torch.Generator | None = None,
) -> Rollout:
    """Play the queue of ``streams`` to its end and return what happened; rewards follow from the frame after a step.

    Args:
        world: frozen by the caller; both memories are its own.
        explorer: acts on what the student sees and remembers.
        streams: the scenes, their first episodes begun.
        settings: how rewards are measured.
        camera: index of the student's camera.
        deterministic: act without noise.
        generator: of the noise.
    """
    world.eval()
    count, device = len(streams.active), next(world.parameters()).device
    recorder, memories = RolloutRecorder(count), _Memories(world, camera, count, device)
    chunk = torch.zeros(count, explorer.config.act.chunk, explorer.config.action_dim)
    place = torch.zeros(count, dtype=torch.int64)
    view = memories.look(streams.inputs())
    while streams.active.any():
        playing = torch.from_numpy(streams.active).nonzero()[:, 0]
        due = playing[place[playing] == 0]
        if len(due):
            situation = Situation.of(view.student)[due]
            decision = explorer.decide(situation, deterministic=deterministic, generator=generator)
            recorder.decided(due, situation, decision, explorer.value(situation))
            chunk[due] = decision.action
        action = chunk[torch.arange(count), place]
        history = streams.actions_with(action)
        outcome = streams.step(action)
        terms, measures = _judge(world, view.teacher, history, outcome, settings)
        before, view = view, memories.look(streams.inputs())
        terms["memory"] = memory_reward(before.distance, view.distance, settings.memory_sign)
        recorder.stepped(playing, terms, {**measures, "memory_distance": view.distance})
        if outcome.finished:
            value = explorer.value(Situation.of(view.student)).tolist()
            for scene, episode in outcome.finished.items():
                recorder.ended(scene, episode, value[scene])
        place = (place + 1) % explorer.executed
        started = torch.from_numpy(streams.refill())
        if started.any():
            place[started] = 0
            view = memories.look_again(streams.inputs(), started, view)
    return recorder.rollout()


def _judge(
    world: F1Model, seen: Observed, history: Tensor, outcome: Outcome, settings: RewardSettings
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return reward terms and measures, ``float32 [N]`` by name, of the frames that the actions produced."""
    logits = world.next_frame(seen, history, outcome.tokens)
    statistics = token_statistics(logits, outcome.tokens)
    entropy = prediction_entropy(logits)
    uncertainty = entropy
    if settings.uncertainty == "disagreement":
        guesses = (
            world.next_frame(seen, history, outcome.tokens, dropout=settings.dropout) for _ in range(settings.masks)
        )
        uncertainty = disagreement(torch.stack(list(guesses)))
    terms = {"uncertainty": uncertainty, "success": outcome.success.float()}
    return terms, {"avg_loss": statistics.loss, "avg_acc": statistics.accuracy, "wm_entropy": entropy}


def _mixed(new: Observed, old: Observed, chosen: Tensor) -> Observed:
    """Return ``new`` where ``chosen bool [N]``, else ``old``."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (a.ndim - 1)), a, b)

    cache = [tuple(map(pick, a, b)) for a, b in zip(new.cache, old.cache, strict=True)]
    rest = {f.name: pick(getattr(new, f.name), getattr(old, f.name)) for f in fields(Observed) if f.name != "cache"}
    return Observed(cache, **rest)
