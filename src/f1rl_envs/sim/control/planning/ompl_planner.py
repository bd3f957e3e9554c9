"""Planning on the CPU: SAPIEN's inverse kinematics, OMPL's RRT-Connect, TOPP-RA's timing, fcl's collision checks.

1. Joints for each pose, from several starts (those of pinocchio, which is built into SAPIEN); those within the limits
   and free of collisions are goals, the closest first.
2. A way to a goal: RRT-Connect (Kuffner and LaValle 2000), then shortcuts.
3. Its timing: TOPP-RA (Pham and Pham 2018) under bounds of speed and acceleration, along a spline through points so
   close together that it hugs the way; the result is checked once more.

Everything random comes from the generator that is given, and nothing depends on the clock: the search ends after a
number of steps, so that the same seed gives the same way.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import sapien
import toppra
from ompl import base, geometric, util

from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.sim.control.planning import Plan, link_pose_in_root
from f1rl_envs.sim.control.planning.collision import CollisionModel
from f1rl_envs.sim.control.targets import is_reached

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.embodiments import Arm, Embodiment

ATTEMPTS = 24
"""Starts of the inverse kinematics for each arm."""
GOALS = 4
"""Goals to which a way is searched, one after another."""
_IK_STEPS = 200
_SEARCH_STEPS = 3000
"""Samples of RRT-Connect after which a goal is given up."""
_RANGE = 0.6
"""Longest branch of its trees in radians."""
_CHECK_STEP = 0.04
"""Distance in radians between the postures that are checked along a way."""
_SHORTCUTS = 40
_ACCELERATION = 4.0
"""Full speed is reached within a quarter of a second."""
_SPACINGS = (0.2, 0.08, 0.04)
"""Distances in radians of the spline's points; the next is taken when the spline cuts a corner into something."""

util.noOutputHandler()


