"""The environment on the real simulator with the software renderer."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from env_configs import changed, simulator
from f1rl_envs.sim import make
from f1rl_envs.sim.embodiments import ARMS
from f1rl_envs.sim.spec import spec

pytestmark = pytest.mark.sim

CONFIG = simulator(camera__resolution=32)


@pytest.fixture(scope="module")
def env():
    built = make(CONFIG)
    yield built
    built.close()


@pytest.fixture(scope="module")
def rough():
    """An environment whose arm goes far enough, with enough objects in its way, to hit things."""
    built = make(changed(CONFIG, control__action_scale=1.0, randomization__num_objects=[6, 6]))
    yield built
    built.close()


def state_of(env):
    """Return everything that moves: joints, their velocities, the objects' poses."""
    robot = env.base.agent.robot
    objects = [actor.pose.raw_pose.numpy()[0] for actor in env.base.objects]
    return np.concatenate([robot.qpos.numpy()[0], robot.qvel.numpy()[0], *objects])


def play(env, seed, scene_seed=7, steps=50, rebuild=False):
    """Return the states and pictures of an episode that reaches down to the objects."""
    observation, _ = env.reset(seed=seed, options={"scene_seed": scene_seed, "rebuild": rebuild})
    rng = np.random.default_rng(seed)
    bias = np.array([*rng.uniform(-0.3, 0.3, 7), 0.0])
    bias[[1, 3]] = 0.5, -0.1
    states, images = [state_of(env)], [observation["image"]]
    action = np.zeros(32, np.float32)
    for _ in range(steps):
        action[:8] = 0.6 * rng.uniform(-1, 1, 8) + bias
        observation = env.step(action)[0]
        states.append(state_of(env))
        images.append(observation["image"])
    return np.array(states), np.array(images)


