"""Randomisation, cameras and measures on the real simulator."""

from __future__ import annotations

import numpy as np
import pytest

from env_configs import changed, simulator
from f1rl_envs.errors import SceneError
from f1rl_envs.sim import make, physics, random_exploration
from f1rl_envs.sim.cameras import Pictures
from f1rl_envs.sim.measures import VOXEL_EDGE, voxel_index
from f1rl_envs.sim.objects import SHAPE_ODDS

pytestmark = pytest.mark.sim

PLAIN = simulator(camera__resolution=32)
FULL = changed(
    PLAIN,
    camera__depth=True,
    control__action_scale=1.0,
    randomization__random_appearance=True,
    randomization__num_objects=[6, 6],
    randomization__object_shapes=list(SHAPE_ODDS),
    randomization__object_size=[0.03, 0.08],
    randomization__object_density=[200.0, 2000.0],
    randomization__object_friction=[0.15, 0.9],
    randomization__camera_position_jitter=0.01,
    randomization__camera_rotation_jitter=0.03,
    randomization__initial_pose_noise=0.08,
)
DOWN = np.zeros(32, np.float32)
DOWN[[1, 3]] = 0.6, -0.1
STILL = np.where(np.arange(32) == 7, 1.0, 0.0).astype(np.float32)
"""Joints stay, the gripper stays open, as at the start."""


@pytest.fixture(scope="module")
def plain():
    built = make(PLAIN)
    yield built
    built.close()


@pytest.fixture(scope="module")
def full():
    built = make(FULL)
    yield built
    built.close()


def poses(env):
    return np.array([np.concatenate([body.entity.pose.p, body.entity.pose.q]) for body in env.base.bodies])


def play(env, seed, scene_seed, steps=25, rebuild=False):
    """Return everything of an episode that reaches down into the objects, and its last info."""
    observation, info = env.reset(seed=seed, options={"scene_seed": scene_seed, "rebuild": rebuild})
    rng = np.random.default_rng(seed)
    observations, infos = [observation], [info]
    for _ in range(steps):
        action = np.clip(DOWN + 0.4 * rng.uniform(-1, 1, 32), -1, 1).astype(np.float32)
        observation, *_, info = env.step(action)
        observations.append(observation)
        infos.append(info)
    return observations, infos, poses(env)


def assert_same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        for key, value in a.items():
            np.testing.assert_array_equal(value, b[key])
    for a, b in zip(first[1][1:], second[1][1:], strict=True):
        assert {k: np.asarray(v).tolist() for k, v in a.items()} == {k: np.asarray(v).tolist() for k, v in b.items()}
    np.testing.assert_array_equal(first[2], second[2])


def test_same_seeds_same_bits_with_everything_randomised(full):
    """On a fresh scene, a reused one, after another scene, and in another environment; contacts included."""
    touched = 0
    for seed in range(2):
        first = play(full, seed, 7, rebuild=True)
        touched += first[1][-1]["contact_steps"]
        play(full, seed + 100, 7, steps=4)
        assert_same(play(full, seed, 7), first)
        play(full, seed, 8, steps=2)
        assert_same(play(full, seed, 7), first)
    assert touched > 0
    other = make(FULL)
    assert_same(play(other, 1, 7), first)
    other.close()


@pytest.mark.parametrize("scene_seed", range(4))
def test_every_shape_is_at_rest_where_it_is_put(full, scene_seed):
    """For two seconds nothing drifts, rolls, tips or sinks in, whatever its mass and friction."""
    _, info = full.reset(seed=scene_seed, options={"scene_seed": scene_seed})
    before = poses(full)
    for _ in range(40):
        full._advance(STILL)
    assert info["resampled"] == 0
    assert np.abs(poses(full) - before)[:, :3].max() < 5e-4
    assert np.abs(poses(full) - before)[:, 3:].max() < 5e-3


def test_mass_friction_and_hollow_shapes_reach_the_physics(full):
    shapes = set()
    for scene_seed in range(6):
        full.reset(seed=0, options={"scene_seed": scene_seed})
        for body, spec in zip(full.base.bodies, full.base.scene_specs[0].objects, strict=True):
            shapes.add(spec.shape)
            material = body.collision_shapes[0].physical_material
            np.testing.assert_allclose(material.static_friction, spec.friction, rtol=1e-5)
            if spec.shape == "box":
                np.testing.assert_allclose(body.mass, spec.density * 8 * np.prod(spec.half_size), rtol=1e-3)
            if spec.shape == "mug":
                assert len(body.collision_shapes) > 8
                solid = spec.density * np.pi * spec.half_size[0] ** 2 * 2 * spec.half_size[2]
                assert 0.15 * solid < body.mass < 0.7 * solid
    assert shapes == set(SHAPE_ODDS)


