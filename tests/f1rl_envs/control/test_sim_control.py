"""Every control mode on the simulator."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from env_configs import changed, simulator
from f1rl_envs.actions import RandomActions
from f1rl_envs.collect import collect_episode
from f1rl_envs.sim import make
from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.modes import MODES, PLANNING_MODES
from f1rl_envs.sim.embodiments import ARMS
from f1rl_envs.spec import EpisodeRequest

pytestmark = pytest.mark.sim

CONFIG = simulator(camera__resolution=32, camera__names=["wrist"], randomization__num_objects=[0, 0])
DIRECT = [mode for mode in MODES if mode not in PLANNING_MODES]


def config_of(mode, scale=0.3, **changes):
    return changed(CONFIG, control__mode=mode, control__action_scale=scale, **changes)


def tip_of(env, arm):
    """Return the pose of the tool centre point in the frame of the arm's base, as SAPIEN has it."""
    pose = env.base.agent.robot.links_map[arm.tcp_link].pose.sp.to_transformation_matrix()
    pose[:3, 3] += pose[:3, :3] @ arm.tcp_offset - arm.base_position
    return pose


def settle(env, action, steps=15):
    for _ in range(steps):
        info = env.step(action)[-1]
    return info


@pytest.mark.parametrize("name", ARMS)
def test_delta_ee_moves_the_end_effector_by_the_commanded_pose(name):
    """Stated bound, in free motion after settling: 1 mm and 0.005 rad (of 15 mm and 0.06 rad along each axis)."""
    env = make(config_of("delta_ee", embodiment__arms=[name]))
    arm, rng, errors = ARMS[name], np.random.default_rng(0), []
    still, action = np.zeros(32, np.float32), np.zeros(32, np.float32)
    env.reset(seed=0, options={"scene_seed": 7})
    settle(env, still)
    for _ in range(10):
        before = tip_of(env, arm)
        action[:6] = rng.uniform(-1, 1, 6)
        action[7:] = rng.uniform(-1, 1, 25)  # padding: means nothing
        info = env.step(action)[-1]
        settle(env, still)
        after, command = tip_of(env, arm), action[:6] * np.repeat([0.015, 0.06], 3)
        turned = rotations.from_vector(command[3:].astype(float), np) @ before[:3, :3]
        shift = np.linalg.norm(after[:3, 3] - before[:3, 3] - command[:3])
        errors.append((info["reachable"], shift, rotations.angle_between(after[:3, :3], turned, np)))
    env.close()
    reached, shifts, angles = (np.array(column) for column in zip(*errors, strict=True))
    assert reached.mean() >= 0.8
    assert shifts[reached].max() < 1e-3
    if len(arm.joints) >= 6:
        assert angles[reached].max() < 5e-3


def test_an_unreachable_place_is_reported_and_the_arm_stays_calm():
    env = make(config_of("delta_ee_pos", scale=1.0, max_steps=200))
    action = np.zeros(32, np.float32)
    action[0] = action[2] = 1.0
    env.reset(seed=0, options={"scene_seed": 7})
    reports = []
    for _ in range(60):
        info = env.step(action)[-1]
        reports.append((info["reachable"], info["target_distance"]))
        assert env.base.agent.robot.qvel.abs().max() < 8.0
    assert reports[0][0]
    assert reports[0][1] < 5e-4
    assert not any(reached for reached, _ in reports[-20:])
    assert 0.01 < reports[-1][1] < 0.1
    settle(env, np.zeros(32, np.float32))
    assert env.base.agent.robot.qvel.abs().max() < 0.01  # it does not hunt for a better posture
    env.close()


def test_delta_ee_pos_keeps_the_orientation():
    env = make(config_of("delta_ee_pos"))
    arm, rng = ARMS["franka"], np.random.default_rng(3)
    env.reset(seed=0, options={"scene_seed": 7})
    start = tip_of(env, arm)
    action = np.zeros(32, np.float32)
    for _ in range(30):
        action[:3] = rng.uniform(-1, 1, 3)
        env.step(action)
    settle(env, np.zeros(32, np.float32))
    assert rotations.angle_between(tip_of(env, arm)[:3, :3], start[:3, :3], np) < 5e-3
    env.close()


def test_qpos_reaches_a_held_posture_at_a_bounded_speed():
    env = make(config_of("qpos", scale=0.5, max_steps=200))
    arm = ARMS["franka"]
    env.reset(seed=0, options={"scene_seed": 7})
    action = np.zeros(32, np.float32)
    goal = np.add(arm.home, [0.8, -0.3, 0.4, -0.2, 0.5, 0.3, -0.6])
    limits = np.array(arm.limits)
    action[:7] = (goal - limits.mean(axis=1)) / (limits[:, 1] - limits[:, 0]) * 2
    fastest = 0.0
    for _ in range(40):
        env.step(action)
        fastest = max(fastest, float(env.base.agent.robot.qvel.abs()[0, :7].max()))
    np.testing.assert_allclose(env.control.arms[0].position, goal, atol=2e-3)
    assert fastest < 1.15 * 0.05 * 20  # 0.05 rad in each of 20 periods a second
    env.close()


