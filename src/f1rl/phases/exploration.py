"""Let an explorer act, while a frozen world model sees, remembers and judges what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from f1rl.models.explorer import Situation
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.observed import Observed
from f1rl.phases.decisions import Rollout, RolloutRecorder
from f1rl.phases.players import Player
from f1rl.rollout.streams import EpisodeStreams, Outcome

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
        """Take in the newest frames, as far as the memories need them."""
        student, teacher = self._glance(inputs, self._states)
        return self._view(student, teacher)

    def look_again(self, inputs: WorldModelInputs, started: Tensor, before: _View) -> _View:
        """Take in the first frames of the scenes ``started int64 [M]``; the others have been looked at already."""
        states = [self._world.initial_memory(len(started), started.device) for _ in range(2)]
        student, teacher = self._glance(inputs[started], states)
        for state, new in zip(self._states, states, strict=True):
            state.index_copy_(1, started, new)
        return self._view(before.student.updated(started, student), before.teacher.updated(started, teacher))

    def _glance(self, inputs: WorldModelInputs, states: list[Tensor]) -> tuple[Observed, Observed]:
        """Return what student and teacher make of the newest frames, and put their new memories into ``states``."""
        own = replace(inputs, image=inputs.image[:, :, self._camera, None])
        student, states[0] = self._world.glance(own, states[0])
        teacher, states[1] = self._world.glance(inputs, states[1])
        return student, teacher

    def _view(self, student: Observed, teacher: Observed) -> _View:
        distance = memory_distance(*(Recollection(state, self._origin) for state in self._states))
        return _View(student, teacher, distance)


@torch.no_grad()
def explore(
    world: F1Model,
    player: Player,
    streams: EpisodeStreams,
    settings: RewardSettings,
    camera: int,
    generator: torch.Generator,
    slow: F1Model | None = None,
) -> Rollout:
    """Play the queue of ``streams`` to its end and return what happened; rewards follow from the frame after a step.

    The world model judges the frame that each decision led to, which stands for all frames on the way there: that is
    half of the work with decisions of one step, and little with longer ones. Both memories see every frame.

    Args:
        world: in evaluation mode; both memories are its own.
        player: acts on what the student sees and remembers.
        streams: the scenes, their first episodes begun.
        settings: how rewards are measured.
        camera: index of the student's camera.
        generator: of the dropout behind disagreement; on the world's device.
        slow: a world model that learns more slowly; the surprise is then how much worse it predicts than ``world``.
    """
    count, device = len(streams.active), next(world.parameters()).device
    recorder, memories = RolloutRecorder(count), _Memories(world, camera, count, device)
    judge = _Judge(world, settings, generator, None if slow is None else _Slow(slow, count, device))
    chunk = torch.zeros(count, player.chunk, world.config.action_dim)
    place = torch.zeros(count, dtype=torch.int64)
    inputs = streams.inputs().to(device)
    view = memories.look(inputs)
    for scene in range(count):
        player.begin(scene, streams.requests[scene])

    def situation(scenes: Tensor) -> Situation:
        return Situation.of(world.include_past(view.student[scenes.to(device)]))

    while streams.active.any():
        playing = torch.from_numpy(streams.active).nonzero()[:, 0]
        due = playing[place[playing] == 0]
        if len(due):
            known = situation(due)
            decision = player.choose(due, known)
            recorder.decided(due, known, decision, player.value(known))
            chunk[due] = decision.action.cpu()
        action = chunk[torch.arange(count), place]
        history = streams.actions_with(action).to(device)
        judge.watch(inputs)
        outcome = streams.step(action)
        inputs = streams.inputs().to(device)
        before, view = view, memories.look(inputs)
        closer = memory_reward(before.distance, view.distance, settings.memory_sign)
        terms = {"memory": closer.cpu()[playing], "success": outcome.success[playing].float()}
        recorder.stepped(playing, terms, {"memory_distance": view.distance.cpu()[playing]})
        place = (place + 1) % player.executed
        place[list(outcome.finished)] = 0
        done = playing[place[playing] == 0]
        if len(done):
            recorder.judged(done, *judge(done.to(device), before.teacher, history, outcome))
        if outcome.finished:
            ended = torch.tensor(list(outcome.finished))
            values = player.value(situation(ended)).tolist()
            for (scene, episode), value in zip(outcome.finished.items(), values, strict=True):
                recorder.ended(scene, episode, value)
        started = torch.from_numpy(streams.refill()).nonzero()[:, 0]
        if len(started):
            inputs = streams.inputs().to(device)
            view = memories.look_again(inputs, started.to(device), view)
            for scene in started.tolist():
                player.begin(scene, streams.requests[scene])
    return recorder.rollout()


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


class _Judge:
    """Says what the frames that a step produced are worth, all terms but those that every frame has."""

    def __init__(
        self, world: F1Model, settings: RewardSettings, generator: torch.Generator, slow: _Slow | None
    ) -> None:
        self._world, self._settings, self._generator, self._slow = world, settings, generator, slow

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
