"""One rule from (run seed, split, episode number) to the seeds of an episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from f1rl_envs.spec import EpisodeRequest

Split = Literal["train", "held_out", "tokenizer", "random"]

# Distinct integers keep the seed sequences of the splits apart: no training episode is ever a held-out one.
_SPLITS: dict[Split, int] = {"train": 0, "held_out": 1, "tokenizer": 2, "random": 3}
_EPISODE, _SCENE = 0, 1


def episode_requests(run_seed: int, split: Split, scene_reset_interval: int) -> Callable[[int], EpisodeRequest]:
    """Return the function that gives episode ``index`` of ``split`` its seeds.

    The seeds depend on nothing but the arguments, so any worker of any process collects the same episode.

    Args:
        run_seed: the configuration's ``seed``.
        split: which set of episodes; the splits share no seeds.
        scene_reset_interval: how many consecutive episodes share one built scene.
    """

    def derive(kind: int, number: int) -> int:
        state = np.random.SeedSequence([run_seed, _SPLITS[split], kind, number]).generate_state(1, np.uint32)
        return int(state[0] >> 1)  # 31 bits: every generator downstream accepts them

    def request(index: int) -> EpisodeRequest:
        return EpisodeRequest(index, derive(_EPISODE, index), derive(_SCENE, index // scene_reset_interval))

    return request