class OmplPlanner:
    """Plans the joints of all arms of a robot together."""

    def __init__(self, robot: Embodiment, speed: float, period: float) -> None:
        """Take the robot, the fastest joint speed in rad/s, and the control period in seconds."""
        self._robot = robot
        self._speed, self._period = speed, period
        self._kinematics = [arm_kinematics(arm) for arm in robot.arms]
        self._limits = np.concatenate([np.array(arm.limits) for arm in robot.arms])
        self._collisions: CollisionModel | None = None

    def bind(self, agent: RobotAgent, scene: sapien.Scene) -> None:
        """As :meth:`Planner.bind`."""
        self._articulation, self._scene = agent.robot._objs[0], scene
        if self._collisions is not None:
            return  # every scene has the same robot
        self._model = self._articulation.create_pinocchio_model()
        names = [link.name for link in agent.robot.links]
        self._tips = [names.index(arm.tcp_link) for arm in self._robot.arms]
        self._arms = [np.array(agent.joint_indices(arm.joints)) for arm in self._robot.arms]
        self._joints = np.concatenate(self._arms)
        home = np.array(agent.keyframes["rest"].qpos, np.float64)
        self._collisions = CollisionModel(self._articulation, self._model, home)

    def plan(self, start: np.ndarray, poses: Sequence[np.ndarray], rng: np.random.Generator) -> Plan:
        """As :meth:`Planner.plan`."""
        start = np.clip(start, self._limits[:, 0] + 1e-6, self._limits[:, 1] - 1e-6)
        self._posture = self._articulation.qpos.astype(np.float64)
        solutions = [self._solve(i, pose, start, rng) for i, pose in enumerate(poses)]
        if not all(solutions):
            return Plan(False, None)
        self._collisions.observe(self._scene, self._articulation.pose, self._whole(start))
        for goal in self._goals(start, solutions):
            way = self._search(start, goal, rng)
            if way is not None:
                trajectory = self._timed(self._shortened(way, rng))
                if trajectory is not None:
                    return Plan(True, trajectory)
        return Plan(True, None)

    def _whole(self, joints: np.ndarray) -> np.ndarray:
        """Return the posture of the whole robot, fingers as they are, with the arms at ``joints``."""
        posture = self._posture.copy()
        posture[self._joints] = joints
        return posture

    def _is_free(self, joints: np.ndarray) -> bool:
        return self._collisions.is_free(self._whole(joints))

    def _solve(self, i: int, pose: np.ndarray, start: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """Return joints of arm ``i`` for a pose, within the limits, by their distance from the start."""
        kinematics = self._kinematics[i]
        own = _slices(self._robot.arms)[i]
        low, high = self._limits[own].T
        mask = np.isin(np.arange(len(self._posture)), self._arms[i]).astype(np.int32)
        target = sapien.Pose(link_pose_in_root(self._robot, self._robot.arms[i], pose))
        found: list[np.ndarray] = []
        guess = self._whole(start)
        for _ in range(ATTEMPTS):
            solution, _, _ = self._model.compute_inverse_kinematics(
                self._tips[i], target, initial_qpos=guess, active_qmask=mask, max_iterations=_IK_STEPS
            )
            joints = kinematics.inverse_from_far(np.clip(solution[self._arms[i]], low, high), pose)
            if is_reached(kinematics.distance(pose, kinematics.forward(joints))):
                found.append(joints)
            guess[self._arms[i]] = rng.uniform(low, high)
        return sorted(found, key=lambda joints: np.abs(joints - start[own]).max())

    def _goals(self, start: np.ndarray, solutions: list[list[np.ndarray]]) -> list[np.ndarray]:
        """Return the closest free goals, each arm's best with the others' best, second with second, and so on."""
        goals: list[np.ndarray] = []
        for k in range(max(map(len, solutions))):
            goal = np.concatenate([choices[min(k, len(choices) - 1)] for choices in solutions])
            distinct = all(np.abs(goal - other).max() > 0.05 for other in goals)
            if distinct and self._is_free(goal):
                goals.append(goal)
        return goals[:GOALS]

    def _search(self, start: np.ndarray, goal: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Return the corners of a free way ``[K, J]``, or None."""
        util.RNG.setSeed(int(rng.integers(1, 2**31)))
        space = base.RealVectorStateSpace(len(start))
        bounds = base.RealVectorBounds(len(start))
        for j, (low, high) in enumerate(self._limits.tolist()):
            bounds.setLow(j, low)
            bounds.setHigh(j, high)
        space.setBounds(bounds)
        information = base.SpaceInformation(space)
        columns = range(len(start))
        information.setStateValidityChecker(lambda state: self._is_free(np.array([state[j] for j in columns])))
        information.setStateValidityCheckingResolution(_CHECK_STEP / space.getMaximumExtent())
        information.setup()
        problem = base.ProblemDefinition(information)
        ends = [space.allocState(), space.allocState()]
        for state, joints in zip(ends, (start, goal), strict=True):
            for j in columns:
                state[j] = float(joints[j])
        problem.setStartAndGoalStates(*ends, 1e-6)
        search = geometric.RRTConnect(information)
        search.setRange(_RANGE)
        search.setProblemDefinition(problem)
        search.setup()
        if not search.solve(base.PlannerTerminationCondition(_after(_SEARCH_STEPS))):
            return None
        path = problem.getSolutionPath()
        return np.array([[state[j] for j in columns] for state in path.getStates()])

    def _shortened(self, way: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the way with detours between random places on it cut, wherever the straight line is free."""
        for _ in range(_SHORTCUTS if len(way) > 2 else 0):
            lengths = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1)))
            places = np.sort(rng.uniform(0.0, lengths[-1], 2))
            before, after = (np.array([np.interp(s, lengths, column) for column in way.T]) for s in places)
            if all(map(self._is_free, _points(np.stack([before, after]), _CHECK_STEP))):
                way = np.concatenate([way[lengths < places[0]], [before, after], way[lengths > places[1]]])
        return way

    def _timed(self, way: np.ndarray) -> np.ndarray | None:
        """Return the joints at the end of each control period on the way, ``[K, J]``, or None."""
        bound = np.full(way.shape[1], self._speed)
        constraints = [
            toppra.constraint.JointVelocityConstraint(np.stack([-bound, bound], 1)),
            toppra.constraint.JointAccelerationConstraint(_ACCELERATION * np.stack([-bound, bound], 1)),
        ]
        for spacing in _SPACINGS:
            points = _points(way, spacing)
            lengths = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
            if lengths[-1] < 1e-6:
                return points[-1:]
            spline = toppra.SplineInterpolator(lengths, points)
            timed = toppra.algorithm.TOPPRA(constraints, spline, parametrizer="ParametrizeConstAccel")
            trajectory = timed.compute_trajectory(0.0, 0.0)
            if trajectory is None:
                continue
            times = np.append(np.arange(self._period, trajectory.duration, self._period), trajectory.duration)
            joints = np.clip(trajectory(times), self._limits[:, 0], self._limits[:, 1])
            if all(map(self._is_free, _points(np.concatenate([way[:1], joints]), _CHECK_STEP))):
                return joints
        return None


def _slices(arms: Sequence[Arm]) -> list[slice]:
    """Return where each arm's joints lie among those of all arms."""
    ends = np.cumsum([len(arm.joints) for arm in arms])
    return [slice(int(end) - len(arm.joints), int(end)) for arm, end in zip(arms, ends, strict=True)]


def _points(way: np.ndarray, spacing: float) -> np.ndarray:
    """Return the way with points in between, so that no joint moves more than ``spacing`` from one to the next."""
    parts = [way[:1]]
    for before, after in itertools.pairwise(way):
        count = max(1, int(np.ceil(np.abs(after - before).max() / spacing)))
        if np.abs(after - before).max() > 1e-9:
            parts.append(before + (after - before) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(parts)


def _after(steps: int) -> Callable[[], bool]:
    """Return a function that is true from its ``steps``-th call on."""
    calls = iter(range(steps))
    return lambda: next(calls, None) is None
