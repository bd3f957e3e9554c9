"""Recorded episodes of one or several datasets: which are trained on, and which are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from f1rl.dataset.reader import EpisodeDataset
from f1rl.errors import DatasetError
from f1rl_envs.spec import EnvSpec, Episode


@dataclass(frozen=True)
class Place:
    """One recorded episode."""

    dataset: int
    episode: int


class RecordedEpisodes:
    """The episodes of several datasets, split into those to train on and those held out."""

    def __init__(self, datasets: Sequence[EpisodeDataset], weights: Sequence[float] | None, num_held_out: int) -> None:
        """Split the episodes.

        Scenes are held out in an order that depends on nothing but their seeds, and whole: no scene that the model is
        judged by is trained on, in whichever dataset it occurs.

        Args:
            datasets: one or more, of one meaning.
            weights: probability of each dataset, up to a common factor; None makes every episode equally likely.
            num_held_out: episodes that are never trained on.

        Raises:
            DatasetError: a dataset has too few scenes to keep any for training.
        """
        self.datasets = list(datasets)
        scenes = {e.scene_seed for dataset in datasets for e in dataset.episodes}
        everything = [Place(d, e.number) for d, dataset in enumerate(datasets) for e in dataset.episodes]
        everything.sort(key=lambda place: (_rank(self._scene(place)), place.dataset, place.episode))
        self.held_out = everything[:num_held_out]
        """Episodes to judge by."""
        seen = {self._scene(place) for place in self.held_out}
        self.train = [
            [e.number for e in dataset.episodes if e.scene_seed not in seen] for dataset in self.datasets
        ]  # fmt: skip
        """Numbers of the episodes to train on, for each dataset."""
        for dataset, numbers in zip(self.datasets, self.train, strict=True):
            if not numbers:
                raise DatasetError(
                    f"nothing is left to train on in {dataset.root}: {len(dataset.episodes)} episodes, {len(scenes)} "
                    f"scenes in all datasets, and the scenes of phase.val_episodes={num_held_out} episodes are held "
                    "out. Record more scenes, or lower phase.val_episodes"
                )
        sizes = [len(numbers) for numbers in self.train]
        total = np.array(sizes if weights is None else weights, np.float64)
        self.probabilities = total / total.sum()
        """Probability of each dataset."""

    @property
    def spec(self) -> EnvSpec:
        """What the arrays look like."""
        return self.datasets[0].meaning.spec

    def read(self, place: Place, index: int) -> Episode:
        """Return a recorded episode under the number ``index`` that it has in the run."""
        return self.datasets[place.dataset].read(place.episode, index)

    def state(self) -> list[dict[str, Any]]:
        """Return what a checkpoint needs to notice that a dataset is no longer the same."""
        return [{"path": str(d.root), "episodes": len(d.episodes), "digest": d.digest()} for d in self.datasets]

    def _scene(self, place: Place) -> int:
        return self.datasets[place.dataset].episodes[place.episode].scene_seed


def _rank(scene_seed: int) -> bytes:
    return hashlib.sha256(str(scene_seed).encode()).digest()


def open_recorded(
    paths: Sequence[Path], weights: Sequence[float] | None, num_held_out: int, saved: list[dict[str, Any]] | None
) -> RecordedEpisodes:
    """Open datasets, as they were when ``saved`` was taken by :meth:`RecordedEpisodes.state` if it is given.

    Raises:
        DatasetError: one cannot be used, or its episodes are no longer those of the checkpoint.
    """
    if saved is None:
        return RecordedEpisodes([EpisodeDataset(path) for path in paths], weights, num_held_out)
    if len(saved) != len(paths):
        raise DatasetError(f"the checkpoint was trained on {len(saved)} datasets, rollout.datasets names {len(paths)}")
    datasets = [EpisodeDataset(path, limit=one["episodes"]) for path, one in zip(paths, saved, strict=True)]
    for dataset, one in zip(datasets, saved, strict=True):
        if dataset.digest() != one["digest"]:
            raise DatasetError(
                f"{dataset.root} no longer holds the {one['episodes']} episodes that the checkpoint was trained on "
                f"(then at {one['path']}). Restore them, name them in the same order, or start a new run"
            )
    return RecordedEpisodes(datasets, weights, num_held_out)
