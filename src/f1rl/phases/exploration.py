"""Let an explorer act, while a world model sees, remembers and judges what it finds."""

from __future__ import annotations

import torch
from torch import Tensor

from f1rl.losses.rewards import Recollection, memory_distance, memory_reward, origin
from f1rl.models.explorer import Situation
from f1rl.models.f1 import F1Model
from f1rl.phases.decisions import Rollout, RolloutRecorder
from f1rl.phases.judge import Judge, RewardSettings
from f1rl.phases.players import Player
from f1rl.phases.watcher import Watcher
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

    Both memories see every frame, those of a decision at once. The world model judges the frame that a decision led to;
    it stands for those on the way there, which saves most of the work where decisions are long.

    Args:
        world: in evaluation mode; both memories are its own.
        player: acts on what the student sees and remembers.
        streams: the scenes, their first episodes begun.
        settings: how rewards are measured.
        camera: index of the student's camera.
        generator: of the dropout behind disagreement; on the world's device.
        slow: a world model that learns more slowly; the surprise is then how much worse it predicts than ``world``.
    """
    game = _Game(world, player, streams, settings, camera, Judge(world, settings, generator, slow))
    while streams.active.any():
        game.decide()
        game.step()
        game.begin_next()
    return game.recorder.rollout()


class _Game:
    """``N`` scenes while they are played; the queue of ``streams`` is begun."""

    def __init__(
        self,
        world: F1Model,
        player: Player,
        streams: EpisodeStreams,
        settings: RewardSettings,
        camera: int,
        judge: Judge,
    ) -> None:
        count, self._device = len(streams.active), next(world.parameters()).device
        self._player, self._streams, self._judge = player, streams, judge
        self._sign, self._origin = settings.memory_sign, origin(world.memory)
        self.recorder = RolloutRecorder(count, learned_from=player.learns)
        self._chunk = torch.zeros(count, player.chunk, world.config.action_dim)
        self._place = torch.zeros(count, dtype=torch.int64)
        """``[N]``: which action of its chunk a scene carries out next."""
        inputs = streams.inputs().to(self._device)
        self._student, self._teacher = Watcher(world, camera, inputs), Watcher(world, None, inputs)
        self._slow = None if judge.slow is None else Watcher(judge.slow, None, inputs)
        self._distance = self._distance_now()
        """``float32 [N]`` between the two memories when each scene's running decision was made."""
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

    def step(self) -> None:
        """Carry out an action in every scene, and find out what the decisions that end here were worth."""
        streams, playing = self._streams, self._playing()
        outcome = streams.step(self._chunk[torch.arange(len(self._chunk)), self._place])
        self.recorder.stepped(playing, {"success": outcome.success[playing].float()})
        self._place = (self._place + 1) % self._player.executed
        self._place[outcome.ended] = 0
        done = playing[self._place[playing] == 0]
        if len(done):
            self._look(done)

    def begin_next(self) -> None:
        """Begin the next episodes in the scenes where some ended."""
        started = torch.from_numpy(self._streams.refill()).nonzero()[:, 0]
        if len(started):
            inputs, rows = self._streams.inputs().to(self._device), started.to(self._device)
            for watcher in self._watchers():
                watcher.begin(rows, inputs[rows])
            self._distance[rows] = self._distance_now()[rows]
            self._begin(started)

    def _look(self, done: Tensor) -> None:
        """Show what happened since the last time to all memories; the decisions of ``done int64 [M]`` end here."""
        sight = self._streams.look()
        window = sight.window.to(self._device)
        for watcher in self._watchers():
            watcher.watch(window)
        self._reward(done, sight.action_history[done].to(self._device), sight.tokens[done].to(self._device))
        if sight.finished:
            self._end(sight.finished)

    def _reward(self, scenes: Tensor, history: Tensor, tokens: Tensor) -> None:
        """Note what the decisions of ``scenes int64 [M]`` led to: frames with ``tokens int64 [M, L]``."""
        rows, distance = scenes.to(self._device), self._distance_now()
        closer = memory_reward(self._distance[rows], distance[rows], self._sign)
        self._distance[rows] = distance[rows]
        slow = None if self._slow is None else self._slow.before[rows]
        terms, measures = self._judge(self._teacher.before[rows], slow, history, tokens)
        measures["memory_distance"] = distance[rows]
        self.recorder.judged(scenes, {"memory": closer}, terms, measures)

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
        student = self._student
        return Situation.of(student.world.include_past(student.now[scenes.to(self._device)]))

    def _distance_now(self) -> Tensor:
        states = (watcher.state for watcher in (self._student, self._teacher))
        return memory_distance(*(Recollection(state, self._origin) for state in states))

    def _watchers(self) -> list[Watcher]:
        return [watcher for watcher in (self._student, self._teacher, self._slow) if watcher is not None]
