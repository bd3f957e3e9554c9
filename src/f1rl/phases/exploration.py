"""Let an explorer act, while a world model sees, remembers and judges what it finds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from f1rl.losses.rewards import Recollection, memory_distance, memory_reward, origin
from f1rl.models.explorer import Situation
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.observed import Observed
from f1rl.phases.decisions import Rollout, RolloutRecorder
from f1rl.phases.judge import Judge, RewardSettings
from f1rl.phases.players import Player
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams


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

    Both memories see every frame. The world model judges the frames that decisions led to; each of them stands for
    those on the way there, which is most of the work saved where decisions are long.

    Args:
        world: in evaluation mode; both memories are its own.
        player: acts on what the student sees and remembers.
        streams: the scenes, their first episodes begun.
        settings: how rewards are measured.
        camera: index of the student's camera.
        generator: of the dropout behind disagreement; on the world's device.
        slow: a world model that learns more slowly; the surprise is then how much worse it predicts than ``world``.
    """
    game = _Game(world, player, streams, camera, Judge(world, settings, generator, slow, len(streams.active)))
    while streams.active.any():
        game.decide()
        game.step(settings)
        game.begin_next()
    return game.recorder.rollout()


class _Game:
    """``N`` scenes while they are played; the queue of ``streams`` is begun."""

    def __init__(self, world: F1Model, player: Player, streams: EpisodeStreams, camera: int, judge: Judge) -> None:
        count, self._device = len(streams.active), next(world.parameters()).device
        self._world, self._player, self._streams, self._judge = world, player, streams, judge
        self.recorder, self._memories = RolloutRecorder(count), _Memories(world, camera, count, self._device)
        self._chunk = torch.zeros(count, player.chunk, world.config.action_dim)
        self._place = torch.zeros(count, dtype=torch.int64)
        """``[N]``: which action of its chunk a scene carries out next."""
        self._inputs = streams.inputs().to(self._device)
        self._view = self._memories.look(self._inputs)
        self._begin(torch.arange(count))

    def decide(self) -> None:
        """Choose a chunk for the scenes that have carried out theirs."""
        playing = self._playing()
        due = playing[self._place[playing] == 0]
        if len(due):
            situation = self._situation(due)
            decision = self._player.choose(due, situation)
            self.recorder.decided(due, situation, decision, self._player.value(situation))
            self._chunk[due] = decision.action.cpu()

    def step(self, settings: RewardSettings) -> None:
        """Carry out an action in every scene, and find out what it was worth."""
        streams, playing = self._streams, self._playing()
        action = self._chunk[torch.arange(len(self._chunk)), self._place]
        history = streams.actions_with(action).to(self._device)
        self._judge.watch(self._inputs)
        outcome = streams.step(action)
        self._inputs = streams.inputs().to(self._device)
        before, self._view = self._view, self._memories.look(self._inputs)
        closer = memory_reward(before.distance, self._view.distance, settings.memory_sign).cpu()
        terms = {"memory": closer[playing], "success": outcome.success[playing].float()}
        self.recorder.stepped(playing, terms, {"memory_distance": self._view.distance.cpu()[playing]})
        self._place = (self._place + 1) % self._player.executed
        self._place[list(outcome.finished)] = 0
        done = playing[self._place[playing] == 0]
        if len(done):
            self.recorder.judged(done, *self._judge(done.to(self._device), before.teacher, history, outcome))
        if outcome.finished:
            self._end(outcome.finished)

    def begin_next(self) -> None:
        """Begin the next episodes in the scenes where some ended."""
        started = torch.from_numpy(self._streams.refill()).nonzero()[:, 0]
        if len(started):
            self._inputs = self._streams.inputs().to(self._device)
            self._view = self._memories.look_again(self._inputs, started.to(self._device), self._view)
            self._begin(started)

    def _begin(self, scenes: Tensor) -> None:
        for scene in scenes.tolist():
            self._player.begin(scene, self._streams.requests[scene])

    def _end(self, finished: dict[int, TokenizedEpisode]) -> None:
        values = self._player.value(self._situation(torch.tensor(list(finished)))).tolist()
        for (scene, episode), value in zip(finished.items(), values, strict=True):
            self.recorder.ended(scene, episode, value)

    def _playing(self) -> Tensor:
        """Return the scenes ``int64 [M]`` that play an episode of the queue."""
        return torch.from_numpy(self._streams.active).nonzero()[:, 0]

    def _situation(self, scenes: Tensor) -> Situation:
        """Return what the student knows of ``scenes int64 [M]``."""
        return Situation.of(self._world.include_past(self._view.student[scenes.to(self._device)]))


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
