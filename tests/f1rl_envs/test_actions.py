from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from f1rl_envs.actions import GRIPPER_HOLD_STEPS, RandomActions
from f1rl_envs.spec import PADDED_DIM, EnvSpec, Waypoints

MASK = tuple(index < 8 for index in range(PADDED_DIM))
SPEC = EnvSpec("test", ("wrist",), 64, 50, 20.0, action_mask=MASK, state_mask=MASK, grippers=(7,))


def sequence(seed, length=2000, spec=SPEC):
    actions, out = RandomActions(spec, seed), np.full((length, PADDED_DIM), 9.0, dtype=np.float32)
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


def test_each_gripper_of_a_pair_is_slow_and_its_own():
    pair = replace(SPEC, action_mask=tuple(i < 7 or i == 8 or 9 <= i <= 17 for i in range(32)), grippers=(8, 17))
    out = sequence(seed=5, spec=pair)
    changes = np.diff(out, axis=0) != 0
    assert (changes[:, [8, 17]].mean(axis=0) < 0.15).all()
    assert (changes[:, [*range(7), *range(9, 17)]].mean(axis=0) > 0.99).all()
    assert np.abs(np.corrcoef(out[:, 8], out[:, 17])[0, 1]) < 0.3
    assert not out[:, [7, *range(18, 32)]].any()


def test_waypoints_are_held_near_their_centre():
    centre, spread = [0.0] * 32, [0.0] * 32
    centre[:3], spread[:3] = [0.5, -0.9, 0.0], [0.1, 0.3, 1.0]
    out = sequence(seed=6, spec=replace(SPEC, waypoints=Waypoints(tuple(centre), tuple(spread), (3, 6))))
    lengths = [len(list(run)) for _, run in itertools.groupby(out[:, :7].tolist())][:-1]
    assert set(lengths) == {3, 4, 5, 6}
    assert 0.4 <= out[:, 0].min() < 0.42 < 0.58 < out[:, 0].max() <= 0.6
    assert out[:, 1].min() == -1.0
    assert not out[:, 3:7].any()
