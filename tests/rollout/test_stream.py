"""Windows of real episodes: alignment of the histories, episode ends, padding, order, and going on from a position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
import torch

from env_configs import toy
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.datamodule import RolloutDataModule, RolloutPlan
from f1rl.rollout.seeds import episode_requests
from f1rl.rollout.stream import WindowShape
from f1rl_envs.toy_views import read_clock
from f1rl_envs.workers import EpisodeWorkers

STEPS, N_OBS = 13, 4
CLOCK = toy(variant="clock", max_steps=STEPS)
NUM_TOKENS = 9  # the step, and the eight real action entries that led to the frame


def encode(frames: np.ndarray) -> np.ndarray:
    """Turn clock pictures into tokens that say when they were taken and which action led to them."""
    readings = [read_clock(frame) for frame in frames]
    return np.array([[r.step, *np.rint((r.action[:8] + 1) * 1000)] for r in readings])


def led_by(tokens: torch.Tensor, action: torch.Tensor) -> bool:
    """Return whether a frame's tokens say that ``action`` led to it, up to the rounding of the picture."""
    return bool(((tokens[1:] - (action[:8] + 1) * 1000).abs() <= 1).all())


@contextmanager
def opened(**changes: object) -> Iterator[RolloutDataModule]:
    shape = WindowShape(batch=3, window=5, stride=1)
    plan = {"seed": 7, "num_episodes": 7, "scene_reset_interval": 2, "shape": shape, "n_obs": N_OBS, "sequential": True}
    with EpisodeWorkers(
        CLOCK, 2, slots_per_worker=4, start_timeout=60, step_timeout=20, max_restarts=2, log_dir=None
    ) as workers:
        data = RolloutDataModule(workers, RolloutPlan(**(plan | {"camera": "wrist"} | changes)))
        data.set_encoder(encode, NUM_TOKENS)
        yield data


def batches(data: RolloutDataModule) -> list[WindowBatch]:
    """Copy what the stream yields, because it reuses its buffers."""
    return [deepcopy(batch) for batch in data.train_dataloader()]


@pytest.mark.parametrize("sequential", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_histories_are_aligned_with_what_the_pictures_say(sequential: bool, stride: int) -> None:
    shape = WindowShape(batch=3, window=5, stride=stride)
    with opened(sequential=sequential, shape=shape) as data:
        seen = batches(data)
    checked = 0
    for batch in seen:
        for b, t in batch.valid.nonzero().tolist():
            reading = read_clock(batch.image[b, t, 1].numpy())
            step, tokens = reading.step, batch.token_history[b, t]
            assert reading.camera == "wrist"
            assert read_clock(batch.image[b, t, 0].numpy()).camera == "head"
            expected = [max(0, step - stride * back) for back in range(N_OBS - 1, -1, -1)]
            assert tokens[:, 0].tolist() == expected
            # The outcome of a_t is the target: the frame after it says that a_t led there.
            assert batch.target[b, t, 0] == step + 1
            assert led_by(batch.target[b, t], batch.action_history[b, t, -1])
            # image_history[i + 1] is what followed action_history[i].
            for i in range(N_OBS - 1):
                if stride == 1 and step - (N_OBS - 1 - i) >= 0:
                    assert led_by(tokens[i + 1], batch.action_history[b, t, i])
                if step - stride * (N_OBS - 1 - i) < 0:
                    assert not batch.action_history[b, t, i].any()
            assert led_by(tokens[-1], batch.prev_action[b, t])
            if sequential:
                assert bool(batch.is_first[b, t]) == (step == 0)
            checked += 1
    assert checked == 7 * STEPS


def test_a_window_crosses_an_episodes_end_only_with_is_first() -> None:
    with opened() as data:
        seen = batches(data)
    crossings = 0
    for batch in seen:
        for b in range(3):
            for t in range(1, 5):
                both = batch.valid[b, t - 1] & batch.valid[b, t]
                if both and batch.episode[b, t] != batch.episode[b, t - 1]:
                    assert batch.is_first[b, t]
                    crossings += 1
                elif both:
                    assert not batch.is_first[b, t]
    assert crossings > 0


def test_every_step_of_every_episode_is_served_once_and_each_episode_finishes_once() -> None:
    for sequential in (True, False):
        with opened(sequential=sequential) as data:
            seen = batches(data)
        served = torch.cat([batch.episode[batch.valid] for batch in seen])
        assert served.bincount().tolist() == [STEPS] * 7
        assert sorted(e.index for batch in seen for e in batch.finished) == list(range(7))
        assert all((batch.episode[~batch.valid] == -1).all() for batch in seen)


@pytest.mark.parametrize("sequential", [True, False])
def test_a_stream_goes_on_from_the_position_of_any_batch(sequential: bool) -> None:
    with opened(sequential=sequential) as data:
        whole = batches(data)
    for stop in (0, 3, len(whole) - 2):
        with opened(sequential=sequential) as data:
            data.position = whole[stop].position
            rest = batches(data)
        assert len(rest) == len(whole) - stop - 1
        for got, expected in zip(rest, whole[stop + 1 :], strict=True):
            mask = expected.valid
            assert torch.equal(got.valid, mask)
            for name in ("image", "state", "prev_action", "action_history", "token_history", "target", "is_first"):
                assert torch.equal(getattr(got, name)[mask], getattr(expected, name)[mask]), name
            assert [e.index for e in got.finished] == [e.index for e in expected.finished]


def test_shuffled_windows_mix_episodes_and_start_from_an_empty_memory() -> None:
    with opened(sequential=False) as data:
        seen = batches(data)
    assert all(batch.is_first[batch.valid[:, 0], 0].all() for batch in seen)
    orders = [[read_clock(batch.image[b, 0, 1].numpy()).step for b in range(3)] for batch in seen[:3]]
    assert len({tuple(order) for order in orders}) > 1


def test_ranks_share_the_episodes() -> None:
    indices = []
    for rank in range(2):
        with opened(num_episodes=6, rank=rank, world_size=2) as data:
            indices.append({e.index for batch in batches(data) for e in batch.finished})
    assert indices == [{0, 2, 4}, {1, 3, 5}]


def test_seeds_differ_between_splits_and_episodes_and_scenes_are_shared_by_interval() -> None:
    splits = ("train", "held_out", "tokenizer")
    requests = [episode_requests(0, split, 5)(index) for split in splits for index in range(200)]
    assert len({r.seed for r in requests}) == len(requests)
    first = episode_requests(0, "train", 5)
    assert [first(i).scene_seed == first(0).scene_seed for i in (1, 4, 5)] == [True, True, False]
    assert first(3) == episode_requests(0, "train", 5)(3)
    assert first(3).seed != episode_requests(1, "train", 5)(3).seed
