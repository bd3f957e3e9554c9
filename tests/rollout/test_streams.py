"""Episodes played by a policy: the same histories as those cut out of finished episodes, and nothing mixed up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from env_configs import toy
from f1rl.errors import EnvironmentFailure
from f1rl.models.interface import WorldModelInputs
from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.histories import Histories
from f1rl.rollout.source import TokenizedEpisode
from f1rl.rollout.streams import EpisodeStreams, Sight
from f1rl.rollout.windows import write_steps
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.toy_views import read_clock
from f1rl_envs.vector.process import ProcessVectorEnv

STEPS, N_OBS, LENGTH = 7, 3, 4
CLOCK = toy(variant="clock", max_steps=STEPS)


def encode(frames: np.ndarray) -> np.ndarray:
    """Four numbers that tell frames apart."""
    flat = frames.reshape(len(frames), LENGTH, -1).astype(np.int64)
    return (flat.sum(-1) % 251).astype(np.int16)


def requests(*numbers: int) -> list[EpisodeRequest]:
    return [EpisodeRequest(n, seed=100 + n, scene_seed=n) for n in numbers]


@pytest.mark.parametrize("stride", [1, 2])
def test_histories_equal_those_of_finished_episodes(stride: int) -> None:
    episode = collect_episode(registry.make(CLOCK), registry.spec(CLOCK), requests(0)[0])
    tokens = encode(episode.image[:, 1])
    batch = WindowBatch.allocate(
        batch=1, window=STEPS, image_shape=episode.image.shape[1:], n_obs=N_OBS, num_tokens=LENGTH,
        action_dim=32, state_dim=32,
    )  # fmt: skip
    write_steps(batch, 0, 0, TokenizedEpisode(episode, tokens), 0, STEPS, stride)

    histories = Histories(2, N_OBS, stride, LENGTH, 32)
    row, codes = torch.tensor([1]), torch.from_numpy(tokens).long()
    histories.begin(row, codes[:1])
    for t in range(STEPS):
        action = torch.from_numpy(np.stack([np.full(32, 9.0, np.float32), episode.action[t]]))
        assert torch.equal(histories.tokens[1], batch.token_history[0, t])
        assert torch.equal(histories.prev_action[1], batch.prev_action[0, t])
        assert histories.is_first[1] == batch.is_first[0, t]
        histories.append(action, codes[[t + 1, t + 1]])
        assert torch.equal(histories.actions[1], batch.action_history[0, t])


@pytest.fixture(scope="module")
def env():
    with ProcessVectorEnv(CLOCK, 3, 2, start_timeout=60, step_timeout=20, max_restarts=2, log_dir=None) as built:
        yield built


@pytest.fixture
def streams(env) -> EpisodeStreams:
    return EpisodeStreams(env, encode, camera=1, n_obs=N_OBS, stride=1, num_tokens=LENGTH)


def play(
    streams: EpisodeStreams, asked: list[EpisodeRequest], every: int = 1
) -> tuple[dict[int, TokenizedEpisode], int, list[Sight]]:
    """Play ``asked`` with actions that tell scene and step; look when an episode ends, and after ``every`` few steps.

    Returns:
        The episodes, the number of steps, and what was shown.
    """
    found, steps, shown = {}, 0, []
    streams.begin(asked)
    while streams.active.any():
        action = torch.zeros(3, 32)
        action[:, 0] = torch.linspace(-1, 1, 3)
        action[:, 1] = steps / 20
        outcome = streams.step(action)
        steps += 1
        if outcome.ended or steps % every == 0:
            shown.append(streams.look())
            assert torch.equal(streams.inputs().token_history[:, 0, -1], shown[-1].tokens)
            assert outcome.ended == list(shown[-1].finished)
            for scene, episode in shown[-1].finished.items():
                assert outcome.truncated[scene]
                assert not streams.active[scene]
                found[episode.index] = episode
            streams.refill()
    return found, steps, shown


def test_every_episode_of_the_queue_is_played_once_whatever_the_number_of_scenes(streams) -> None:
    found, steps, _ = play(streams, requests(*range(5)))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert steps == 2 * STEPS  # three scenes, five episodes
    for number, episode in found.items():
        assert len(episode) == STEPS
        assert episode.episode.request == requests(number)[0]
        assert episode.episode.truncated
        assert np.array_equal(episode.tokens, encode(episode.episode.image[:, 1]))
        for t in range(STEPS + 1):  # each frame tells its own step and the action that led to it
            assert read_clock(episode.episode.image[t, 1]).step == t


def test_the_last_frame_of_an_episode_is_its_own(streams) -> None:
    streams.begin(requests(10, 11, 12, 13))
    for _ in range(STEPS):
        outcome = streams.step(torch.zeros(3, 32))
    assert outcome.ended == [0, 1, 2]
    with pytest.raises(RuntimeError, match=r"only after look\(\)"):
        streams.refill()
    last = streams.look().window
    assert last.is_first.shape == (3, STEPS)
    for images in last.image:
        assert [read_clock(image[1].numpy()).step for image in images] == list(range(1, STEPS + 1))
    assert not last.is_first.any()
    assert streams.refill().tolist() == [True, False, False]
    first = streams.inputs()
    assert first.is_first[0]
    assert read_clock(first.image[0, 0, 1].numpy()).step == 0
    assert (first.prev_action[0] == 0).all()


def test_an_episode_does_not_depend_on_its_scene_or_its_neighbours(streams) -> None:
    alone, *_ = play(streams, requests(2))
    again, *_ = play(streams, requests(2, 7))
    assert np.array_equal(alone[2].episode.image, again[2].episode.image)


def test_a_scene_that_cannot_be_brought_back_ends_the_rollout(streams, env, monkeypatch) -> None:
    """The made-up transition of a lost scene is never shown, recorded or paid for."""
    streams.begin(requests(20, 21))  # the third scene is idle
    step = env.step

    def losing(scene):
        def stepped(actions):
            *rest, infos = step(actions)
            return *rest, {**infos, "lost": np.arange(3) == scene}

        return stepped

    monkeypatch.setattr(env, "step", losing(2))
    streams.step(torch.zeros(3, 32))
    monkeypatch.setattr(env, "step", losing(1))
    with pytest.raises(EnvironmentFailure, match=r"simulated episode 21 died.*resume=auto"):
        streams.step(torch.zeros(3, 32))


def test_looking_seldom_shows_the_same(streams) -> None:
    """Five episodes in three scenes: the second round leaves a scene idle."""
    often, steps, each = play(streams, requests(*range(5)))
    seldom, same_steps, some = play(streams, requests(*range(5)), every=3)
    assert steps == same_steps
    assert len(some) < len(each)
    for number, episode in often.items():
        assert np.array_equal(episode.tokens, seldom[number].tokens)
        assert np.array_equal(episode.episode.image, seldom[number].episode.image)
        assert np.array_equal(episode.episode.action, seldom[number].episode.action)
    one, other = (WorldModelInputs.joined([sight.window for sight in shown]) for shown in (each, some))
    for name in ("image", "state", "prev_action", "token_history", "is_first"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    ends = np.cumsum([sight.window.is_first.shape[1] for sight in some]) - 1
    for end, sight in zip(ends, some, strict=True):
        assert torch.equal(sight.action_history, each[end].action_history)
        assert torch.equal(sight.tokens, each[end].tokens)
