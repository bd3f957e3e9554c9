"""Every robot in the simulator: it loads, follows its targets, keeps its shape and grips."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sapien

from env_configs import simulator
from f1rl_envs.sim import make, render
from f1rl_envs.sim.embodiments import ARMS

pytestmark = pytest.mark.sim

STEP = 0.03
"""Change of a joint's target by an action of 1 at the scale of the tests, in radians."""


def config_of(*arms, distance=None, **changes):
    """Return an environment with an empty table and one small picture."""
    plain = {"randomization__random_background": False, "randomization__cluttered_table": False}
    small = {"camera__names": ["wrist"], "camera__resolution": 32}
    return simulator(**{"embodiment": {"arms": list(arms), "distance": distance}, **small, **plain, **changes})


@pytest.fixture(scope="module", params=ARMS)
def arm(request):
    """A single arm."""
    return ARMS[request.param]


@pytest.fixture(scope="module")
def env(arm):
    """That arm at an empty table."""
    built = make(config_of(arm.name))
    yield built
    built.close()


class Joints:
    """The arm's joints in the running episode."""

    def __init__(self, env, arm):
        self.robot = env.base.agent.robot._objs[0]
        self.index = env.base.agent.joint_indices(arm.joints)
        self.count = len(arm.joints)

    @property
    def position(self):
        return self.robot.qpos[self.index]

    @property
    def target(self):
        return np.array([self.robot.active_joints[i].drive_target[0] for i in self.index])


def state_of(env):
    """Return everything of the robot that moves."""
    robot = env.base.agent.robot._objs[0]
    return np.concatenate([robot.qpos, robot.qvel])


def test_it_loads_with_the_limits_of_the_table(env, arm):
    env.reset(seed=0)
    robot = env.base.agent.robot._objs[0]
    limits = robot.qlimits
    np.testing.assert_allclose(limits[env.base.agent.joint_indices(arm.joints)], arm.limits, atol=1e-3)
    assert robot.dof == len(arm.joints) + len(arm.fingers)
    for finger in arm.fingers:
        (low, high) = limits[env.base.agent.joint_indices([finger.joint])][0]
        np.testing.assert_allclose((low, high), sorted((finger.closed, finger.open)), atol=1e-3)


def test_200_random_steps_without_a_warning_and_the_same_again(env, arm, capfd):
    states = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            env.action_space.seed(0)
            for seed in range(4):
                env.reset(seed=seed, options={"scene_seed": 3})
                for _ in range(50):
                    observation = env.step(env.action_space.sample())[0]
                    assert env.observation_space.contains(observation)
            states.append(state_of(env))
    np.testing.assert_array_equal(states[0], states[1])
    assert "[" not in "".join(capfd.readouterr()).replace("rendering on", "")  # SAPIEN marks its messages so


def test_it_starts_above_the_table_with_room_to_move(env, arm):
    tips = []
    for seed in range(5):
        env.reset(seed=seed)
        link = env.base.agent.robot.links_map[arm.tcp_link].pose
        tips.append((link * sapien.Pose(arm.tcp_offset)).p[0].numpy())
        assert not touching(env)
    x, y, z = np.mean(tips, axis=0)
    assert -0.05 < x < 0.3
    assert abs(y) < 0.05
    assert 0.05 < z < 0.25


def touching(env):
    """Return whether anything touches the robot, itself included."""
    scene = env.base.scene.sub_scenes[0]
    links = {link.entity.name for link in env.base.agent.robot._objs[0].links}
    scene.physx_system.step()
    return any(
        any(body.entity.name in links for body in contact.bodies)
        and any(point.separation < 0 for point in contact.points)
        for contact in scene.physx_system.get_contacts()
    )


def test_targets_are_followed_within_the_stated_bounds(env, arm):
    rng, lags = np.random.default_rng(0), []
    action = np.zeros(32, np.float32)
    for seed in range(2):
        env.reset(seed=seed, options={"scene_seed": 3})
        joints = Joints(env, arm)
        for _ in range(50):
            action[: joints.count] = rng.uniform(-1, 1, joints.count)
            env.step(action)
            lags.append(np.abs(joints.target - joints.position))
    assert np.mean(lags) < 0.01
    assert np.max(lags) < 0.03
    env.reset(seed=0, options={"scene_seed": 3})
    joints = Joints(env, arm)
    start, direction = joints.position, np.resize([1.0, -1.0], joints.count)
    action[: joints.count] = direction
    shares = []
    for _ in range(12):
        env.step(action)
        action[: joints.count] = 0.0
        shares.append((joints.position - start) * direction / STEP)
    assert 0.5 < np.mean(shares[0]) < 0.8  # within its own step
    assert np.min(shares[1]) > 0.8  # by the end of the next
    assert np.max(shares) < 1.1
    np.testing.assert_allclose(shares[-1], 1.0, atol=0.03)


def test_it_folds_onto_itself_without_exploding(arm):
    """500 steps of the largest actions, in directions that are held: the arm presses on itself and on the table."""
    env = make(config_of(arm.name, control__action_scale=1.0))
    rng = np.random.default_rng(0)
    for seed in range(10):
        env.reset(seed=seed, options={"scene_seed": 3})
        direction = np.sign(rng.uniform(-1, 1, 32)).astype(np.float32)
        for _ in range(50):
            state = env.step(direction)[0]["state"]
            assert np.abs(state).max() < 1.05
            joints = Joints(env, arm)
            # Commands reach 2 rad/s, a light link that snaps off an obstacle 10; an explosion is far beyond.
            assert np.abs(joints.robot.qvel[joints.index]).max() < 15.0
    env.close()


