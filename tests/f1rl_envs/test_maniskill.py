"""ManiSkill's tasks on the real simulator: all that run from the installed wheel alone."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from env_configs import maniskill
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.errors import EnvError
from f1rl_envs.sim.maniskill_spec import ROBOTS, TASKS
from f1rl_envs.spec import EpisodeRequest

pytestmark = pytest.mark.sim

IN_THE_WHEEL = [name for name, task in TASKS.items() if not task.downloads]
CHECKED = [name for name in IN_THE_WHEEL if not re.search("Level[1-4]", name)]
"""Of several levels of a task the first; `python -m benchmarks.maniskill_tasks` runs the others too."""


def config_of(task, **changes):
    """Return the configuration of a task with every camera that its robot has, in small pictures."""
    cameras = ["head", *ROBOTS[TASKS[task].robot].wrist_cameras]
    return maniskill(task=task, camera__names=cameras, camera__resolution=32, **changes)


def play(env, seed, steps=4, scene_seed=5):
    """Return pictures, states and rewards of an episode of random actions, and the last info."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed, options={"scene_seed": scene_seed})
    observations, rewards = [observation], []
    for _ in range(steps):
        observation, reward, _, _, info = env.step(rng.uniform(-1, 1, 32).astype(np.float32))
        observations.append(observation)
        rewards.append(reward)
    images, states = (np.stack([each[key] for each in observations]) for key in ("image", "state"))
    return images, states, np.array(rewards), info


def assert_same(one, other):
    for left, right in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(left, right)


def test_at_least_twenty_tasks_are_checked():
    assert len(CHECKED) >= 20
    assert sum("wrist" in ROBOTS[TASKS[name].robot].wrist_cameras for name in CHECKED) >= 15


@pytest.mark.parametrize("task", CHECKED)
def test_task_runs_and_repeats_itself(task):
    """It steps, draws and says whether it succeeded, and the same seeds give the same bits after another episode."""
    config = config_of(task)
    env, spec = registry.make(config), registry.spec(config)
    first = play(env, seed=1)
    play(env, seed=2, steps=2, scene_seed=6)
    again = play(env, seed=1)
    env.close()
    images, states, rewards, info = first
    assert_same(first, again)
    assert images.shape[1:] == spec.image_shape
    assert (images.std(axis=(0, 2, 3, 4)) > 5.0).all() or "Cartpole" in task  # grey all over, but for a pole
    assert not states[:, ~np.array(spec.state_mask)].any()
    assert np.ptp(states, axis=0)[np.array(spec.state_mask)].max() > 1e-3
    assert np.isfinite(rewards).all()
    assert isinstance(info["success"], bool)


def test_environment_passes_gymnasiums_check_with_the_cameras_in_order():
    config = maniskill(camera__resolution=32, camera__names=["wrist", "head"])
    env = registry.make(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    swapped = env.reset(seed=1)[0]["image"]
    env.close()
    other = registry.make(maniskill(camera__resolution=32))
    np.testing.assert_array_equal(swapped, other.reset(seed=1)[0]["image"][::-1])
    other.close()


def test_a_fresh_scene_in_another_process_gives_the_same_episode():
    program = (
        "import hashlib\nfrom f1rl_envs import registry\nfrom f1rl_envs.collect import collect_episode\n"
        "from f1rl_envs.spec import EpisodeRequest\n"
        "config = {config!r}\nenv = registry.make(config)\n"
        "episode = collect_episode(env, registry.spec(config), EpisodeRequest(0, 3, 4))\n"
        "print(hashlib.sha256(episode.image.tobytes() + episode.state.tobytes()).hexdigest())"
    )
    config = maniskill(task="PegInsertionSide-v1", camera__resolution=32, max_steps=8)
    command = [sys.executable, "-c", program.format(config=config)]
    there = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    env, spec = registry.make(config), registry.spec(config)
    collect_episode(env, spec, EpisodeRequest(0, 8, 9))
    episode = collect_episode(env, spec, EpisodeRequest(0, 3, 4))
    env.close()
    assert hashlib.sha256(episode.image.tobytes() + episode.state.tobytes()).hexdigest() == there
    assert (len(episode), episode.truncated, episode.terminated) == (8, True, False)


def test_a_chunk_is_its_steps_and_depth_is_in_millimetres():
    env = registry.make(maniskill(task="PushCube-v1", camera__resolution=32, camera__depth=True))
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 32)).astype(np.float32)
    env.reset(seed=1)
    rewards = [env.step(action)[1] for action in actions[:-1]]
    observation, reward, *_ = env.step(actions[-1])
    env.reset(seed=1)
    chunked, chunk_rewards, _, _, info = env.step_chunk(actions)
    env.close()
    for key, value in observation.items():
        np.testing.assert_array_equal(chunked[key], value)
    np.testing.assert_allclose(chunk_rewards, [*rewards, reward])
    assert info["steps"] == 3
    head = chunked["depth"][0, 0]
    assert 300 < np.median(head) < 3000  # the table, seen from above it


