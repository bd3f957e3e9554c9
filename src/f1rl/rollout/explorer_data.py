"""The data of a phase with an explorer: whole rollouts, played by the policy that learns from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol, Self, TypeVar

import lightning
import torch

from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.rollout.seeds import Split, episode_requests
from f1rl.rollout.source import Encode, TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.vector.interface import VectorEnv

R = TypeVar("R", bound="PlayedRollout")


class PlayedRollout(Protocol):
    """What a player returns."""

    position: dict[str, int]
    """Set by the loader."""
    episodes: list[TokenizedEpisode]
    """Whole ones."""

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """Return what was played at the same time as one rollout, its episodes by number."""
        ...


Play = Callable[[EpisodeStreams, int], PlayedRollout]
"""Plays the queue of the streams to its end, as (a part of) the rollout of that number."""


@dataclass(frozen=True)
class ExplorerPlan:
    """Which episodes there are and how they make rollouts."""

    seed: int
    num_episodes: int
    episodes_per_update: int
    """Episodes of a rollout; the last one may have fewer."""
    group: int
    """Consecutive episodes that begin from the same seeds."""
    scene_reset_interval: int
    camera: str
    """Name of the camera that the explorer sees and the world model predicts."""
    n_obs: int
    """Entries of a history."""
    stride: int
    """Steps between two of them."""
    overlap: bool
    """Play the next rollout while the last one is learned from."""

    @property
    def num_rollouts(self) -> int:
        """Rollouts of the whole run."""
        return -(-self.num_episodes // self.episodes_per_update)


class ExplorerDataModule(lightning.LightningDataModule):
    """Scenes that are stepped together, and the loader of the rollouts played in them.

    Where the scenes come in several groups, each is played by a thread of its own: while one group is simulated in its
    processes, the policy chooses for another, and no core waits.
    """

    def __init__(self, envs: Sequence[VectorEnv], plan: ExplorerPlan, recorder: EpisodeRecorder | None = None) -> None:
        """Take ownership of the parts; they are closed by :meth:`close`.

        Args:
            envs: groups of scenes.
            plan: which episodes there are.
            recorder: writes every training episode.
        """
        super().__init__()
        self.envs, self.plan = tuple(envs), plan
        self.spec: EnvSpec = self.envs[0].env_spec
        self.camera = self.spec.camera_index(plan.camera)
        self.position: dict[str, int] | None = None
        """Where to resume; set before training starts."""
        self.play: Play | None = None
        """Who plays; set before training starts."""
        self.before_play: Callable[[], None] = _nothing
        """Called between two rollouts, before the next one is played."""
        self.played = 0.0
        """Seconds that playing has taken so far, evaluations included."""
        self._recorder = recorder
        self._streams: list[EpisodeStreams] = []
        self._stage = Lock()
        self._threads = ThreadPoolExecutor(len(self.envs), thread_name_prefix="scenes")

    def set_encoder(self, encode: Encode, num_tokens: int) -> None:
        """Give the function that turns frames ``uint8 [N, 3, H, W]`` into tokens ``int [N, num_tokens]``."""
        plan = self.plan
        self._streams = [
            EpisodeStreams(env, encode, self.camera, plan.n_obs, plan.stride, num_tokens, part)
            for part, env in enumerate(self.envs)
        ]

    def perform(self, play: Callable[[EpisodeStreams], R], split: Split, indices: range) -> R:
        """Let somebody play the episodes ``indices`` of ``split``; one performance at a time.

        Training episodes may share scenes and come in groups; all others have a scene of their own. ``play`` is called
        for each group of scenes with its share of the episodes, at the same time.
        """
        training = split == "train"
        request = episode_requests(self.plan.seed, split, self.plan.scene_reset_interval if training else 1)
        group = self.plan.group if training else 1
        requests = [self._grouped(request, index, group) for index in indices]
        shares = [requests[part :: len(self.envs)] for part in range(len(self.envs))]
        with self._stage, self._one_core_each():
            started = time.perf_counter()
            playing = [
                self._threads.submit(self._play_share, play, streams, share)
                for streams, share in zip(self._streams, shares, strict=True)
                if share
            ]
            parts = [future.result() for future in playing]
            self.played += time.perf_counter() - started
        return type(parts[0]).merged(parts)

    @staticmethod
    def _play_share(play: Callable[[EpisodeStreams], R], streams: EpisodeStreams, requests: list[EpisodeRequest]) -> R:
        streams.begin(requests)
        return play(streams)

    @contextmanager
    def _one_core_each(self) -> Iterator[None]:
        """Share torch's threads among the groups; beside an update that goes on meanwhile, leave them as they are.

        Sums over several threads are added up in another order than those of one, so their number must not change with
        the time of day.
        """
        threads = torch.get_num_threads()
        if len(self.envs) == 1 or self.plan.overlap:
            yield
            return
        torch.set_num_threads(max(1, threads // len(self.envs)))
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    @staticmethod
    def _grouped(request: Callable[[int], EpisodeRequest], index: int, group: int) -> EpisodeRequest:
        return replace(request(index // group), index=index)

    def train_dataloader(self) -> RolloutLoader:
        """Return the rollouts of the run, from :attr:`position` on."""
        return RolloutLoader(self, (self.position or {"rollout": 0})["rollout"])

    def rollout(self, number: int) -> PlayedRollout:
        """Play rollout ``number`` of the run."""
        size = self.plan.episodes_per_update
        indices = range(number * size, min((number + 1) * size, self.plan.num_episodes))
        rollout = self.perform(lambda streams: self.play(streams, number), "train", indices)
        rollout.position = {"rollout": number + 1}
        if self._recorder is not None:
            for episode in rollout.episodes:
                self._recorder.add(episode.episode)
        return rollout

    @property
    def about(self) -> dict[str, Any]:
        """What the environment says it runs on."""
        return self.envs[0].about

    def ledger(self) -> dict[str, float]:
        """Return the seconds that each part of playing has taken so far, by the part's name."""
        waited = sum(streams.waited for streams in self._streams) / len(self.envs)
        return {"wait_env": waited, "inference": self.played - waited}

    def dataset_state(self) -> list[dict[str, Any]]:
        """Return no datasets: an explorer learns from what it does."""
        return []

    def worker_status(self) -> list[dict[str, Any]]:
        """Return where each worker process is; none in the batched form."""
        return [status for env in self.envs if env.form == "process" for status in env.pool.status()]

    @property
    def restarts(self) -> int:
        """Worker processes that were replaced so far."""
        return sum(env.pool.restarts for env in self.envs if env.form == "process")

    def close(self) -> None:
        """Stop the scenes and finish what is being recorded.

        Raises:
            F1RLError: an episode could not be recorded.
        """
        for env in self.envs:
            env.close()
        self._threads.shutdown()
        if self._recorder is not None:
            self._recorder.close()