def test_a_start_that_does_not_settle_is_drawn_anew_and_can_be_repeated():
    env = make(changed(PLAIN, randomization__initial_pose_noise=0.5, randomization__num_objects=[6, 6]))
    infos = [env.reset(seed=seed, options={"scene_seed": 1})[1] for seed in range(12)]
    again = [info for info in infos if info["resampled"]]
    assert again, "no start of these seeds needs another"
    assert all(info["start_seed"] == info["seed"] for info in infos if not info["resampled"])
    info = again[0]
    first, infos, _ = play(env, info["seed"], 1, steps=5)
    assert infos[0]["resampled"] == infos[-1]["resampled"] == info["resampled"]
    repeated = play(env, info["start_seed"], 1, steps=0)  # the recorded seed alone gives the same start, at once
    assert repeated[1][0]["resampled"] == 0
    np.testing.assert_array_equal(repeated[0][0]["image"], first[0]["image"])
    np.testing.assert_array_equal(repeated[0][0]["state"], first[0]["state"])
    env.close()


def test_a_scene_without_a_start_is_one_clear_error(plain, monkeypatch):
    monkeypatch.setattr(physics, "MAX_SPEED", 0.0)
    monkeypatch.setattr(random_exploration, "MAX_ATTEMPTS", 3)
    with pytest.raises(SceneError, match=r"3 were tried\. Lower randomization\.initial_pose_noise"):
        plain.reset(seed=0, options={"scene_seed": 7})
    monkeypatch.undo()
    assert plain.reset(seed=0, options={"scene_seed": 7})[1]["resampled"] == 0


def test_scene_decides_what_cameras_see_and_none_is_moved_by_default(plain, full):
    def views(env, scene_seed):
        env.reset(seed=0, options={"scene_seed": scene_seed})
        return np.array([np.concatenate([c.local_pose.p, c.local_pose.q]) for c in env._cameras])

    np.testing.assert_array_equal(views(plain, 1), views(plain, 2))
    moved = np.abs(views(full, 1) - views(plain, 1))
    assert (moved[:, :3].max(axis=1) > 1e-4).all()
    assert (moved[:, 3:].max(axis=1) > 1e-4).all()
    assert moved[:, :3].max() <= 0.01 * np.sqrt(3)


def test_pictures_show_something_however_much_is_randomised(full):
    for seed in range(8):
        for picture in full.reset(seed=seed)[0]["image"]:
            assert 25 < picture.mean() < 225
            assert picture.std() > 10
            assert (picture == 255).all(axis=0).mean() < 0.2


# ---------------------------------------------------------------------------------------- cameras
def test_depth_is_the_distance_along_the_view(full):
    assert set(full.observation_space.spaces) == {"image", "depth", "state"}
    observation = full.reset(seed=1, options={"scene_seed": 2})[0]
    assert full.observation_space.contains(observation)
    depth = observation["depth"]
    assert (depth.shape, depth.dtype) == ((2, 1, 32, 32), np.uint16)
    wrist = full._cameras[1]
    height = (wrist.entity.pose * wrist.local_pose).p[2]
    assert 0.6 * height < np.median(depth[1]) / 1000 < 1.6 * height  # the table, seen nearly from above
    eye = full._cameras[0].local_pose.p
    assert 0.5 < depth[0].min() / 1000 < np.linalg.norm(eye)  # the arm is before the wall
    assert depth[0].max() > 2000


def test_field_of_view_can_be_set():
    env = make(changed(PLAIN, camera__head_fov=0.5, camera__wrist_fov=1.9))
    env.reset(seed=0)
    np.testing.assert_allclose([camera.fovy for camera in env._cameras], [0.5, 1.9], rtol=1e-5)
    env.close()
    with pytest.raises(ValueError, match=r"camera\.head_fov=3\.5: must be from 0\.2 to 2\.4 radians"):
        make(changed(PLAIN, camera__head_fov=3.5))