def test_gymnasium_check_passes_without_a_warning(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_spaces_agree_with_the_spec(env):
    known = spec(CONFIG)
    assert env.observation_space["image"].shape == known.image_shape
    assert env.observation_space["state"].shape == (32,)
    assert env.action_space.shape == (32,)
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert not observation["state"][~np.array(known.state_mask)].any()
    assert observation["state"][np.array(known.state_mask)].any()
    assert info["seed"] == 3
    config = simulator(camera__names=["wrist"], camera__resolution=48)
    one = make(config)
    assert one.reset(seed=3)[0]["image"].shape == spec(config).image_shape
    one.close()


def test_200_random_steps_without_warning_or_explosion(env):
    env.action_space.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(4):
            env.reset(seed=seed)
            for step in range(50):
                observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
                assert env.observation_space.contains(observation)
                assert (reward, terminated, info["success"]) == (0.0, False, False)
                assert truncated == (step == 49)
                velocity = env.base.agent.robot.qvel.abs()
                assert velocity[0, :7].max() < 3.0  # faster than any command: 0.03 rad in 50 ms is 0.6 rad/s


def test_no_self_collision_explosion_under_large_actions(rough):
    """Walk into the joint limits: the arm folds onto itself and stays finite, inside its limits and slow."""
    rng = np.random.default_rng(0)
    for seed in range(3):
        rough.reset(seed=seed, options={"scene_seed": 7})
        direction = np.sign(rng.uniform(-1, 1, 32)).astype(np.float32)
        for _ in range(60):
            state = rough.step(direction)[0]["state"]
            assert np.abs(state).max() < 1.05
            assert rough.base.agent.robot.qvel.abs().max() < 10.0


def test_objects_stay_where_they_start(env):
    for seed in range(5):
        env.reset(seed=seed)
        before = state_of(env)[18:].reshape(-1, 7)
        for _ in range(20):
            env.step(np.zeros(32, np.float32))
        moved = state_of(env)[18:].reshape(-1, 7) - before
        assert np.abs(moved[:, :3]).max() < 1e-3
        assert np.abs(moved[:, 3:]).max() < 1e-2


def test_an_action_moves_its_joint_and_nothing_else(env):
    for joint in range(7):
        env.reset(seed=joint, options={"scene_seed": 7})
        before = state_of(env)[:9]
        action = np.zeros(32, np.float32)
        action[joint], action[7], action[8:] = 1.0, 1.0, 1.0
        env.step(action)
        for _ in range(20):
            env.step(np.where(np.arange(32) == 7, 1.0, 0.0).astype(np.float32))
        moved = state_of(env)[:9] - before
        np.testing.assert_allclose(moved[joint], 0.03, atol=1e-3)
        assert np.abs(np.delete(moved, joint)).max() < 1e-3


def test_gripper_is_absolute_and_not_scaled(env):
    env.reset(seed=0, options={"scene_seed": 7})
    action = np.zeros(32, np.float32)
    for command, opening in ((-1.0, 0.0), (1.0, 0.04), (0.0, 0.02)):
        action[7] = command
        for _ in range(20):
            state = env.step(action)[0]["state"]
        np.testing.assert_allclose(state_of(env)[7:9], opening, atol=1e-3)
        np.testing.assert_allclose(state[7], command, atol=0.05)


def test_targets_are_tracked_without_overshoot(env):
    """Stated bounds: lag under random targets, error and overshoot after a step, in radians."""
    rng = np.random.default_rng(0)
    action = np.zeros(32, np.float32)
    lags = []
    for seed in range(3):
        env.reset(seed=seed, options={"scene_seed": 7})
        for _ in range(50):
            action[:7] = rng.uniform(-1, 1, 7)
            env.step(action)
            lags.append(np.abs(env.control.arms[0].target - state_of(env)[:7]))
    assert np.mean(lags) < 0.01
    assert np.max(lags) < 0.03
    env.reset(seed=0, options={"scene_seed": 7})
    start = state_of(env)[:7]
    action[:7] = [1, -1, 1, -1, 1, -1, 1]
    env.step(action)
    travelled = []
    for _ in range(20):
        env.step(np.zeros(32, np.float32))
        travelled.append((state_of(env)[:7] - start) * action[:7] / 0.03)
    assert np.max(travelled) < 1.08
    assert np.mean(travelled[0]) > 0.8  # a step after the one that was commanded
    np.testing.assert_allclose(travelled[-1], 1.0, atol=0.03)


def test_targets_respect_limits_and_do_not_wind_up(env):
    upper = ARMS["franka"].limits[6][1]
    env.reset(seed=0, options={"scene_seed": 7})
    action = np.zeros(32, np.float32)
    action[6] = 1.0
    for _ in range(100):
        env.step(action)
    assert env.control.arms[0].target[6] <= upper + 1e-6
    action[6] = -1.0
    env.step(action)
    assert env.control.arms[0].target[6] < upper - 0.02  # it turns back at once


def test_both_cameras_see_the_motion_of_the_wrist(env):
    env.reset(seed=0, options={"scene_seed": 7})
    action = np.zeros(32, np.float32)
    before = env.step(action)[0]["image"].astype(float)
    action[6] = 1.0
    for _ in range(5):
        after = env.step(action)[0]["image"].astype(float)
    changed = (np.abs(after - before).max(axis=1) > 8).mean(axis=(1, 2))
    wrist, head = env.env_spec.camera_index("wrist"), env.env_spec.camera_index("head")
    assert changed[wrist] > 0.2
    assert changed[head] > 0.002


def test_pictures_are_neither_dark_nor_blown_out(env):
    for seed in range(6):
        image = env.reset(seed=seed)[0]["image"]
        for picture in image:
            assert 30 < picture.mean() < 220
            assert picture.std() > 10
            assert ((picture == 255).all(axis=0)).mean() < 0.2


def test_not_a_number_is_refused_and_changes_nothing(env):
    env.reset(seed=0, options={"scene_seed": 7})
    before = state_of(env)
    bad = np.zeros(32, np.float32)
    bad[2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        env.step(bad)
    np.testing.assert_array_equal(state_of(env), before)
    assert np.isfinite(env.step(np.zeros(32, np.float32))[0]["state"]).all()


def test_observations_are_copies_unless_asked_otherwise(env):
    first = env.reset(seed=0)[0]
    kept = copy.deepcopy(first)
    second = env.step(np.ones(32, np.float32))[0]
    np.testing.assert_array_equal(first["image"], kept["image"])
    assert not np.shares_memory(first["image"], second["image"])
    env.copy_observations = False
    try:
        third = env.step(np.ones(32, np.float32))[0]
        fourth = env.step(-np.ones(32, np.float32))[0]
        assert third["image"] is fourth["image"]
        assert third["state"] is fourth["state"]
    finally:
        env.copy_observations = True


def test_scene_is_rebuilt_only_when_its_seed_changes(env):
    assert env.reset(seed=0, options={"scene_seed": 11})[1]["rebuilt"]
    built = env.base.scene
    info = env.reset(seed=1, options={"scene_seed": 11})[1]
    assert not info["rebuilt"]
    assert env.base.scene is built
    assert env.reset()[1]["scene_seed"] == 11
    assert env.reset(seed=1, options={"scene_seed": 12})[1]["rebuilt"]
    assert env.base.scene is not built
    derived = env.reset(seed=5)[1]["scene_seed"]
    env.reset(seed=6)
    assert env.reset(seed=5)[1]["scene_seed"] == derived


def test_an_episode_is_the_same_whatever_came_before(rough):
    """Fresh scene, reused scene, after another scene, after episodes cut short: the same bits, contacts included."""
    touched = 0
    for seed in range(4):
        states, images = play(rough, seed, rebuild=True)
        touched += np.abs(states[-1, 18:] - states[0, 18:]).max() > 0.01
        play(rough, seed + 100, steps=13 + seed)
        for before in (lambda: None, lambda seed=seed: play(rough, seed + 200, scene_seed=8, steps=5)):
            before()
            again = play(rough, seed)
            np.testing.assert_array_equal(again[0], states)
            np.testing.assert_array_equal(again[1], images)
    assert touched >= 2  # otherwise this test says nothing about contacts


def test_a_larger_picture_is_the_same_on_a_used_scene(env):
    pictures = []
    for seed, rebuild in ((0, True), (1, False), (0, False)):
        env.reset(seed=seed, options={"scene_seed": 7, "rebuild": rebuild})
        pictures.append(env.render())
    np.testing.assert_array_equal(pictures[2], pictures[0])
    assert (pictures[1] != pictures[0]).any()


def test_a_reset_leaves_what_is_drawn_in_the_renderer(env):
    """Each shape is given a new number when it enters the renderer, which then sets itself up anew."""

    def numbers():
        bodies = env.base.scene.sub_scenes[0].render_system.render_bodies
        return {shape.per_scene_id for body in bodies for shape in body.render_shapes}

    env.reset(seed=0, options={"scene_seed": 7})
    env.reset(seed=1, options={"scene_seed": 7})
    before = numbers()
    assert len(before) > 15
    env.reset(seed=2, options={"scene_seed": 7})
    assert numbers() == before


_IN_ANOTHER_PROCESS = """
import sys, json, hashlib
sys.path.insert(0, sys.argv[2])
import importlib.util
s = importlib.util.spec_from_file_location("t", sys.argv[1]); t = importlib.util.module_from_spec(s)
s.loader.exec_module(t)
env = t.make(t.changed(t.CONFIG, control__action_scale=1.0))
t.play(env, 55, scene_seed=3, steps=3)
states, images = t.play(env, 1, scene_seed=9)
print(json.dumps([hashlib.sha256(x.tobytes()).hexdigest() for x in (states, images)]))
"""


def test_an_episode_is_the_same_in_another_process():
    env = make(changed(CONFIG, control__action_scale=1.0))
    here = [hashlib.sha256(x.tobytes()).hexdigest() for x in play(env, 1, scene_seed=9)]
    env.close()
    command = [sys.executable, "-c", _IN_ANOTHER_PROCESS, __file__, sys.path[0]]
    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    assert json.loads(there) == here


def test_random_appearance_colours_the_robot_and_leaves_no_trace():
    plain = make(CONFIG)
    expected = plain.reset(seed=2, options={"scene_seed": 4})[0]["image"]
    colourful = make(changed(CONFIG, randomization__random_appearance=True))
    coloured = colourful.reset(seed=2, options={"scene_seed": 4})[0]["image"]
    colourful.close()
    assert (np.abs(coloured.astype(int) - expected).max(axis=(1, 2, 3)) > 20).all()
    again = plain.reset(seed=2, options={"scene_seed": 4, "rebuild": True})[0]["image"]
    plain.close()
    np.testing.assert_array_equal(again, expected)


def test_memory_does_not_grow(env):
    def rss_mb():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 2**20

    def rounds(count):
        for k in range(count):
            env.reset(seed=k, options={"scene_seed": k})
            for _ in range(5):
                env.reset(seed=k, options={"scene_seed": k})
            env.step(np.zeros(32, np.float32))

    rounds(8)
    before = rss_mb()
    rounds(25)
    assert rss_mb() - before < 8


def test_shaders_are_compiled_once_per_process(env):
    """The software renderer's machine code (nameless executable memory) stays as the first scene left it."""
    if env.renderer.backend != "cpu":
        pytest.skip("a GPU's driver keeps its machine code on the GPU")

    def machine_code():
        with open("/proc/self/maps") as file:
            lines = [line.split() for line in file]
        return sum(len(fields) == 5 and "x" in fields[1] for fields in lines)

    env.reset(seed=0, options={"scene_seed": 21})
    compiled = machine_code()
    assert compiled > 10
    for scene_seed in range(22, 25):
        env.reset(seed=0, options={"scene_seed": scene_seed})
    second = make(CONFIG)
    second.reset(seed=0, options={"scene_seed": 21})
    second.close()
    assert machine_code() == compiled


# ---------------------------------------------------------------------------------------- the ManiSkill form
@pytest.fixture(scope="module")
def maniskill():
    built = gymnasium.make("F1RL-RandomExploration-v1", obs_mode="state", resolution=32, render_mode="rgb_array")
    yield built
    built.close()


@pytest.mark.parametrize(
    "obs_mode", ["state_dict", "rgb", "rgb+depth+segmentation", "sensor_data", "pointcloud", "none"]
)
def test_maniskill_observation_modes(env, obs_mode):
    built = gymnasium.make("F1RL-RandomExploration-v1", obs_mode=obs_mode, resolution=32)
    observation, _ = built.reset(seed=0)
    built.action_space.seed(0)
    for _ in range(5):
        observation, reward, terminated, truncated, info = built.step(built.action_space.sample())
    assert reward.shape == terminated.shape == truncated.shape == info["success"].shape == (1,)
    if obs_mode == "rgb":
        assert observation["sensor_data"]["wrist"]["rgb"].shape == (1, 32, 32, 3)
    built.close()


def test_maniskill_seeded_reset(maniskill):
    first = maniskill.reset(seed=2000)[0]
    maniskill.action_space.seed(0)
    for _ in range(5):
        maniskill.step(maniskill.action_space.sample())
    assert torch.equal(first, maniskill.reset(seed=2000)[0])
    assert not torch.equal(first, maniskill.reset(seed=2001)[0])
    assert torch.equal(first, maniskill.reset(seed=2000, options={"env_idx": torch.tensor([0])})[0])


def test_maniskill_state_round_trip(maniskill):
    base = maniskill.unwrapped
    maniskill.reset(seed=1000)
    maniskill.action_space.seed(0)
    for _ in range(5):
        maniskill.step(maniskill.action_space.sample())
    flat, nested, expected = base.get_state(), base.get_state_dict(), base.get_obs()
    for restore in (lambda: base.set_state(flat), lambda: base.set_state_dict(nested)):
        for _ in range(20):
            maniskill.step(maniskill.action_space.sample())
        assert not torch.equal(base.get_obs(), expected)
        restore()
        assert torch.equal(base.get_obs(), expected)
    maniskill.reset(options={"reset_to_env_states": {"env_states": nested}})
    torch.testing.assert_close(base.get_state()[:, :-7], flat[:, :-7])


def test_maniskill_refuses_nan_and_truncates(maniskill):
    maniskill.reset(seed=0)
    action = maniskill.action_space.sample()
    with pytest.raises(ValueError, match="finite"):
        maniskill.step(action * np.nan)
    truncated = False
    for _ in range(50):
        assert not truncated
        truncated = bool(maniskill.step(action)[3])
    assert truncated
    assert maniskill.render().shape == (1, 512, 512, 3)


def test_both_forms_are_one_environment(env):
    """The single-scene form must move as ManiSkill's own stepping does, and show the same pictures."""
    built = gymnasium.make(
        "F1RL-RandomExploration-v1", obs_mode="rgb", resolution=32, randomization=CONFIG["randomization"]
    )
    observation = built.reset(seed=5, options={"reconfigure": True, "scene_seed": 7})[0]
    ours = env.reset(seed=5, options={"scene_seed": 7})[0]
    rng = np.random.default_rng(0)
    for _ in range(20):
        for index, name in enumerate(env.env_spec.cameras):
            picture = observation["sensor_data"][name]["rgb"][0].numpy().transpose(2, 0, 1)
            assert (np.abs(picture.astype(int) - ours["image"][index]) > 2).mean() < 0.002
        np.testing.assert_allclose(built.unwrapped.agent.robot.qpos[0].numpy(), state_of(env)[:9], atol=1e-5)
        action = np.zeros(32, np.float32)
        action[:8] = rng.uniform(-1, 1, 8)
        observation, ours = built.step(action[:8])[0], env.step(action)[0]
    built.close()
