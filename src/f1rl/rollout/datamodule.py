"""The data of a run: episodes collected while the model trains on those before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightning
import numpy as np

from f1rl.rollout.seeds import Split, episode_requests
from f1rl.rollout.source import Encode, EpisodeSource, TokenizedEpisode, collect
from f1rl.rollout.stream import BatchRing, SequentialStream, ShuffledStream, WindowShape
from f1rl_envs.spec import Episode
from f1rl_envs.workers import EpisodeWorkers


@dataclass(frozen=True)
class RolloutPlan:
    """What is collected and how it is cut into windows."""

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


class RolloutDataModule(lightning.LightningDataModule):
    """Workers that collect, a tokenizer that encodes each frame once, a stream that a trainer iterates."""

    def __init__(self, workers: EpisodeWorkers, plan: RolloutPlan) -> None:
        """Take ownership of ``workers``; they are closed by :meth:`close`."""
        super().__init__()
        self.workers, self.plan = workers, plan
        self.camera = workers.spec.camera_index(plan.camera)
        self.position: dict | None = None
        """Where to resume; set before training starts."""
        self.source: EpisodeSource | None = None
        self._encode: Encode | None = None
        self._num_tokens = 0

    def set_encoder(self, encode: Encode, num_tokens: int) -> None:
        """Give the function that turns frames ``uint8 [N, 3, H, W]`` into tokens ``int [N, num_tokens]``."""
        self._encode, self._num_tokens = encode, num_tokens

    def episodes(self, split: Split, count: int, seed: int) -> Iterator[Episode]:
        """Collect the first ``count`` episodes of ``split`` now, in order, each in a scene of its own."""
        request = episode_requests(seed, split, scene_reset_interval=1)
        return collect(self.workers, map(request, range(count)))

    def tokenizer_frames(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """Yield the predicted camera's frames ``uint8 [N + 1, 3, H, W]`` of ``count`` episodes for the tokenizer."""
        return (episode.image[:, self.camera] for episode in self.episodes("tokenizer", count, seed))

    def held_out(self, count: int) -> list[TokenizedEpisode]:
        """Collect and encode ``count`` episodes that are never trained on."""
        return [
            TokenizedEpisode(e, self._encode(e.image[:, self.camera]).astype(np.int16))
            for e in self.episodes("held_out", count, self.plan.seed)
        ]

    def train_dataloader(self) -> SequentialStream | ShuffledStream:
        """Return the endless-looking stream of training windows, from :attr:`position` on."""
        plan, shape = self.plan, self.plan.shape
        indices = range(plan.rank, plan.num_episodes, plan.world_size)
        kind = SequentialStream if plan.sequential else ShuffledStream
        self.source = EpisodeSource(
            self.workers,
            self._encode,
            episode_requests(plan.seed, "train", plan.scene_reset_interval),
            self.camera,
            kind.needed(self.position, indices, shape.batch),
            lookahead=2 * shape.batch,  # the next episode of every stream, and one more while that is trained on
        )
        spec = self.workers.spec
        ring = BatchRing.allocate(
            batch=shape.batch,
            window=shape.window,
            image_shape=spec.image_shape,
            n_obs=plan.n_obs,
            num_tokens=self._num_tokens,
            action_dim=len(spec.action_mask),
            state_dim=len(spec.state_mask),
        )
        if plan.sequential:
            return SequentialStream(self.source, ring, shape, indices, self.position)
        return ShuffledStream(self.source, ring, shape, indices, plan.seed, self.position)

    @property
    def waited(self) -> float:
        """Seconds that training has waited for episodes so far."""
        return self.source.waited if self.source else 0.0

    def close(self) -> None:
        """Stop the workers and free their memory."""
        self.workers.close()
