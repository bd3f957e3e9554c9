"""Training from datasets: what is held out, how often each is drawn, and going on from any position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

import env_configs
from dataset_support import episodes, record, same
from f1rl.dataset.reader import EpisodeDataset
from f1rl.errors import DatasetError
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.datamodule import RolloutDataModule, RolloutPlan
from f1rl.rollout.mixture import Mixture
from f1rl.rollout.recorded import RecordedEpisodes, open_recorded
from f1rl.rollout.stream import WindowShape
from f1rl_envs.workers import EpisodeWorkers


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two datasets: 12 episodes in 6 scenes, and 5 episodes in scenes of their own."""
    folder = tmp_path_factory.mktemp("sets")
    return [
        record(folder / "large", episodes(12, per_scene=2)),
        record(folder / "small", episodes(5, first_seed=500)),
    ]


def opened(roots: list[Path], weights: list[float] | None = None, num_held_out: int = 0) -> RecordedEpisodes:
    return open_recorded(roots, weights, num_held_out, saved=None)


def scenes(recorded: RecordedEpisodes) -> list[set[int]]:
    return [
        {dataset.episodes[number].scene_seed for number in numbers}
        for dataset, numbers in zip(recorded.datasets, recorded.train, strict=True)
    ]


def test_whole_scenes_are_held_out_and_always_the_same(roots: list[Path]) -> None:
    recorded = opened(roots, num_held_out=3)
    held = {recorded.read(place, 0).request.scene_seed for place in recorded.held_out}
    assert len(recorded.held_out) == 3
    assert not held & set.union(*scenes(recorded))
    assert opened(roots, [1.0, 5.0], num_held_out=3).held_out == recorded.held_out
    everything = sum(len(d.episodes) for d in recorded.datasets)
    dropped = everything - 3 - sum(map(len, recorded.train))
    assert dropped in (0, 1)  # the other episode of a scene of two
    with pytest.raises(DatasetError, match=r"phase.val_episodes=16"):
        opened(roots, num_held_out=16)


def drawn(mixture: Mixture, count: int) -> list[tuple[int, int] | None]:
    places = map(mixture.place, range(count))
    return [place and (place.dataset, place.episode) for place in places]


def test_sources_are_drawn_with_their_probabilities(roots: list[Path]) -> None:
    count = 20_000
    found = Counter(place and place[0] for place in drawn(Mixture(opened(roots, [3.0, 1.0]), 0.6, 0, count), count))
    expected = {None: 0.6, 0: 0.3, 1: 0.1}
    for source, share in expected.items():
        assert abs(found[source] / count - share) < 4 * np.sqrt(share * (1 - share) / count)


def test_without_weights_every_episode_comes_equally_often(roots: list[Path]) -> None:
    found = Counter(drawn(Mixture(opened(roots), 0.0, 0, 17_000), 17_000))
    assert len(found) == 17
    assert all(abs(times / 1000 - 1) < 0.1 for times in found.values())


def test_each_episode_of_a_dataset_comes_once_before_any_comes_again(roots: list[Path]) -> None:
    order = [place for place in drawn(Mixture(opened(roots), 0.5, 0, 500), 500) if place and place[0] == 0]
    for start in range(0, len(order) - 12, 12):
        assert len(set(order[start : start + 12])) == 12
    assert order[:12] != order[12:24]


def test_a_longer_mixture_begins_alike_and_another_seed_differs(roots: list[Path]) -> None:
    recorded = opened(roots)
    short = drawn(Mixture(recorded, 0.5, 7, 50), 50)
    assert drawn(Mixture(recorded, 0.5, 7, 80), 50) == short
    assert drawn(Mixture(recorded, 0.5, 8, 50), 50) != short


def encode(frames: np.ndarray) -> np.ndarray:
    """Stand in for a tokenizer: the first pixels of each frame."""
    return frames[:, 0, 32, :9].astype(np.int64)