def test_the_scene_seed_decides_what_is_built():
    env = registry.make(maniskill(task="PegInsertionSide-v1", camera__resolution=32))
    lengths = []
    for scene_seed, rebuilt in ((1, True), (1, False), (2, True), (1, True)):
        assert env.reset(seed=7, options={"scene_seed": scene_seed})[1]["rebuilt"] == rebuilt
        lengths.append(float(env.base.peg_half_sizes[0, 0]))
    env.close()
    assert lengths[0] == lengths[1] == lengths[3] != lengths[2]


def test_success_ends_the_episode_and_is_rewarded():
    env = registry.make(maniskill(camera__resolution=32))
    env.reset(seed=1)
    env.base.goal_site.set_pose(env.base.cube.pose)  # the cube is where it is wanted, and the arm stands still
    idle = np.zeros(32, np.float32)
    idle[7] = 1.0
    _, reward, terminated, truncated, info = env.step(idle)
    env.close()
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)


def test_the_panda_is_the_low_polygon_one():
    env = registry.make(maniskill(task="StackCube-v1", camera__resolution=32))
    (agent,) = env.base.agents
    assert agent.uid == "panda_wristcam"
    assert "f1rl_envs" in str(agent.urdf_path)
    assert set(env.base.scene.sensors) == {"head", "wrist"}
    env.close()


@pytest.mark.parametrize("mode", ["delta_ee_pos", "delta_ee", "qpos"])
def test_the_arm_has_the_projects_control_modes(mode):
    config = maniskill(control__mode=mode, camera__resolution=32, camera__names=["wrist"])
    env, spec = registry.make(config), registry.spec(config)
    env.reset(seed=1)
    before = env.base.agent.tcp_pose.p[0].clone()
    action = np.zeros(32, np.float32)
    action[2] = -1.0
    for _ in range(4):
        env.step(action)
    moved = env.base.agent.tcp_pose.p[0] - before
    env.close()
    assert sum(spec.action_mask) == {"delta_ee_pos": 4, "delta_ee": 7, "qpos": 8}[mode]
    if mode != "qpos":
        assert moved[2] == pytest.approx(-4 * 0.05 * 0.3, abs=0.015)
        assert moved[:2].abs().max() < 0.01


def test_two_arms_have_the_layout_of_a_pair():
    cameras = ["wrist_right", "wrist"]
    config = maniskill(task="TwoRobotPickCube-v1", camera__resolution=32, camera__names=cameras)
    env, spec = registry.make(config), registry.spec(config)
    assert spec.grippers == (8, 17)
    right, left = env.reset(seed=1)[0]["image"].astype(int)
    assert np.abs(right - left).mean() > 5.0
    action = np.zeros(32, np.float32)
    action[[8, 9, 17]] = 1.0
    before = [agent.robot.qpos[0].clone() for agent in env.base.agents]
    env.step(action)
    left, right = (agent.robot.qpos[0] - old for agent, old in zip(env.base.agents, before, strict=True))
    env.close()
    assert left.abs().max() < 2e-3
    assert right[0] > 0.01
    assert right[1:].abs().max() < 2e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "PickCub-v1"}, r"env.task='PickCub-v1': did you mean PickCube-v1\? There are PickCube-v1, "),
        ({"task": "RotateValveLevel0-v1"}, r"camera.names=.*RotateValveLevel0-v1 \(dclaw\) has head"),
        ({"control__mode": "ee_pose"}, r"control.mode='ee_pose': .* has delta_qpos, delta_ee_pos, delta_ee, qpos"),
        ({"task": "PushT-v1", "control__mode": "qpos"}, r"control.mode='qpos': .*panda_stick\) has delta_qpos"),
        ({"control_freq": 30}, r"env.control_freq=30: must divide env.sim_freq=100"),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(changes, message):
    with pytest.raises(ValueError, match=message):
        registry.spec(maniskill(**changes))


def test_missing_assets_are_one_clear_error_and_no_question(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt="": pytest.fail(f"asked {prompt!r}"))
    with pytest.raises(EnvError, match=r"PickSingleYCB-v1 needs assets of ycb.*\n  python -m .*download_asset Pick"):
        registry.make(maniskill(task="PickSingleYCB-v1"))


def test_a_question_of_maniskills_is_an_error():
    from mani_skill.utils import download_asset

    from f1rl_envs.sim.maniskill_task import no_questions

    with no_questions("PickCube-v1"), pytest.raises(EnvError, match=r'would ask "Download it\?"'):
        download_asset.prompt_yes_no("Download it?")
