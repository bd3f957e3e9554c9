from __future__ import annotations

import numpy as np
import pytest

from f1rl_envs.normalize import DELTA_QPOS_BOUND, AffineNormalizer, delta_qpos_actions, joint_states
from f1rl_envs.sim.embodiments import ARMS
from f1rl_envs.spec import PADDED_DIM


@pytest.mark.parametrize("robot", ARMS.values(), ids=ARMS)
@pytest.mark.parametrize("kind", ["action", "state"])
def test_round_trip_of_every_embodiment(robot, kind):
    if kind == "action":
        normalizer = delta_qpos_actions(len(robot.joints), robot.gripper_limits, action_scale=0.3)
    else:
        normalizer = joint_states(robot.joint_limits)
    rng = np.random.default_rng(0)
    padded = np.zeros((100, PADDED_DIM), np.float32)
    padded[:, : normalizer.size] = rng.uniform(-1.2, 1.2, (100, normalizer.size))
    physical = normalizer.denormalize(padded)
    assert physical.dtype == np.float32
    assert physical.shape == (100, normalizer.size)
    back = normalizer.normalize(physical)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, padded, atol=2e-6)
    assert not back[:, normalizer.size :].any()
    assert sum(normalizer.mask) == normalizer.size == len(robot.joints) + 1


def test_action_scale_does_not_touch_the_gripper():
    ones = np.ones(PADDED_DIM, np.float32)
    for scale in (0.3, 1.0):
        command = delta_qpos_actions(7, (0.0, 0.04), scale).denormalize(ones)
        np.testing.assert_allclose(command[:7], DELTA_QPOS_BOUND * scale, rtol=1e-6)
        np.testing.assert_allclose(command[7], 0.04, rtol=1e-6)
    closed = delta_qpos_actions(7, (0.0, 0.04), 0.3).denormalize(-ones)
    np.testing.assert_allclose(closed[7], 0.0, atol=1e-9)


def test_limits_are_at_one():
    robot = ARMS["franka"]
    normalizer = joint_states(robot.joint_limits)
    np.testing.assert_allclose(normalizer.normalize(robot.joint_limits[:, 0])[: normalizer.size], -1.0, atol=1e-6)
    np.testing.assert_allclose(normalizer.normalize(robot.joint_limits[:, 1])[: normalizer.size], 1.0, atol=1e-6)


def test_out_arrays_are_used_and_padding_stays():
    normalizer = joint_states(np.array([[-1.0, 3.0], [0.0, 2.0]]))
    out = np.zeros(PADDED_DIM, np.float32)
    assert normalizer.normalize(np.array([1.0, 2.0]), out=out) is out
    assert out[:3].tolist() == [0.0, 1.0, 0.0]
    physical = np.empty(2, np.float32)
    assert normalizer.denormalize(out, out=physical) is physical
    assert physical.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("centre", "half_range"),
    [
        ([0.0], [0.0]),
        ([0.0], [-1.0]),
        ([0.0], [np.inf]),
        ([np.nan], [1.0]),
        ([0.0, 1.0], [1.0]),
        ([0.0] * 33, [1.0] * 33),
    ],
)
def test_impossible_ranges_are_refused(centre, half_range):
    with pytest.raises(ValueError, match=r"half.range"):
        AffineNormalizer(np.array(centre), np.array(half_range))