@contextmanager
def data(roots: list[Path], fraction: float, **changes: object) -> Iterator[RolloutDataModule]:
    plan = {"seed": 7, "num_episodes": 9, "scene_reset_interval": 1, "n_obs": 2, "sequential": True, "camera": "wrist"}
    plan |= {"shape": WindowShape(batch=3, window=4, stride=1), "online_fraction": fraction}
    env = env_configs.toy(max_steps=6)
    limits = {"start_timeout": 60, "step_timeout": 20, "max_restarts": 2, "log_dir": None}
    with EpisodeWorkers(env, 1, slots_per_worker=8, **limits) if fraction > 0 else nullcontext() as workers:
        module = RolloutDataModule(workers, RolloutPlan(**(plan | changes)), opened(roots, num_held_out=2))
        module.set_encoder(encode, 9)
        yield module
        module.close()


def batches(module: RolloutDataModule) -> list[WindowBatch]:
    return [deepcopy(batch) for batch in module.train_dataloader()]


@pytest.mark.parametrize("sequential", [True, False])
@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_a_stream_goes_on_from_the_position_of_any_batch(roots: list[Path], fraction: float, sequential: bool) -> None:
    with data(roots, fraction, sequential=sequential) as module:
        whole = batches(module)
    finished = [episode for batch in whole for episode in batch.finished]
    assert sorted(episode.index for episode in finished) == list(range(9))
    assert {episode.episode.worker for episode in finished} == ({-1} if fraction == 0 else {-1, 0})
    stop = len(whole) // 2
    with data(roots, fraction, sequential=sequential) as module:
        module.position = whole[stop].position
        rest = batches(module)
    assert len(rest) == len(whole) - stop - 1
    for got, expected in zip(rest, whole[stop + 1 :], strict=True):
        mask = expected.valid
        assert torch.equal(got.valid, mask)
        for name in ("image", "state", "prev_action", "action_history", "token_history", "target", "is_first"):
            assert torch.equal(getattr(got, name)[mask], getattr(expected, name)[mask]), name


def test_frames_are_encoded_once_however_often_an_episode_comes(roots: list[Path]) -> None:
    encoded: list[int] = []
    with data(roots, 0.0, num_episodes=60) as module:
        module.set_encoder(lambda frames: (encoded.append(len(frames)), encode(frames))[1], 9)
        finished = [episode for batch in batches(module) for episode in batch.finished]
    trained_on = {episode.episode.request.seed for episode in finished}
    assert len(finished) == 60
    assert len(encoded) == len(trained_on) == sum(map(len, opened(roots, num_held_out=2).train))


def test_held_out_and_tokenizer_episodes_are_recorded_ones_without_workers(roots: list[Path]) -> None:
    recorded = opened(roots, num_held_out=2)
    trained = {
        dataset.episodes[number].seed
        for dataset, numbers in zip(recorded.datasets, recorded.train, strict=True)
        for number in numbers
    }
    with data(roots, 0.0) as module:
        held_out = module.held_out(2)
        tokenizer = list(module.episodes("tokenizer", 40, seed=0))
    assert all(same(e.episode, recorded.read(p, 0)) for e, p in zip(held_out, recorded.held_out, strict=True))
    seeds = [episode.request.seed for episode in tokenizer]
    assert len(set(seeds)) == len(seeds) > 10
    assert set(seeds) <= trained


def test_a_resumed_run_gets_the_datasets_of_its_checkpoint(roots: list[Path], tmp_path: Path) -> None:
    path = record(tmp_path / "set", episodes(4))
    saved = opened([path]).state()
    record(path, episodes(2, first_seed=900))
    grown = open_recorded([path], None, 0, saved)
    assert [len(d.episodes) for d in (grown.datasets[0], EpisodeDataset(path))] == [4, 6]
    with pytest.raises(DatasetError, match="no longer holds the 4 episodes"):
        open_recorded([roots[0]], None, 0, saved)
    with pytest.raises(DatasetError, match=r"1 datasets, rollout\.datasets names 2"):
        open_recorded([path, roots[0]], None, 0, saved)
