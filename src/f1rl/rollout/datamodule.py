"""The data of a run: episodes collected or read while the model trains on those before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightning
import numpy as np

from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.rollout.mixture import Mixture
from f1rl.rollout.recorded import RecordedEpisodes
from f1rl.rollout.recorded_source import MixedSource, RecordedSource
from f1rl.rollout.seeds import Split, episode_requests
from f1rl.rollout.source import Encode, EpisodeSource, TokenizedEpisode, WorkerSource, collect
from f1rl.rollout.stream import BatchRing, SequentialStream, ShuffledStream, WindowShape
from f1rl_envs.spec import EnvSpec, Episode
from f1rl_envs.workers import EpisodeWorkers


@dataclass(frozen=True)
class RolloutPlan:
    """Which episodes there are and how they are cut into windows."""

    seed: int
    num_episodes: int
    scene_reset_interval: int
    shape: WindowShape
    n_obs: int
    """Entries of a history."""
    sequential: bool
    """Persistent streams with memory carried across windows, or shuffled windows without."""
    camera: str
    """Name of the camera whose frames are tokenised and predicted."""
    rank: int = 0
    world_size: int = 1
    online_fraction: float = 1.0
    """Probability that an episode is freshly collected instead of read."""


class RolloutDataModule(lightning.LightningDataModule):
    """Where episodes come from, a tokenizer that encodes each frame once, a stream that a trainer iterates.

    With workers, the episodes to judge by and the tokenizer's are fresh ones; without, they are recorded ones.
    """

    def __init__(
        self,
        workers: EpisodeWorkers | None,
        plan: RolloutPlan,
        recorded: RecordedEpisodes | None = None,
        recorder: EpisodeRecorder | None = None,
    ) -> None:
        """Take ownership of all parts; they are closed by :meth:`close`.

        Args:
            workers: collect fresh episodes; None if ``plan.online_fraction`` is 0.
            plan: which episodes there are.
            recorded: episodes to read; None if ``plan.online_fraction`` is 1.
            recorder: writes every fresh training episode.

        Raises:
            ValueError: a source that the plan needs is missing.
        """
        super().__init__()
        if (workers is None) != (plan.online_fraction == 0) or (recorded is None) != (plan.online_fraction == 1):
            raise ValueError(f"online_fraction={plan.online_fraction} needs other sources of episodes")
        self.workers, self.plan, self.recorded = workers, plan, recorded
        self._recorder = recorder
        self.spec: EnvSpec = (workers or recorded).spec
        """What the episodes' arrays look like."""
        self.camera = self.spec.camera_index(plan.camera)
        self.position: dict | None = None
        """Where to resume; set before training starts."""
        self.source: EpisodeSource | None = None
        self._reading: RecordedSource | None = None
        self._encode: Encode | None = None
        self._num_tokens = 0

    def set_encoder(self, encode: Encode, num_tokens: int) -> None:
        """Give the function that turns frames ``uint8 [N, 3, H, W]`` into tokens ``int [N, num_tokens]``."""
        self._encode, self._num_tokens = encode, num_tokens

    def episodes(self, split: Split, count: int, seed: int) -> Iterator[Episode]:
        """Yield the first ``count`` episodes of ``split``, none of which training uses unless they are recorded ones.

        Fresh episodes are collected now, in order, each in a scene of its own. Recorded episodes for the tokenizer are
        drawn from those to train on, so there may be fewer; those held out are always the same.
        """
        if self.workers is not None:
            request = episode_requests(seed, split, scene_reset_interval=1)
            yield from collect(self.workers, map(request, range(count)))
            return
        places = self.recorded.held_out[:count]
        if split != "held_out":
            mixture = Mixture(self.recorded, 0.0, seed, count)
            places = list(dict.fromkeys(map(mixture.place, range(count))))
        yield from (self.recorded.read(place, index) for index, place in enumerate(places))

    def tokenizer_frames(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """Yield the predicted camera's frames ``uint8 [N + 1, 3, H, W]`` of ``count`` episodes for the tokenizer."""
        return (episode.image[:, self.camera] for episode in self.episodes("tokenizer", count, seed))

    def held_out(self, count: int) -> list[TokenizedEpisode]:
        """Return ``count`` episodes that are never trained on, encoded."""
        return [
            TokenizedEpisode(e, self._encode(e.image[:, self.camera]).astype(np.int16))
            for e in self.episodes("held_out", count, self.plan.seed)
        ]

    def train_dataloader(self) -> SequentialStream | ShuffledStream:
        """Return the endless-looking stream of training windows, from :attr:`position` on."""
        plan, shape = self.plan, self.plan.shape
        indices = range(plan.rank, plan.num_episodes, plan.world_size)
        kind = SequentialStream if plan.sequential else ShuffledStream
        needed = kind.needed(self.position, indices, shape.batch)
        # The next episode of every stream, and one more while that is trained on.
        self.source = self._open_source(needed, lookahead=2 * shape.batch)
        ring = BatchRing.allocate(
            batch=shape.batch,
            window=shape.window,
            image_shape=self.spec.image_shape,
            n_obs=plan.n_obs,
            num_tokens=self._num_tokens,
            action_dim=len(self.spec.action_mask),
            state_dim=len(self.spec.state_mask),
        )
        if plan.sequential:
            return SequentialStream(self.source, ring, shape, indices, self.position)
        return ShuffledStream(self.source, ring, shape, indices, plan.seed, self.position)

    def _open_source(self, needed: list[int], lookahead: int) -> EpisodeSource:
        """Return the source of the training episodes ``needed``."""
        plan, mixture = self.plan, None
        if self.recorded is not None:
            mixture = Mixture(self.recorded, plan.online_fraction, plan.seed, plan.num_episodes)
            read = [index for index in needed if mixture.place(index)]
            self._reading = RecordedSource(self.recorded, mixture, self._encode, self.camera, read, lookahead)
            if self.workers is None:
                return self._reading
        fresh = WorkerSource(
            self.workers,
            self._encode,
            episode_requests(plan.seed, "train", plan.scene_reset_interval),
            self.camera,
            needed if mixture is None else [index for index in needed if not mixture.place(index)],
            lookahead,
            record=self._recorder.add if self._recorder else None,
        )
        return fresh if mixture is None else MixedSource(mixture, fresh, self._reading)

    @property
    def about(self) -> dict[str, object]:
        """What the environment says it runs on; empty without workers, or before one of them has started."""
        return self.workers.about if self.workers else {}

    @property
    def restarts(self) -> int:
        """Worker processes that were replaced so far."""
        return self.workers.restarts if self.workers else 0

    def worker_status(self) -> list[dict[str, object]]:
        """Return where each worker process is; none without workers."""
        return self.workers.status() if self.workers else []

    def dataset_state(self) -> list[dict[str, object]]:
        """Return what identifies the datasets that are read, for a checkpoint."""
        return self.recorded.state() if self.recorded else []

    def ledger(self) -> dict[str, float]:
        """Return the seconds that each part has taken so far, by the part's name."""
        return {"wait_env": self.source.waited if self.source else 0.0}

    def close(self) -> None:
        """Stop the workers and free their memory; finish what is being recorded.

        Raises:
            F1RLError: an episode could not be recorded.
        """
        if self.workers is not None:
            self.workers.close()
        if self._reading is not None:
            self._reading.close()
        if self._recorder is not None:
            self._recorder.close()
