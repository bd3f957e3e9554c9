"""The process form against real processes that are killed, stopped, hang, crash and forget."""

from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest

from env_configs import toy
from f1rl_envs import registry
from f1rl_envs.errors import EnvError, WorkerError
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector import ProcessVectorEnv
from f1rl_envs.vector.process import share
from processes import is_running, open_descriptors, wait_for

TOY = toy(camera__resolution=32, max_steps=12)


def misbehaving(name, **keys):
    return TOY | {"id": f"misbehaving:{name}"} | keys


def opened(config=TOY, num_envs=5, num_workers=2, **changes):
    settings = {"start_timeout": 60.0, "step_timeout": 30.0, "max_restarts": 3, "log_dir": None}
    return ProcessVectorEnv(config, num_envs, num_workers, **(settings | changes))


def requests(number, first=0):
    return [EpisodeRequest(first + k, seed=100 + first + k, scene_seed=(first + k) // 2) for k in range(number)]


def actions(steps, number, seed=0):
    return np.random.default_rng(seed).uniform(-0.8, 0.8, (steps, number, 32)).astype(np.float32)


def play_alone(request, played, config=TOY):
    """Return the images and states of an episode in this process."""
    env = registry.make(config)
    seen = [env.reset(seed=request.seed, options={"scene_seed": request.scene_seed})[0]]
    seen += [env.step(action)[0] for action in played]
    return np.stack([o["image"] for o in seen]), np.stack([o["state"] for o in seen])


def play(env, asked, played, at_step=lambda step: None):
    """Return the images, states and infos of one episode in every scene."""
    seen, infos = [{key: value.copy() for key, value in env.reset(asked)[0].items()}], []
    for step, action in enumerate(played):
        at_step(step)
        observation, *_, info = env.step(action)
        seen.append({key: value.copy() for key, value in observation.items()})
        infos.append(info)
    return np.stack([o["image"] for o in seen], 1), np.stack([o["state"] for o in seen], 1), infos


def assert_played_alone(images, states, asked, played, config=TOY):
    for scene, request in enumerate(asked):
        image, state = play_alone(request, played[:, scene], config)
        assert np.array_equal(images[scene], image), scene
        assert np.array_equal(states[scene], state), scene


@pytest.mark.parametrize(("num_scenes", "num_workers"), [(1, 1), (5, 2), (7, 3), (4, 4)])
def test_every_scene_has_one_worker(num_scenes, num_workers):
    rows = share(num_scenes, num_workers)
    assert [row for part in rows for row in part] == list(range(num_scenes))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
    assert min(map(len, rows)) >= 1


@pytest.mark.parametrize("num_workers", [1, 2])
def test_each_scene_plays_what_was_requested_for_it(num_workers):
    asked, played = requests(5), actions(12, 5)
    with opened(num_workers=num_workers) as env:
        images, states, _ = play(env, asked, played)
        assert env.requests == asked
        assert env.finished.all()
        again = play(env, asked, played)
    assert_played_alone(images, states, asked, played)
    assert np.array_equal(images, again[0])


def test_spaces_and_shapes_are_gymnasiums():
    with opened(num_envs=3) as env:
        observation, _ = env.reset(seed=4)
        assert env.observation_space.contains(observation)
        assert env.action_space.contains(actions(1, 3)[0])
        assert [request.seed for request in env.requests] == [4, 5, 6]
        _, reward, terminated, truncated, _ = env.step(actions(1, 3)[0])
        assert [a.dtype for a in (reward, terminated, truncated)] == [np.float32, np.bool_, np.bool_]
        assert [a.shape for a in (reward, terminated, truncated)] == [(3,)] * 3
        env.reset(options={"reset_mask": np.array([False, True, False])})
        assert [request.index for request in env.requests] == [0, 3, 2]


def test_the_last_observation_comes_before_the_next_episode():
    asked, played = requests(2), actions(12, 2)
    with opened(num_envs=2) as env:
        env.reset(asked)
        for action in played:
            last, _, terminated, truncated, _ = env.step(action)
        assert (terminated.tolist(), truncated.tolist()) == ([False, False], [True, True])
        with pytest.raises(EnvError, match=r"scenes \[0, 1\] have no episode under way; reset\(\) them"):
            env.step(played[0])
        first, _ = env.reset([None, requests(1, first=9)[0]])
        for scene in (0, 1):
            assert np.array_equal(last["image"][scene], play_alone(asked[scene], played[:, scene])[0][-1])
        assert np.array_equal(first["image"][0], last["image"][0]), "a scene that is left alone looks as it did"
        assert np.array_equal(first["image"][1], play_alone(requests(1, first=9)[0], [])[0][0])
        assert env.finished.tolist() == [True, False]


def test_an_observation_outlives_the_next_one_and_is_not_copied():
    played = actions(3, 4)
    with opened(num_envs=4) as env:
        seen = [env.reset(requests(4))[0]["image"]]
        kept = [seen[0].copy()]
        for action in played:
            seen.append(env.step(action)[0]["image"])
            kept.append(seen[-1].copy())
            assert np.array_equal(seen[-2], kept[-2])
        assert np.shares_memory(seen[0], seen[2])
        assert not np.shares_memory(seen[0], seen[1])
    assert np.array_equal(seen[-1], kept[-1]), "what the caller has stays after the end"


def test_scenes_that_end_early_start_again_alone():
    asked, played = requests(4), actions(6, 4)
    played[2, 1, 0] = 1.0
    with opened(misbehaving("scored"), num_envs=4) as env:
        env.reset(asked)
        for action in played[:3]:
            _, reward, terminated, truncated, infos = env.step(action)
        assert np.array_equal(reward, played[2, :, 0])
        assert (terminated.tolist(), truncated.tolist()) == ([False, True, False, False], [False] * 4)
        episode = infos["episode"]
        assert infos["_episode"].tolist() == [False, True, False, False]
        assert (episode["length"][1], episode["success"][1]) == (3, 1.0)
        np.testing.assert_allclose(episode["return"][1], played[:3, 1, 0].sum(), rtol=1e-6)
        np.testing.assert_allclose(episode["contacts"][1], played[2, 1, 1])
        np.testing.assert_allclose(episode["contacts_mean"][1], played[:3, 1, 1].mean(), rtol=1e-6)
        assert infos["ee_voxel"].tolist() == [[7, 3]] * 4
        assert "ee_voxel" not in episode
        env.reset([None, requests(1, first=7)[0], None, None])
        for action in played[3:]:
            observation, *_, infos = env.step(action)
        assert "episode" not in infos
        assert np.array_equal(observation["image"][0], play_alone(asked[0], played[:, 0])[0][-1])
        assert np.array_equal(observation["image"][1], play_alone(requests(1, first=7)[0], played[3:, 1])[0][-1])


def test_a_killed_worker_is_replaced_and_its_scenes_go_on_bit_for_bit(caplog):
    asked, played = requests(5), actions(12, 5)
    pids = []

    with opened() as env:

        def kill_some(step):
            if step in (4, 9):
                pids.append([worker["pid"] for worker in env.pool.status()])
                os.kill(pids[-1][0], signal.SIGKILL)

        images, states, infos = play(env, asked, played, kill_some)
        assert env.pool.restarts == 2
        after = [worker["pid"] for worker in env.pool.status()]
    assert after[1] == pids[0][1], "the other worker goes on"
    assert after[0] not in (pids[0][0], pids[1][0])
    assert infos[3]["replays"].tolist() == [0] * 5
    assert infos[-1]["replays"].tolist() == [2, 2, 2, 0, 0]
    assert not any(info["lost"].any() for info in infos)
    assert_played_alone(images, states, asked, played)
    assert "worker 0 was killed by SIGKILL" in caplog.text


@pytest.mark.parametrize("name", ["raises", "exits", "hangs"])
def test_a_fault_in_a_step_costs_one_restart(tmp_path, name):
    asked, played = requests(4), actions(12, 4)
    config = misbehaving(name, once=str(tmp_path / "done"), seed=102)
    with opened(config, num_envs=4, step_timeout=1.0) as env:
        images, states, _ = play(env, asked, played)
        assert env.pool.restarts == 1
    assert_played_alone(images, states, asked, played)


def test_a_worker_that_dies_over_a_reset_or_afterwards_brings_back_only_what_runs():
    asked, played = requests(4), actions(12, 4)
    with opened(num_envs=4) as env:
        images, _, _ = play(env, asked, played)
        os.kill(env.pool.status()[1]["pid"], signal.SIGKILL)
        observation, _ = env.reset([None, None, requests(1, first=9)[0], None])
        assert np.array_equal(observation["image"][3], images[3, -1])
        env.reset([*requests(2, first=20), None, requests(1, first=22)[0]])
        *_, infos = env.step(played[0])
        assert env.pool.restarts == 1
        assert infos["replays"].tolist() == [0, 0, 0, 0]


def test_what_does_not_come_back_the_same_is_reported_as_lost():
    played = actions(6, 4)
    with opened(misbehaving("forgetful"), num_envs=4) as env:
        env.reset(requests(4))
        before = env.step(played[0])[0]["image"]
        os.kill(env.pool.status()[1]["pid"], signal.SIGKILL)
        observation, _, terminated, truncated, infos = env.step(played[1])
        assert infos["lost"].tolist() == truncated.tolist() == [False, False, True, True]
        assert not terminated.any()
        assert np.array_equal(observation["image"][2:], before[2:])
        env.reset([None, None, *requests(2, first=8)])
        *_, infos = env.step(played[2])
        assert not infos["lost"].any()


def test_restarts_that_are_used_up_end_in_one_error_that_tells_all(tmp_path):
    env = opened(misbehaving("raises"), num_envs=3, max_restarts=1, log_dir=tmp_path)
    processes = [worker["pid"] for worker in env.pool.status()]
    with pytest.raises(
        WorkerError,
        match=r"(?s)worker \d exited with code 1 in stage 'step', step 4 of episode .*"
        r"all of max_restarts=1 restarts are used up.*KeyError: 'the drawer is stuck'",
    ):
        play(env, requests(3), actions(12, 3))
    assert not any(map(is_running, processes))
    with pytest.raises(EnvError, match="closed"):
        env.reset(requests(3))


def test_what_cannot_be_built_is_not_tried_again():
    with (
        opened(misbehaving("unbuildable"), num_envs=2) as env,
        pytest.raises(WorkerError, match=r"(?s)could not build .*the table has no legs"),
    ):
        env.reset(requests(2))
    assert env.pool.restarts == 0


def test_send_and_receive_leave_time_in_between():
    asked, played = requests(4), actions(12, 4)
    with opened(num_envs=2, num_workers=1) as left, opened(num_envs=2, num_workers=1) as right:
        left.reset(asked[:2])
        right.reset(asked[2:])
        for action in played:
            left.send(action[:2])
            right.send(action[2:])
            seen = np.concatenate([left.receive()[0]["state"], right.receive()[0]["state"]])
        for scene, request in enumerate(asked):
            assert np.array_equal(seen[scene], play_alone(request, played[:, scene])[1][-1])


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="num_workers is 3 and num_envs is 2"):
        opened(num_envs=2, num_workers=3)
    with pytest.raises(EnvError, match=r"need \d+ MiB of memory but only .*lower num_envs"):
        opened(toy(camera__resolution=512), num_envs=10**6)
    with opened(num_envs=2) as env:
        with pytest.raises(EnvError, match=r"scenes \[0, 1\] have no episode"):
            env.step(actions(1, 2)[0])
        with pytest.raises(ValueError, match="got 1 requests"):
            env.reset(requests(1))
        with pytest.raises(ValueError, match="0 of them for an episode"):
            env.reset([None, None])
        env.reset(requests(2))
        with pytest.raises(ValueError, match=r"shape \(2, 8\); they must be \(2, 32\)"):
            env.step(np.zeros((2, 8), np.float32))
        with pytest.raises(ValueError, match=r"actions of scenes \[1\] are not finite"):
            env.step(np.array([np.zeros(32), np.full(32, np.nan)]))
        with pytest.raises(EnvError, match=r"receive\(\) was called before send\(\)"):
            env.receive()
        env.send(actions(1, 2)[0])
        with pytest.raises(EnvError, match=r"a step is under way; call receive\(\) first"):
            env.reset(requests(2))
        env.receive()


def test_close_leaves_no_process_no_memory_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files, descriptors = set(os.listdir("/dev/shm")), open_descriptors()
    env = opened(misbehaving("slow", sleep=0.05))
    env.reset(requests(5))
    env.send(actions(1, 5)[0])
    processes = [worker["pid"] for worker in env.pool.status()]
    env.close()
    env.close()
    del env
    assert not any(map(is_running, processes))
    assert psutil.Process().children(recursive=True) == []
    assert set(os.listdir("/dev/shm")) == files
    assert open_descriptors() == descriptors
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("f1rl_workers")] == []


def test_a_stopped_worker_is_replaced_at_its_deadline(caplog):
    asked, played = requests(4), actions(12, 4)
    with opened(num_envs=4, step_timeout=0.6) as env:

        def stop(step):
            if step == 6:
                wait_for(lambda: env.pool.status()[1]["stage"] == "idle")
                os.kill(env.pool.status()[1]["pid"], signal.SIGSTOP)

        images, states, _ = play(env, asked, played, stop)
        assert env.pool.restarts == 1
    assert_played_alone(images, states, asked, played)
    assert "step_timeout is 0.6 s" in caplog.text
