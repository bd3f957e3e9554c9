"""The data of a phase with an explorer: whole rollouts, played by the policy that learns from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol, TypeVar

import lightning
import torch

from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.rollout.seeds import Split, episode_requests
from f1rl.rollout.source import Encode, TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams
from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.vector.interface import VectorEnv

T = TypeVar("T")


class PlayedRollout(Protocol):
    """What a player returns."""

    position: dict[str, int]
    """Set by the loader."""
    episodes: list[TokenizedEpisode]
    """Whole ones."""


Play = Callable[[EpisodeStreams, int], PlayedRollout]
"""Plays the queue of the streams to its end, as the rollout of that number."""


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
    """Scenes that are stepped together, and the loader of the rollouts played in them."""

    def __init__(self, env: VectorEnv, plan: ExplorerPlan, recorder: EpisodeRecorder | None = None) -> None:
        """Take ownership of the parts; they are closed by :meth:`close`.

        Args:
            env: the scenes.
            plan: which episodes there are.
            recorder: writes every training episode.
        """
        super().__init__()
        self.env, self.plan = env, plan
        self.spec: EnvSpec = env.env_spec
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
        self._streams: EpisodeStreams | None = None
        self._stage = Lock()

    def set_encoder(self, encode: Encode, num_tokens: int) -> None:
        """Give the function that turns frames ``uint8 [N, 3, H, W]`` into tokens ``int [N, num_tokens]``."""
        self._streams = EpisodeStreams(self.env, encode, self.camera, self.plan.n_obs, self.plan.stride, num_tokens)

    def perform(self, play: Callable[[EpisodeStreams], T], split: Split, indices: range) -> T:
        """Let somebody play the episodes ``indices`` of ``split``; one performance at a time.

        Training episodes may share scenes and come in groups; all others have a scene of their own.
        """
        training = split == "train"
        request = episode_requests(self.plan.seed, split, self.plan.scene_reset_interval if training else 1)
        group = self.plan.group if training else 1
        with self._stage:
            started = time.perf_counter()
            self._streams.begin([self._grouped(request, index, group) for index in indices])
            played = play(self._streams)
            self.played += time.perf_counter() - started
            return played

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
        return self.env.about

    def ledger(self) -> dict[str, float]:
        """Return the seconds that each part of playing has taken so far, by the part's name."""
        waited = self._streams.waited if self._streams else 0.0
        return {"wait_env": waited, "inference": self.played - waited}

    def dataset_state(self) -> list[dict[str, Any]]:
        """Return no datasets: an explorer learns from what it does."""
        return []

    def worker_status(self) -> list[dict[str, Any]]:
        """Return where each worker process is; none in the batched form."""
        return self.env.pool.status() if self.env.form == "process" else []

    @property
    def restarts(self) -> int:
        """Worker processes that were replaced so far."""
        return self.env.pool.restarts if self.env.form == "process" else 0

    def close(self) -> None:
        """Stop the scenes and finish what is being recorded.

        Raises:
            F1RLError: an episode could not be recorded.
        """
        self.env.close()
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
        threads = torch.get_num_threads()

        def play(number: int) -> PlayedRollout:
            torch.set_num_threads(threads)  # a new thread begins with torch's own choice
            return self._data.rollout(number)

        with ThreadPoolExecutor(1, thread_name_prefix="rollout") as pool:
            following: Future[PlayedRollout] | None = None
            for number in numbers:
                # A resumed run plays its first rollout with the policy that acted before the checkpoint's update.
                rollout = following.result() if following else pool.submit(play, number).result()
                following = None
                if number + 1 in numbers:
                    self._data.before_play()
                    following = pool.submit(play, number + 1)
                yield rollout


def _nothing() -> None:
    """Do nothing."""