@pytest.mark.parametrize("mode", DIRECT)
def test_an_episode_is_the_same_bit_for_bit_and_in_both_forms(mode):
    """The same seed twice, and then stepped by ManiSkill's batched controllers with one scene."""
    env = make(config_of(mode))
    batched = gymnasium.make(
        "F1RL-RandomExploration-v1",
        obs_mode="state",
        resolution=32,
        cameras=("wrist",),
        control_mode=mode,
        action_scale=0.3,
        randomization=CONFIG["randomization"],
    )
    batched.reset(seed=5, options={"reconfigure": True, "scene_seed": 7})
    entries, runs = np.flatnonzero(env.env_spec.action_mask), []
    for _ in range(2):
        env.reset(seed=5, options={"scene_seed": 7})
        actions, states, action = RandomActions(env.env_spec, 5), [], np.zeros(32, np.float32)
        for _ in range(20):
            actions.sample(action)
            _, _, _, _, info = env.step(action)
            states.append(env.base.agent.robot.qpos.numpy()[0].copy())
            if not runs:
                other = batched.step(action[entries])[-1]
                assert ("reachable" in other) == ("reachable" in info) == mode.startswith("delta_ee")
                assert bool(other.get("reachable", True)) == info.get("reachable", True)
                np.testing.assert_allclose(batched.unwrapped.agent.robot.qpos.numpy()[0], states[-1], atol=1e-4)
        runs.append(np.array(states))
    np.testing.assert_array_equal(*runs)
    env.close()
    batched.close()


@pytest.mark.parametrize("name", ARMS)
def test_random_exploration_with_a_planner(name):
    """Its waypoints are mostly reachable, and episodes have the usual form."""
    env = make(config_of("ee_pose", scale=1.0, control__planner="ompl", embodiment__arms=[name], max_steps=8))
    episode = collect_episode(env, env.env_spec, EpisodeRequest(0, seed=1, scene_seed=2))
    assert len(episode) == 8
    assert np.abs(np.diff(episode.state, axis=0)).max(axis=1).mean() > 0.1  # most actions are carried out
    env.close()


# fcl is not in the list: trimesh, which ManiSkill imports, looks for it by itself.
_WITHOUT_PLANNERS = """
import sys
sys.path.insert(0, sys.argv[1])
planners, found = {"ompl", "toppra", "curobo", "warp"}, []
def watch(event, arguments):
    if event == "import" and arguments[0].split(".")[0] in planners:
        found.append(arguments[0])
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system") and "nvidia-smi" not in str(arguments):
        found.append((event, arguments[0]))
sys.addaudithook(watch)
import numpy as np
from env_configs import changed, simulator
from f1rl_envs.sim import make
for mode in ("delta_qpos", "delta_ee_pos", "delta_ee"):
    env = make(changed(simulator(camera__resolution=32), control__mode=mode))
    env.reset(seed=0)
    env.step(np.full(32, 0.5, np.float32))
    env.close()
    assert not found, (mode, found)
    assert not (planners | {"torch.utils.cpp_extension", "mplib.planner"}) & set(sys.modules), mode
"""


def test_delta_modes_import_no_planner_and_compile_nothing():
    """Neither is a planner's module imported or even looked for, nor a compiler (any process) started."""
    folder = next(path for path in sys.path if path.endswith("tests"))
    subprocess.run([sys.executable, "-c", _WITHOUT_PLANNERS, folder], check=True)


@pytest.mark.parametrize("mode", MODES)
def test_both_arms_of_a_pair_follow_their_own_entries(mode):
    """The right arm moves while the left one is told to stay, in every mode; entries between them mean nothing."""
    planner = "ompl" if mode in PLANNING_MODES else None
    pair = {"arms": ["ur5", "franka"], "distance": 0.8}
    env = make(config_of(mode, embodiment=pair, control__planner=planner))
    env.reset(seed=0, options={"scene_seed": 7})
    left, right = env.control.arms
    before = [left.position, right.position]
    physical = np.zeros(sum(env.env_spec.action_mask))
    for drives in (left, right):
        here = {"qpos": drives.position, "ee_pose": [*tip_of(env, drives.arm)[:3, 3], 0, 0, 0, 0]}
        physical[drives.entries] = here.get(mode, 0.0)
    action = env.control._actions.normalize(physical)
    action[7] = 1.0  # padding in every mode
    action[9:12] += 0.3
    for _ in range(3):
        env.step(action)
    assert np.abs(left.position - before[0]).max() < 5e-3
    assert np.abs(right.position - before[1]).max() > 0.02
    env.close()