class RolloutLoader:
    """Yields one rollout after another.

    It has a length, so Lightning fetches a batch only when the one before was learned from: each rollout is played by
    the newest policy. With ``overlap`` the next rollout is played meanwhile, by a copy of the policy from before the
    update; what it thought of its actions is stored with them, so learning from them stays correct.
    """

    def __init__(self, data: ExplorerDataModule, first: int) -> None:
        """Begin with rollout ``first``."""
        self._data, self._first = data, first

    def __len__(self) -> int:
        """Return the number of rollouts still to come."""
        return max(0, self._data.plan.num_rollouts - self._first)

    def __iter__(self) -> Iterator[PlayedRollout]:
        """Play and yield."""
        numbers = range(self._first, self._data.plan.num_rollouts)
        if self._data.plan.overlap:
            yield from self._ahead(numbers)
            return
        for number in numbers:
            self._data.before_play()
            yield self._data.rollout(number)

    def _ahead(self, numbers: range) -> Iterator[PlayedRollout]:
        with ThreadPoolExecutor(1, thread_name_prefix="rollout") as pool:
            following: Future[PlayedRollout] | None = None
            for number in numbers:
                # A resumed run plays its first rollout with the policy that acted before the checkpoint's update.
                rollout = following.result() if following else pool.submit(self._data.rollout, number).result()
                following = None
                if number + 1 in numbers:
                    self._data.before_play()
                    following = pool.submit(self._data.rollout, number + 1)
                yield rollout


def _nothing() -> None:
    """Do nothing."""
