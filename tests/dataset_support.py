"""What the tests of datasets share: episodes of the toy robot, and comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import env_configs
from f1rl.dataset.layout import Images
from f1rl.dataset.meaning import Meaning
from f1rl.dataset.writer import DatasetWriter
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import Episode, EpisodeRequest


def meaning(**changes: Any) -> Meaning:
    """Return what episodes of the toy robot mean; for ``changes`` see :func:`env_configs.changed`."""
    config = env_configs.toy(**({"max_steps": 6} | changes))
    return Meaning(config, registry.spec(config))


def episodes(count: int, *, first_seed: int = 100, per_scene: int = 1, **changes: Any) -> list[Episode]:
    """Collect episodes of lengths 4, 5, 6, 4, ... with made-up rewards."""
    what, found = meaning(**changes), []
    env, spec = registry.make(what.env), what.spec
    for index in range(count):
        request = EpisodeRequest(index, first_seed + index, first_seed + index // per_scene)
        episode, length = collect_episode(env, spec, request), 4 + index % 3
        found.append(
            Episode(
                request=request,
                image=episode.image[: length + 1],
                state=episode.state[: length + 1],
                action=episode.action[:length],
                reward=np.arange(length, dtype=np.float32) / 3,
                terminated=index % 2 == 0,
                truncated=index % 2 == 1,
                info={"success": float(index % 2 == 0), "distance": 0.1 * index},
            )
        )
    return found


def record(root: Path, collected: Iterable[Episode], images: Images = "png", **changes: Any) -> Path:
    """Write a dataset, or continue it, and return where it is."""
    writer = DatasetWriter(root, meaning(**changes), images)
    for episode in collected:
        assert writer.add(episode)
    writer.close()
    return root


def same(got: Episode, expected: Episode, *, exact_pictures: bool = True) -> bool:
    """Return whether two episodes are equal bit for bit, types included."""
    names = ["state", "action", "reward"] + (["image"] if exact_pictures else [])
    pairs = [(getattr(got, name), getattr(expected, name)) for name in names]
    equal = all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
    seeds = [(e.request.seed, e.request.scene_seed, e.terminated, e.truncated, e.info) for e in (got, expected)]
    return equal and seeds[0] == seeds[1]