def count_pictures(env, monkeypatch):
    taken = []
    original = Pictures.take

    def take(self, update_render, cameras):
        taken.extend(camera.name for camera in cameras)
        return original(self, update_render, cameras)

    monkeypatch.setattr(Pictures, "take", take)
    return taken


def test_only_the_named_cameras_exist():
    env = make(changed(PLAIN, camera__names=["wrist"]))
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (1, 3, 32, 32)
    assert list(env.base.scene.sensors) == ["wrist"]
    env.close()


def test_a_chunk_renders_once_and_ends_where_its_steps_would(plain, monkeypatch):
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (8, 32)).astype(np.float32)
    plain.reset(seed=3, options={"scene_seed": 7})
    steps = [plain.step(action) for action in actions]
    plain.reset(seed=3, options={"scene_seed": 7})
    taken = count_pictures(plain, monkeypatch)
    observation, rewards, terminated, truncated, info = plain.step_chunk(actions)
    assert len(taken) == 2
    for key, value in steps[-1][0].items():
        np.testing.assert_array_equal(observation[key], value)
    assert (rewards.tolist(), terminated, truncated, info["steps"]) == ([0.0] * 8, False, False, 8)
    assert info["object_displacement"] == steps[-1][4]["object_displacement"]
    plain.reset(seed=3, options={"scene_seed": 7})
    taken.clear()
    observation = plain.step_chunk(actions, observe="all")[0]
    assert len(taken) == 16
    for key, value in observation.items():
        np.testing.assert_array_equal(value, np.stack([step[0][key] for step in steps]))


def test_a_chunk_stops_where_the_episode_ends():
    env = make(changed(PLAIN, max_steps=5))
    env.reset(seed=0, options={"scene_seed": 7})
    actions = np.tile(STILL, (3, 1))
    assert env.step_chunk(actions)[3:][0] is False
    observation, rewards, terminated, truncated, info = env.step_chunk(actions, observe="all")
    assert (len(rewards), terminated, truncated, info["steps"]) == (2, False, True, 2)
    assert observation["image"].shape[0] == 2
    env.close()


def test_a_wrong_chunk_moves_nothing(plain):
    plain.reset(seed=0, options={"scene_seed": 7})
    before = plain.base.agent.robot.qpos.numpy().copy()
    bad = np.zeros((4, 32), np.float32)
    bad[3, 2] = np.nan
    for actions, observe in ((bad, "last"), (bad[:0], "last"), (bad[0], "last"), (bad[:3], "first")):
        with pytest.raises(ValueError, match="must be"):
            plain.step_chunk(actions, observe)
    np.testing.assert_array_equal(plain.base.agent.robot.qpos.numpy(), before)


# ---------------------------------------------------------------------------------------- measures
def test_voxels_are_numbered_and_bounded():
    centre = voxel_index(np.array([0.01, 0.01, 0.01]))
    assert centre == (32 * 64 + 32) * 64 + 32
    assert voxel_index(np.array([0.01, 0.01, 0.01 + VOXEL_EDGE])) == centre + 1
    assert voxel_index(np.array([0.01 - VOXEL_EDGE, 0.01, 0.01])) == centre - 64 * 64
    assert voxel_index(np.full(3, 99.0)) == 64**3 - 1
    assert voxel_index(np.full(3, -99.0)) == 0


def test_a_still_robot_touches_moves_and_visits_nothing(plain):
    plain.reset(seed=0, options={"scene_seed": 7})
    for _ in range(10):
        info = plain._advance(STILL)[-1]
    assert (info["contacts"], info["contact_steps"], info["voxels_visited"]) == (0, 0, 1)
    assert info["object_displacement"] < 1e-3
    assert info["success"] is False


def test_measures_follow_what_the_robot_does(full):
    """Reaching down into the objects touches, moves and visits; the sums agree with the steps."""
    touching = 0
    for seed in range(3):
        _, infos, _ = play(full, seed, 7)
        steps = infos[1:]
        assert steps[-1]["contact_steps"] == sum(info["contacts"] > 0 for info in steps)
        seen = {int(voxel) for info in steps for voxel in info["ee_voxel"]}
        assert len(seen) <= steps[-1]["voxels_visited"] <= len(seen) + 1
        assert steps[-1]["voxels_visited"] > 2
        if steps[-1]["contact_steps"]:
            touching += 1
            assert steps[-1]["object_displacement"] > 1e-3
    assert touching > 0
