from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from env_configs import toy
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.toy_views import CUE_PERIOD, NUM_CUES, read_clock, read_cue

VARIANTS = ("arm", "clock", "cue")
HISTORY = 4


def collect(variant, seed, scene_seed=0, **changes):
    chosen = toy(variant=variant, **changes)
    return collect_episode(registry.make(chosen), registry.spec(chosen), EpisodeRequest(0, seed, scene_seed))


@pytest.mark.parametrize("variant", VARIANTS)
def test_gymnasium_accepts_it(variant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(registry.make(toy(variant=variant)), skip_render_check=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_seeds_give_the_same_episode_whatever_came_before(variant):
    spec, env = registry.spec(toy(variant=variant)), registry.make(toy(variant=variant))
    request = EpisodeRequest(0, seed=11, scene_seed=5)
    fresh = collect_episode(env, spec, request)
    collect_episode(env, spec, EpisodeRequest(1, seed=12, scene_seed=6))
    again = collect_episode(env, spec, request)
    for name in ("image", "state", "action", "reward"):
        assert np.array_equal(getattr(fresh, name), getattr(again, name)), name
    other = collect_episode(env, spec, EpisodeRequest(2, seed=12, scene_seed=5))
    assert not np.array_equal(fresh.state, other.state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_episode_keeps_the_contract(variant):
    episode = collect(variant, seed=1)
    assert len(episode) == 50
    assert episode.image.shape == (51, 2, 3, 64, 64)
    assert (episode.terminated, episode.truncated, episode.info) == (False, True, {"success": 0.0})
    assert np.all(np.abs(episode.state) <= 1)
    assert np.all(episode.state[:, 8:] == 0)
    assert np.all(episode.reward == 0)


def test_observations_may_be_kept():
    env = registry.make(toy(variant="arm"))
    first, _ = env.reset(seed=0)
    kept = first["image"].copy(), first["state"].copy()
    env.step(np.ones(32, dtype=np.float32))
    assert np.array_equal(first["image"], kept[0])
    assert np.array_equal(first["state"], kept[1])


def test_cameras_come_in_the_order_of_the_configuration():
    both, swapped = collect("arm", 2), collect("arm", 2, camera__names=["wrist", "head"])
    assert np.array_equal(both.image[:, 0], swapped.image[:, 1])
    assert np.array_equal(both.image[:, 1], swapped.image[:, 0])
    assert np.array_equal(collect("arm", 2, camera__names=["wrist"]).image[:, 0], both.image[:, 1])


def test_scene_seed_changes_the_table_only():
    one, two = collect("arm", 2, scene_seed=0), collect("arm", 2, scene_seed=1)
    assert np.array_equal(one.state, two.state)
    assert np.abs(one.image.astype(int) - two.image).mean() > 10


def shift(before, after, limit=10):
    """Return the move (right, down) of the window that explains ``after`` best, in whole pixels."""
    core, best = after[:, 20:40, 20:44].astype(int), None
    for down in range(-limit, limit + 1):
        for right in range(-limit, limit + 1):
            error = np.abs(before[:, 20 + down : 40 + down, 20 + right : 44 + right] - core).mean()
            if best is None or error < best[0]:
                best = (error, right, down)
    return best[1:]


def test_the_wrist_view_follows_the_action():
    env = registry.make(toy(variant="arm"))
    for entry, sign, expected in ((0, 1, (5, 0)), (0, -1, (-5, 0)), (1, 1, (0, 5)), (1, -1, (0, -5))):
        before, _ = env.reset(seed=8, options={"scene_seed": 3})
        action = np.zeros(32, dtype=np.float32)
        action[entry] = sign
        after, *_ = env.step(action)
        assert np.abs(np.subtract(shift(before["image"][1], after["image"][1]), expected)).max() <= 1
        assert np.abs(before["image"][0].astype(int) - after["image"][0]).max() > 50, "the head sees the arm move"


def test_the_gripper_is_seen_and_arrives():
    env = registry.make(toy(variant="arm"))
    env.reset(seed=8)
    action = np.zeros(32, dtype=np.float32)
    widths = []
    for command in (1.0, -1.0):
        action[7] = command
        for _ in range(8):
            observation, *_ = env.step(action)
        assert observation["state"][7] == pytest.approx(command, abs=0.02)
        dark = np.flatnonzero(observation["image"][1, :, -1].max(axis=0) < 60)
        widths.append(dark.max() - dark.min())
    assert widths[0] > widths[1] + 10


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_the_clock_tells_step_action_seed_and_camera(resolution):
    episode = collect("clock", seed=70_001, camera__resolution=resolution)
    previous = np.concatenate([np.zeros((1, 32), np.float32), episode.action])
    for step in range(len(episode) + 1):
        for camera, picture in zip(("head", "wrist"), episode.image[step], strict=True):
            reading = read_clock(picture)
            assert (reading.step, reading.seed, reading.camera) == (step, 70_001, camera)
            assert np.abs(reading.action - previous[step]).max() <= 0.5001 / 32767


def test_the_cue_is_shown_first_and_then_only_beyond_the_history():
    for seed in range(8):
        episode = collect("cue", seed)
        shown = np.array([[read_cue(picture) for picture in pictures] for pictures in episode.image])
        cue = shown[0, 0]
        assert cue in range(NUM_CUES)
        for step, both in enumerate(shown):
            assert set(both) == ({cue} if step % CUE_PERIOD == 0 else {-1})
        for step in range(CUE_PERIOD, len(episode) + 1, CUE_PERIOD):
            assert np.all(shown[step - HISTORY : step] == -1)


def test_nothing_but_the_cue_tells_which_cue_comes():
    """A nearest-centroid reader of states and actions must not do better than chance (0.25)."""
    env = registry.make(toy(variant="cue", max_steps=6))
    spec = registry.spec(toy(variant="cue", max_steps=6))
    episodes = [collect_episode(env, spec, EpisodeRequest(seed, seed, 0)) for seed in range(800)]
    features = np.array([np.concatenate([e.state.ravel(), e.action.ravel()]) for e in episodes])
    cues = np.array([read_cue(episode.image[0, 0]) for episode in episodes])
    assert np.bincount(cues, minlength=NUM_CUES).min() > 150
    centroids = np.array([features[:400][cues[:400] == cue].mean(axis=0) for cue in range(NUM_CUES)])
    guesses = ((features[400:, None] - centroids) ** 2).sum(axis=-1).argmin(axis=1)
    assert (guesses == cues[400:]).mean() < 0.33


def test_grey_pictures_look_alike_under_every_cue():
    """Two pictures of one moment differ only where the cue is shown."""
    env = registry.make(toy(variant="cue"))
    env.reset(seed=3)
    state, view = env._state, env._view
    for step, same in ((3, True), (CUE_PERIOD, False)):
        state.step = step
        pictures = np.zeros((NUM_CUES, 3, 64, 64), dtype=np.uint8)
        for state.cue, out in enumerate(pictures):
            view.draw("wrist", state, out)
        assert np.all(pictures == pictures[0]) == same


def test_reading_a_blurred_cue():
    episode = collect("cue", seed=1)
    noise = np.random.default_rng(0).normal(0, 30, size=(3, 64, 64))
    noisy = np.clip(episode.image[0, 1] + noise, 0, 255).astype(np.uint8)
    assert read_cue(noisy) == read_cue(episode.image[0, 1])
