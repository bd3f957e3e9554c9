"""Episodes to train a world model on while an explorer goes on: fresh ones, older ones, random ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from f1rl.rollout.source import TokenizedEpisode
from f1rl_envs.spec import Episode, EpisodeRequest

_ARRAYS = ("image", "state", "action", "reward")
_FRESH, _RANDOM, _OLD = "fresh", "random", "old"


@dataclass(frozen=True)
class ReplayMix:
    """Where the episodes of a world model's streams come from."""

    buffer_size: int
    """Episodes of the explorer that are kept."""
    fresh_fraction: float
    """Share drawn from the newest rollout."""
    random_fraction: float
    """Share drawn from the random episodes; the rest comes from all that are kept."""
    streams: int
    """``B`` streams that play them."""
    seed: int
    """Of the draws."""


class ReplayBuffer:
    """An :class:`~f1rl.rollout.source.EpisodeSource` that never ends: number ``n`` is drawn when it is first asked for.

    An episode that a stream is in the middle of stays, also when it is dropped from the buffer or the run is resumed.
    """

    waited = 0.0

    def __init__(self, mix: ReplayMix) -> None:
        """Start empty."""
        self._mix = mix
        self.random: list[TokenizedEpisode] = []
        self.kept: list[TokenizedEpisode] = []
        self._fresh = 0
        self._playing: dict[int, tuple[int, TokenizedEpisode]] = {}

    def add_random(self, episodes: Iterable[TokenizedEpisode]) -> None:
        """Keep random episodes for good."""
        self.random.extend(episodes)

    def add(self, episodes: list[TokenizedEpisode]) -> None:
        """Take in a rollout; the oldest episodes beyond the buffer's size are dropped."""
        self.kept = [*self.kept, *episodes][-self._mix.buffer_size :]
        self._fresh = min(len(episodes), len(self.kept))

    def get(self, index: int) -> TokenizedEpisode:
        """Return episode ``index``, which stream ``index % B`` plays.

        Raises:
            ValueError: if there is no episode to draw from.
        """
        row = index % self._mix.streams
        known = self._playing.get(row)
        if known is None or known[0] != index:
            known = self._playing[row] = (index, self._draw(index))
        return known[1]

    def _draw(self, index: int) -> TokenizedEpisode:
        rng, mix = np.random.default_rng((self._mix.seed, index)), self._mix
        shares = {_FRESH: mix.fresh_fraction, _RANDOM: mix.random_fraction}
        shares[_OLD] = max(0.0, 1.0 - sum(shares.values()))
        places = {_FRESH: self.kept[-self._fresh :] if self._fresh else [], _RANDOM: self.random, _OLD: self.kept}
        there = [name for name in shares if places[name] and shares[name] > 0]
        if not there:
            raise ValueError("the replay buffer is empty; add a rollout before the world model learns")
        weights = np.array([shares[name] for name in there])
        chosen = places[there[rng.choice(len(there), p=weights / weights.sum())]]
        return chosen[rng.integers(len(chosen))]

    def state_dict(self) -> dict[str, Any]:
        """Return everything, each episode once, for a checkpoint."""
        stored: dict[int, int] = {}
        episodes: list[TokenizedEpisode] = []

        def place(episode: TokenizedEpisode) -> int:
            if id(episode) not in stored:
                stored[id(episode)] = len(episodes)
                episodes.append(episode)
            return stored[id(episode)]

        state = {
            "random": [place(episode) for episode in self.random],
            "kept": [place(episode) for episode in self.kept],
            "playing": {row: [index, place(episode)] for row, (index, episode) in self._playing.items()},
            "fresh": self._fresh,
        }
        return {**state, "episodes": [pack(episode) for episode in episodes]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        episodes = [unpack(packed) for packed in state["episodes"]]
        self.random = [episodes[place] for place in state["random"]]
        self.kept = [episodes[place] for place in state["kept"]]
        self._playing = {row: (index, episodes[place]) for row, (index, place) in state["playing"].items()}
        self._fresh = state["fresh"]


def pack(episode: TokenizedEpisode) -> dict[str, Any]:
    """Return an episode as tensors and plain values, which a checkpoint may hold."""
    whole = episode.episode
    request = (whole.request.index, whole.request.seed, whole.request.scene_seed)
    arrays = {name: torch.from_numpy(np.ascontiguousarray(getattr(whole, name))) for name in _ARRAYS}
    ends = {"terminated": whole.terminated, "truncated": whole.truncated, "info": dict(whole.info)}
    return {"request": list(request), "tokens": torch.from_numpy(episode.tokens), **arrays, **ends}


def unpack(packed: dict[str, Any]) -> TokenizedEpisode:
    """Return the episode that :func:`pack` was given."""
    values = dict(packed)
    request, tokens = EpisodeRequest(*values.pop("request")), values.pop("tokens").numpy()
    values |= {name: values[name].numpy() for name in _ARRAYS}
    return TokenizedEpisode(Episode(request, **values), tokens)
