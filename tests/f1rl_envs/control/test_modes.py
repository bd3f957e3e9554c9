"""The maps of every embodiment and control mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.embodiments import ARMS, embodiment
from f1rl_envs.spec import PADDED_DIM

PAIRS = [(name, other) for name, other in itertools.pairwise([*ARMS, *ARMS][: len(ARMS) + 1])]
ROBOTS = {name: embodiment({"arms": [name], "distance": None}) for name in ARMS}
ROBOTS |= {f"{left}+{right}": embodiment({"arms": [left, right], "distance": 0.6}) for left, right in PAIRS}
WIDTHS = {"delta_ee_pos": 3, "delta_ee": 6, "ee_pose": 7}


@pytest.mark.parametrize("mode", [*modes.MODES, "state"])
@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_round_trip_of_every_embodiment_and_mode(robot, mode):
    normalizer = modes.states(robot) if mode == "state" else modes.actions(robot, mode, 0.3)
    mask = np.array(normalizer.layout.mask)
    padded = np.where(mask, np.random.default_rng(0).uniform(-1.2, 1.2, (100, PADDED_DIM)), 0.0).astype(np.float32)
    physical = normalizer.denormalize(padded)
    assert physical.shape == (100, mask.sum())
    back = normalizer.normalize(physical)
    assert physical.dtype == back.dtype == np.float32
    np.testing.assert_allclose(back, padded, atol=5e-6)
    assert not back[:, ~mask].any()
    np.testing.assert_allclose(normalizer.denormalize(back), physical, atol=5e-6)
    widths = [len(entries) for entries in normalizer.layout.arms]
    assert widths == [WIDTHS.get(mode, len(arm.joints)) for arm in robot.arms]


@pytest.mark.parametrize(
    ("mode", "bounds"),
    [
        ("delta_qpos", [0.1] * 7),
        ("delta_ee_pos", [0.05] * 3),
        ("delta_ee", [0.05] * 3 + [0.2] * 3),
    ],
)
def test_action_scale_scales_changes_and_not_the_gripper(mode, bounds):
    ones = np.ones(PADDED_DIM, np.float32)
    for scale in (0.3, 1.0):
        command = modes.actions(ROBOTS["franka"], mode, scale).denormalize(ones)
        np.testing.assert_allclose(command, [*np.multiply(bounds, scale), 1.0], rtol=1e-6)


@pytest.mark.parametrize("mode", ["qpos", "ee_pose"])
def test_absolute_modes_are_not_scaled(mode):
    ones = np.ones(PADDED_DIM, np.float32)
    slow, fast = (modes.actions(ROBOTS["franka"], mode, scale).denormalize(ones) for scale in (0.3, 1.0))
    np.testing.assert_array_equal(slow, fast)


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_limits_are_at_one(robot):
    for normalizer in (modes.states(robot), modes.actions(robot, "qpos", 1.0)):
        for side in (-1.0, 1.0):
            physical = normalizer.denormalize(np.full(PADDED_DIM, side, np.float32))
            expected = [limit[int(side > 0)] for arm in robot.arms for limit in (*arm.limits, arm.gripper_limits)]
            grippers = np.cumsum([len(arm.joints) + 1 for arm in robot.arms]) - 1
            arms = np.delete(np.arange(len(expected)), grippers)
            np.testing.assert_allclose(physical[arms], np.array(expected)[arms], atol=1e-6)
    np.testing.assert_allclose(
        modes.states(robot).denormalize(np.full(PADDED_DIM, 1.0))[grippers],
        [arm.fingers[0].open for arm in robot.arms],
        atol=1e-6,
    )


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_the_workspace_holds_the_home_position_and_stays_above_the_table(robot):
    for arm in robot.arms:
        box, home = modes.workspace(arm), modes.home_pose(arm)[:3, 3]
        assert (box[:2, 0] < home[:2]).all()
        assert (home[:2] < box[:2, 1]).all()
        assert box[2, 0] + arm.base_position[2] > 0.01


def test_random_waypoints_surround_home():
    robot = ROBOTS["franka"]
    joints, poses = modes.waypoints(robot, "qpos"), modes.waypoints(robot, "ee_pose")
    assert modes.waypoints(robot, "delta_ee") is None
    home = modes.actions(robot, "qpos", 1.0).denormalize(np.array(joints.centre, np.float32))
    np.testing.assert_allclose(home[:7], robot.arms[0].home, atol=1e-6)
    np.testing.assert_allclose(np.abs(poses.centre[3:7]), [0, 1, 0, 0], atol=1e-5)  # the gripper looks down


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ({"mode": "ee_pose", "planner": None}, ["planner=None", "ompl, curobo"]),
        ({"mode": "ee_pose", "planner": "mplib"}, ["'mplib'", "ompl, curobo"]),
        ({"mode": "delta_ee", "planner": "ompl"}, ["planner='ompl'", "null"]),
        ({"mode": "delta", "planner": None}, ["mode='delta'", "delta_qpos"]),
    ],
)
def test_every_fault_is_named(control, words):
    text = "; ".join(modes.faults(control))
    assert all(word in text for word in words)


def test_right_settings_have_no_fault():
    for mode in modes.MODES:
        planners = modes.PLANNERS if mode in modes.PLANNING_MODES else (None,)
        for planner in planners:
            assert not list(modes.faults({"mode": mode, "planner": planner}))
