"""Kinematics and target rules: numpy and torch, one arm and many, near and far from limits and singularities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.chain import read_chain
from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.sim.control.targets import MAX_POSE_LEAD, PoseDelta, is_reached, rule
from f1rl_envs.sim.embodiments import ARMS

ARM = pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
FULL = {name: arm for name, arm in ARMS.items() if len(arm.joints) >= 6}


def postures(arm, count, spread, seed=0):
    """Return random postures around home, ``[count, J]``, a tenth of the range away from the limits."""
    rng, limits = np.random.default_rng(seed), np.array(arm.limits)
    margin = 0.1 * (limits[:, 1] - limits[:, 0])
    joints = np.array(arm.home) + rng.uniform(-spread, spread, (count, len(arm.home)))
    return np.clip(joints, limits[:, 0] + margin, limits[:, 1] - margin)


def test_rotations_agree_with_each_other():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 3))
    vectors[0] = 0.0
    vectors[1] = [1e-9, 0.0, 0.0]
    matrices = rotations.from_vector(vectors, np)
    angles = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(matrices @ matrices.swapaxes(-1, -2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    half = np.minimum(angles, 2 * np.pi - angles)
    np.testing.assert_allclose(rotations.angle_between(matrices, np.eye(3), np), half, atol=1e-7)
    axes = vectors / np.maximum(angles, 1e-12)[:, None]
    quaternions = np.concatenate([np.cos(angles / 2)[:, None], np.sin(angles / 2)[:, None] * axes], axis=1)
    np.testing.assert_allclose(rotations.from_quaternion(quaternions, np), matrices, atol=1e-9)
    back = np.array([rotations.to_quaternion(matrix) for matrix in matrices])
    np.testing.assert_allclose(np.abs((back * quaternions).sum(axis=1)), 1.0, atol=1e-9)  # the same, up to its sign
    error = rotations.error(matrices, np.tile(np.eye(3), (50, 1, 1)), np)
    np.testing.assert_allclose(error, np.sin(angles)[:, None] * axes, atol=1e-9)


@ARM
def test_the_jacobian_is_the_derivative(arm):
    kinematics = arm_kinematics(arm)
    joints = postures(arm, 1, 0.3)[0]
    tip, jacobian = kinematics.jacobian(joints)
    for j in range(len(joints)):
        step = np.zeros(len(joints))
        step[j] = 1e-6
        moved = kinematics.forward(joints + step)
        np.testing.assert_allclose((moved[:3, 3] - tip[:3, 3]) / 1e-6, jacobian[:3, j], atol=1e-5)
        turn = rotations.error(moved[:3, :3], tip[:3, :3], np) / 1e-6
        np.testing.assert_allclose(turn, jacobian[3:, j], atol=1e-5)


@ARM
def test_numpy_and_torch_and_single_and_batch_agree(arm):
    joints = postures(arm, 64, 0.5)
    single, batch = arm_kinematics(arm), arm_kinematics(arm, torch, "cpu")
    target = single.forward(joints + 0.03)
    expected = single.inverse(joints, target)
    np.testing.assert_allclose(batch.inverse(torch.tensor(joints), torch.tensor(target)).numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(single.inverse(joints[3], target[3]), expected[3], atol=1e-12)


@pytest.mark.parametrize("mode", ["delta_qpos", "delta_ee_pos", "delta_ee", "qpos"])
@ARM
def test_a_batch_follows_the_same_rule_as_one_scene(arm, mode):
    """Over 30 steps, with measured joints that lag behind: the targets of numpy and of a torch batch stay together."""
    scenes, width = 8, {"delta_ee_pos": 3, "delta_ee": 6}.get(mode, len(arm.joints))
    single = rule(mode, arm_kinematics(arm), 0.5)
    batch = rule(mode, arm_kinematics(arm, torch, "cpu"), 0.5)
    rng = np.random.default_rng(1)
    position = postures(arm, scenes, 0.3).astype(np.float32)
    targets, tensor = position.copy(), torch.tensor(position)
    for _ in range(30):
        bound = 0.03 if mode != "qpos" else 1.0
        command = rng.uniform(-bound, bound, (scenes, width)).astype(np.float32)
        targets = np.stack([single.advance(*row)[0] for row in zip(targets, command, position, strict=True)])
        targets = targets.astype(np.float32)
        tensor = batch.advance(tensor, torch.tensor(command), torch.tensor(position))[0].float()
        position = position + 0.6 * (targets - position)
    np.testing.assert_allclose(tensor.numpy(), targets, atol=2e-5)
    limits = np.array(arm.limits, np.float32)
    assert (targets >= limits[:, 0] - 1e-6).all()
    assert (targets <= limits[:, 1] + 1e-6).all()


@pytest.mark.parametrize("arm", FULL.values(), ids=FULL)
def test_a_pose_delta_moves_the_target_by_the_commanded_pose(arm):
    kinematics = arm_kinematics(arm)
    joints = postures(arm, 300, 0.3)
    rng = np.random.default_rng(2)
    command = rng.uniform(-1, 1, (300, 6)) * np.repeat([0.015, 0.06], 3)
    moved, miss = PoseDelta(kinematics).advance(joints, command, joints)
    before, after = kinematics.forward(joints), kinematics.forward(moved)
    reached = is_reached(miss)
    assert reached.mean() > 0.97
    shift = after[:, :3, 3] - before[:, :3, 3] - command[:, :3]
    turned = rotations.from_vector(command[:, 3:], np) @ before[:, :3, :3]
    angle = rotations.angle_between(after[:, :3, :3], turned, np)
    assert np.linalg.norm(shift, axis=1)[reached].max() < 1e-3
    assert np.quantile(np.linalg.norm(shift, axis=1), 0.95) < 1e-5
    assert angle[reached].max() < 1e-2
    np.testing.assert_allclose(miss, np.stack([np.linalg.norm(shift, axis=1), angle], 1), atol=1e-9)


@ARM
def test_an_unreachable_place_is_reported_and_nothing_jumps_or_winds_up(arm):
    kinematics, pose = arm_kinematics(arm), PoseDelta(arm_kinematics(arm))
    target = np.array(arm.home)
    reports = []
    for _ in range(200):
        moved, miss = pose.advance(target, np.array([0.05, 0.0, 0.0]), target)
        assert np.abs(moved - target).max() <= MAX_POSE_LEAD + 1e-9
        assert np.isfinite(moved).all()
        target = moved
        reports.append((bool(is_reached(miss)), float(miss[0])))
    assert not reports[-1][0]
    assert 0.01 < reports[-1][1] <= 0.06
    back, miss = pose.advance(target, np.array([-0.02, 0.0, 0.0]), target)
    for _ in range(4):
        back, miss = pose.advance(back, np.array([-0.02, 0.0, 0.0]), back)
    assert kinematics.forward(back)[0, 3] < kinematics.forward(target)[0, 3] - 0.03  # it comes back at once


@ARM
def test_a_far_joint_command_is_approached_straight_and_reached(arm):
    approach = rule("qpos", arm_kinematics(arm), 0.5)
    start, goal = np.array(arm.home), postures(arm, 1, 0.8, seed=3)[0]
    target, steps = start, 0
    while not np.allclose(target, goal, atol=1e-6):
        moved, _ = approach.advance(target, goal, target)
        assert np.abs(moved - target).max() <= 0.05 + 1e-9
        share = (moved - start) / np.where(goal == start, 1.0, goal - start)
        moving = np.abs(goal - start) > 1e-6
        assert np.ptp(share[moving]) < 1e-6
        target, steps = moved, steps + 1
    assert steps == int(np.ceil(np.abs(goal - start).max() / 0.05 - 1e-9))


@ARM
def test_a_far_pose_is_polished_to_its_place(arm):
    """From 0.1 rad away, as a coarse solver leaves it; an arm that cannot turn freely still goes to the place."""
    kinematics = arm_kinematics(arm)
    joints = postures(arm, 100, 0.3)
    wanted = kinematics.forward(joints)
    if not kinematics.full:
        wanted[..., :3, :3] = rotations.from_vector(np.array([0.0, 0.0, 0.5]), np) @ wanted[..., :3, :3]
    found = kinematics.inverse_from_far(joints + 0.1, wanted)
    assert is_reached(kinematics.distance(wanted, kinematics.forward(found))).mean() > 0.95


def test_a_chain_with_other_joints_is_refused():
    arm = ARMS["franka"]
    with pytest.raises(ValueError, match="lie the joints"):
        read_chain(arm.urdf, arm.joints[:-1], arm.tcp_link)
