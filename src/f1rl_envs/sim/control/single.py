"""Drive one scene on the CPU through SAPIEN's own objects: from an action to the drives' targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.sim.control.targets import Rule, is_reached, rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.embodiments import Arm, Embodiment


class ArmDrives:
    """The drives of one arm and of its fingers, and the joint target that they hold."""

    def __init__(self, arm: Arm, entries: slice) -> None:
        """Take the arm, and which entries of a command are its own; the gripper's comes right after them."""
        self.arm = arm
        self.entries = entries
        self.target = np.zeros(len(arm.joints), np.float32)
        """``float32 [J]``, the joint target in radians."""
        self._fingers = [((f.open + f.closed) / 2, (f.open - f.closed) / 2) for f in arm.fingers]

    def bind(self, agent: RobotAgent) -> None:
        """Look up the SAPIEN objects, which change with each scene."""
        joints = agent.robot.joints_map
        self._articulation = agent.robot._objs[0]
        self._indices = np.array(agent.joint_indices(self.arm.joints))
        self._drives = [joints[name]._objs[0].set_drive_target for name in self.arm.joints]
        self._finger_drives = [joints[finger.joint]._objs[0].set_drive_target for finger in self.arm.fingers]

    @property
    def position(self) -> np.ndarray:
        """Measured joints, ``float32 [J]`` in radians."""
        return self._articulation.qpos[self._indices]

    def set_target(self, target: np.ndarray) -> None:
        """Give the joints ``[J]`` to the drives."""
        self.target[:] = target
        for drive, value in zip(self._drives, self.target.tolist(), strict=True):
            drive(value)

    def set_gripper(self, command: float) -> None:
        """Give the fingers their share of an opening from -1 (closed) to 1 (open)."""
        for drive, (middle, half_range) in zip(self._finger_drives, self._fingers, strict=True):
            drive(middle + half_range * command)


class RobotControl:
    """The controller of a mode without a planner, and what those with one share."""

    def __init__(self, robot: Embodiment, mode: str, action_scale: float) -> None:
        """Prepare the maps of the mode; :meth:`bind` and :meth:`reset` come before the first action."""
        self._actions = modes.actions(robot, mode, action_scale)
        self._action = np.zeros(len(self._actions.layout.mask), np.float32)
        self._command = np.zeros(self._actions.size, np.float32)
        self.arms: list[ArmDrives] = []
        """One for each arm."""
        start = 0
        for arm, entries in zip(robot.arms, self._actions.layout.arms, strict=True):
            self.arms.append(ArmDrives(arm, slice(start, start + len(entries))))
            start += len(entries) + 1
        self._set_rules(mode, action_scale)

    def _set_rules(self, mode: str, action_scale: float) -> None:
        self._rules: list[Rule] = [rule(mode, arm_kinematics(drives.arm), action_scale) for drives in self.arms]
        self._misses: list[np.ndarray | None] = [None] * len(self.arms)

    def bind(self, agent: RobotAgent, scene: Any) -> None:
        """Look up the SAPIEN objects of ``agent``, in the ``sapien.Scene`` that holds them."""
        for drives in self.arms:
            drives.bind(agent)

    def reset(self, seed: int) -> None:
        """Begin an episode: hold the arms where they are, with open grippers; ``seed`` decides what is random."""
        for drives in self.arms:
            drives.set_target(drives.position)
            drives.set_gripper(1.0)

    def command(self, action: np.ndarray) -> np.ndarray:
        """Return what ``action`` (``[32]``, clipped to [-1, 1]) commands, in physical units; nothing moves yet.

        Raises:
            ValueError: if a real entry is not a number.
        """
        np.clip(action, -1.0, 1.0, out=self._action)
        command = self._actions.denormalize(self._action, out=self._command)
        if not np.isfinite(command).all():
            raise ValueError(f"action must be finite, got {np.asarray(action)[list(self._actions.layout.entries)]}")
        return command

    def periods(self, command: np.ndarray) -> Iterator[None]:
        """Carry out a command: set the drives and yield once for each control period that is to be simulated."""
        for i, (drives, rule_) in enumerate(zip(self.arms, self._rules, strict=True)):
            target, self._misses[i] = rule_.advance(drives.target, command[drives.entries], drives.position)
            drives.set_target(target)
            drives.set_gripper(float(command[drives.entries.stop]))
        yield

    def report(self) -> dict[str, Any]:
        """Return what there is to tell of the last command: nothing for joints; of poses whether they were reachable.

        ``reachable`` (of all arms), and ``target_distance``, the metres by which the worst target misses its command.
        """
        misses = [miss for miss in self._misses if miss is not None]
        if not misses:
            return {}
        return {
            "reachable": all(bool(is_reached(miss)) for miss in misses),
            "target_distance": max(float(miss[0]) for miss in misses),
        }


def make_control(robot: Embodiment, control: Mapping[str, Any], control_freq: int) -> RobotControl:
    """Return the controller of a configuration; a planner is imported only if the mode plans.

    Args:
        robot: the embodiment.
        control: ``mode``, ``action_scale`` and ``planner``.
        control_freq: control periods per simulated second.

    Raises:
        PlannerError: if the planner is not installed, or cannot run on this machine.
    """
    if control["mode"] in modes.PLANNING_MODES:
        from f1rl_envs.sim.control.planned import PlannedControl

        return PlannedControl(robot, control["mode"], control["action_scale"], control["planner"], control_freq)
    return RobotControl(robot, control["mode"], control["action_scale"])
