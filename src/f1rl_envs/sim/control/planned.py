"""``ee_pose``: an action is a pose; a planner finds the way, and one step of the environment carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.sim.control.modes import JOINT_BOUND
from f1rl_envs.sim.control.planning import Plan, load_planner
from f1rl_envs.sim.control.single import ArmDrives, RobotControl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.embodiments import Embodiment

MAX_CONTROL_PERIODS = 100
"""Control periods that one action may take; a longer way is broken off, and the next action goes on from there."""
SETTLE_PERIODS = 4
"""Control periods at the end of a way, for the arm to catch up with its target."""
_STREAM = 3
"""Separates the planner's random stream from the other draws of an episode's seed."""


class PlannedControl(RobotControl):
    """Takes a pose for each arm: position in the workspace box, and a quaternion ``w, x, y, z`` of any length.

    A quaternion of nearly no length keeps the orientation that the arm has. A pose that cannot be reached, or to which
    no free way is found, moves nothing but the grippers.
    """

    def __init__(self, robot: Embodiment, mode: str, action_scale: float, planner: str, control_freq: int) -> None:
        """Load the planner.

        Args:
            robot: the embodiment.
            mode: a mode that plans.
            action_scale: speed as a share of 0.1 rad per control period.
            planner: its name.
            control_freq: control periods per second.

        Raises:
            PlannerError: if the planner is not installed, or cannot run on this machine.
        """
        self._planner = load_planner(planner, robot, JOINT_BOUND * action_scale * control_freq, 1.0 / control_freq)
        self._plan = Plan(True, None)
        self._periods = 0
        super().__init__(robot, mode, action_scale)

    def _set_rules(self, mode: str, action_scale: float) -> None:
        self._kinematics = [arm_kinematics(drives.arm) for drives in self.arms]

    def bind(self, agent: RobotAgent, scene: Any) -> None:
        """As :meth:`RobotControl.bind`."""
        super().bind(agent, scene)
        self._planner.bind(agent, scene)

    def reset(self, seed: int) -> None:
        """As :meth:`RobotControl.reset`."""
        super().reset(seed)
        self._rng = np.random.default_rng((_STREAM, seed))

    def periods(self, command: np.ndarray) -> Iterator[None]:
        """As :meth:`RobotControl.periods`: plan, then yield once for each control period of the way."""
        self._wanted = [self._pose(i, command[drives.entries]) for i, drives in enumerate(self.arms)]
        start = np.concatenate([drives.target for drives in self.arms]).astype(np.float64)
        self._plan = self._planner.plan(start, self._wanted, self._rng)
        for drives in self.arms:
            drives.set_gripper(float(command[drives.entries.stop]))
        targets = self._targets(start)
        self._periods = len(targets)
        for joints in targets:
            _set_targets(self.arms, joints)
            yield

    def _targets(self, start: np.ndarray) -> np.ndarray:
        """Return the joints of each control period: the way with its end held, or the start once."""
        way = self._plan.trajectory
        if way is None:
            return start[None]
        return np.concatenate([way, np.repeat(way[-1:], SETTLE_PERIODS, axis=0)])[:MAX_CONTROL_PERIODS]

    def _pose(self, i: int, command: np.ndarray) -> np.ndarray:
        """Return the commanded pose of arm ``i``, ``[4, 4]`` in the frame of its base."""
        pose = self._kinematics[i].forward(self.arms[i].target.astype(np.float64))
        pose[:3, 3] = command[:3]
        quaternion = command[3:].astype(np.float64)
        length = np.linalg.norm(quaternion)
        if length > 1e-3:
            pose[:3, :3] = rotations.from_quaternion(quaternion / length, np)
        return pose

    def report(self) -> dict[str, Any]:
        """Return what became of the last action.

        ``reachable``: all poses have joints within the limits. ``planned``: a free way was found. ``target_distance``:
        metres between the worst arm's target and its pose now. ``control_periods``: how long the action took.
        """
        distances = [
            float(kinematics.distance(pose, kinematics.forward(drives.target.astype(np.float64)))[0])
            for kinematics, pose, drives in zip(self._kinematics, self._wanted, self.arms, strict=True)
        ]
        return {
            "reachable": self._plan.reachable,
            "planned": self._plan.trajectory is not None,
            "target_distance": max(distances),
            "control_periods": self._periods,
        }


def _set_targets(arms: list[ArmDrives], joints: np.ndarray) -> None:
    """Give each arm its share of the joints ``[J]`` of all arms."""
    begin = 0
    for drives in arms:
        drives.set_target(joints[begin : begin + len(drives.target)])
        begin += len(drives.target)
