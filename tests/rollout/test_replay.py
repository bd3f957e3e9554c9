"""What a world model learns from while an explorer goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from f1rl.rollout.replay import ReplayBuffer, ReplayMix
from f1rl.rollout.source import TokenizedEpisode
from f1rl_envs.spec import Episode, EpisodeRequest

MIX = ReplayMix(buffer_size=6, fresh_fraction=0.5, random_fraction=0.25, streams=2, seed=3)


def episode(number: int) -> TokenizedEpisode:
    image = np.full((3, 2, 3, 4, 4), number % 256, np.uint8)
    arrays = (image, np.zeros((3, 32), np.float32), np.zeros((2, 32), np.float32), np.zeros(2, np.float32))
    whole = Episode(
        EpisodeRequest(number, number, 0), *arrays, terminated=False, truncated=True, info={"contacts": 1.0}
    )
    return TokenizedEpisode(whole, np.full((3, 4), number, np.int16))


def episodes(*numbers: int) -> list[TokenizedEpisode]:
    return [episode(number) for number in numbers]


@pytest.fixture
def buffer() -> ReplayBuffer:
    """Six episodes of an explorer, the newest two of them fresh, and two random ones."""
    buffer = ReplayBuffer(MIX)
    buffer.add_random(episodes(100, 101))
    buffer.add(episodes(0, 1, 2, 3, 4))
    buffer.add(episodes(5, 6))
    return buffer


def test_shares_are_as_asked_for(buffer: ReplayBuffer) -> None:
    drawn = [buffer.get(index).index for index in range(4000)]
    counts = Counter("random" if n >= 100 else "fresh" if n >= 5 else "old" for n in drawn)
    assert counts["random"] / 4000 == pytest.approx(0.25, abs=0.03)
    # The rest comes from all that are kept.
    assert counts["fresh"] / 4000 == pytest.approx(0.5 + 0.25 * 2 / 6, abs=0.03)
    assert 0 not in drawn  # the oldest made room


def test_an_episode_in_the_middle_of_a_stream_stays(buffer: ReplayBuffer) -> None:
    playing = {row: buffer.get(row) for row in range(2)}
    buffer.add(episodes(*range(10, 16)))
    assert all(buffer.get(row) is playing[row] for row in range(2))
    assert buffer.get(2).index in {*range(10, 16), 100, 101}


def test_a_copy_from_a_checkpoint_goes_on_alike(buffer: ReplayBuffer, tmp_path) -> None:
    for row in range(2):
        buffer.get(row)
    buffer.add(episodes(*range(10, 16)))
    torch.save(buffer.state_dict(), tmp_path / "state.pt")
    copy = ReplayBuffer(MIX)
    copy.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for index in range(50):
        first, second = buffer.get(index), copy.get(index)
        assert first.episode.request == second.episode.request
        np.testing.assert_array_equal(first.episode.image, second.episode.image)
        np.testing.assert_array_equal(first.tokens, second.tokens)
        assert second.episode.info == {"contacts": 1.0}


def test_nothing_to_draw_from_is_said() -> None:
    with pytest.raises(ValueError, match="the replay buffer is empty"):
        ReplayBuffer(MIX).get(0)
    only_random = ReplayBuffer(replace(MIX, fresh_fraction=0.0, random_fraction=1.0))
    only_random.add_random(episodes(7))
    assert only_random.get(0).index == 7
