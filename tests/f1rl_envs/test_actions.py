from __future__ import annotations

import itertools

import numpy as np

from f1rl_envs.actions import GRIPPER_HOLD_STEPS, RandomActions
from f1rl_envs.spec import PADDED_DIM, EnvSpec

MASK = tuple(index < 8 for index in range(PADDED_DIM))
SPEC = EnvSpec("test", ("wrist",), 64, 50, 20.0, action_mask=MASK, state_mask=MASK)


def sequence(seed, length=2000):
    actions, out = RandomActions(SPEC, seed), np.full((length, PADDED_DIM), 9.0, dtype=np.float32)
    for row in out:
        actions.sample(row)
    return out


def test_joints_are_uniform_and_padding_is_zero():
    out = sequence(seed=3)
    joints = out[:, :7]
    assert np.all(np.abs(out) <= 1)
    assert np.all(out[:, 8:] == 0)
    # 2000 draws of U(-1, 1): standard errors of mean and deviation are 0.013 and below.
    assert np.all(np.abs(joints.mean(axis=0)) < 0.06)
    assert np.all(np.abs(joints.std(axis=0) - 1 / np.sqrt(3)) < 0.04)
    assert np.abs(np.corrcoef(joints.T) - np.eye(7)).max() < 0.1


def test_gripper_holds_its_command():
    gripper = sequence(seed=4)[:, 7]
    lengths = [len(list(run)) for _, run in itertools.groupby(gripper.tolist())][:-1]
    low, high = GRIPPER_HOLD_STEPS
    assert set(lengths) == set(range(low, high + 1))
    assert np.unique(gripper).min() < -0.8
    assert np.unique(gripper).max() > 0.8


def test_the_seed_decides():
    assert np.array_equal(sequence(5, 60), sequence(5, 60))
    assert not np.array_equal(sequence(5, 60), sequence(6, 60))