@pytest.fixture(scope="module", params=[("franka", "franka"), ("franka", "ur5")], ids="-".join)
def pair(request):
    """A pair with all its cameras."""
    cameras = ["head", "wrist", "wrist_right"]
    built = make(config_of(*request.param, distance=0.5, camera__names=cameras, control__action_scale=1.0))
    yield built
    built.close()


def test_a_pair_moves_as_its_actions_say(pair):
    known, base = pair.env_spec, pair.base
    left, right = base.agent.embodiment.arms
    assert known.grippers == (8, 17)
    for arm, first in ((left, 0), (right, 9)):
        for joint in range(len(arm.joints)):
            pair.reset(seed=joint, options={"scene_seed": 3})
            before = state_of(pair)
            action = np.zeros(32, np.float32)
            action[list(known.grippers)] = 1.0
            action[first + joint] = 0.3
            pair.step(action)
            action[first + joint] = 0.0
            for _ in range(15):
                pair.step(action)
            moved = (state_of(pair) - before)[: base.agent.robot.max_dof]
            (index,) = base.agent.joint_indices([arm.joints[joint]])
            np.testing.assert_allclose(moved[index], STEP, atol=1e-3)
            assert np.abs(np.delete(moved, index)).max() < 1.5e-3


def test_a_pair_explores_without_a_warning_and_the_same_again(pair):
    ends = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            pair.action_space.seed(0)
            for seed in range(4):
                observation, _ = pair.reset(seed=seed, options={"scene_seed": 3})
                assert not touching(pair)
                for _ in range(50):
                    observation = pair.step(pair.action_space.sample())[0]
                    assert pair.observation_space.contains(observation)
            ends.append((state_of(pair), observation["image"]))
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_the_arms_of_a_pair_do_not_pass_through_each_other(pair):
    """Both turn towards the middle until they touch."""
    action = np.zeros(32, np.float32)
    action[0], action[9] = -1.0, 1.0
    pair.reset(seed=0, options={"scene_seed": 3})
    sides = set()
    for _ in range(25):
        pair.step(action)
        for contact in pair.base.scene.sub_scenes[0].physx_system.get_contacts():
            names = [body.entity.name for body in contact.bodies]
            if any("left_" in n for n in names) and any("right_" in n for n in names):
                sides.add(tuple(names))
    assert sides
    turns = pair.base.agent.joint_indices([arm.joints[0] for arm in pair.base.agent.embodiment.arms])
    assert np.abs(state_of(pair)[turns]).max() < 1.6  # 2.5 rad were commanded


class GripTrial:
    """One arm and a cube between its fingers, in bare SAPIEN."""

    def __init__(self, arm):
        render.setup("auto")
        self.arm, self.scene = arm, sapien.Scene()
        self.scene.set_timestep(1 / 200)
        loader = self.scene.create_urdf_loader()
        loader.fix_root_link = True
        for link in arm.finger_links:
            loader.set_link_material(link, 2.0, 2.0, 0.0)
        self.robot = loader.load(str(arm.urdf))
        for link in self.robot.links:
            link.disable_gravity = True
        self.joints = {joint.name: joint for joint in self.robot.active_joints}
        self.robot.set_qpos([self._start(name) for name in self.joints])
        for name, joint in self.joints.items():
            finger = name not in arm.joints
            gains = (arm.finger_stiffness, arm.finger_damping) if finger else (arm.stiffness, arm.damping)
            joint.set_drive_properties(*gains, arm.finger_force_limit if finger else arm.force_limit)
            joint.set_drive_target(self._start(name))
        (self.tcp,) = (link for link in self.robot.links if link.name == arm.tcp_link)
        builder = self.scene.create_actor_builder()
        builder.add_box_collision(half_size=[0.015] * 3, density=0.04 / 0.03**3)
        self.cube = builder.build("cube")
        self.cube.set_pose(self._tip())

    def _start(self, name):
        positions = dict(zip(self.arm.joints, self.arm.home, strict=True))
        return (positions | {finger.joint: finger.open for finger in self.arm.fingers})[name]

    def _tip(self):
        return self.tcp.entity_pose * sapien.Pose(self.arm.tcp_offset)

    def run(self, seconds, gravity):
        (body,) = (c for c in self.cube.components if isinstance(c, sapien.physx.PhysxRigidDynamicComponent))
        body.disable_gravity = not gravity
        for _ in range(int(200 * seconds)):
            self.scene.step()
        return np.linalg.norm(self._tip().p - self.cube.pose.p)


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if len(arm.fingers) == 2])
def test_it_holds_a_cube(name):
    """40 g, 3 cm: closed around it, let go of by whatever held it, and carried around."""
    trial = GripTrial(ARMS[name])
    for finger in trial.arm.fingers:
        trial.joints[finger.joint].set_drive_target(finger.closed)
    assert trial.run(0.5, gravity=False) < 0.01
    assert trial.run(0.5, gravity=True) < 0.01
    trial.joints[trial.arm.joints[0]].set_drive_target(trial.arm.home[0] + 0.3)
    assert trial.run(1.0, gravity=True) < 0.015
