"""The robots as ManiSkill agents, made from the table of embodiments.

Gravity is switched off for the links, as a robot's own compensation does; each arm's module says how its gains do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sapien
import torch
from mani_skill.agents.base_agent import BaseAgent, Keyframe
from mani_skill.agents.controllers import PDJointPosControllerConfig, PDJointPosMimicControllerConfig
from mani_skill.agents.registration import REGISTERED_AGENTS, register_agent

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.control.batched import arm_controller, reach_report
from f1rl_envs.sim.embodiments import ARMS, Arm, Embodiment, embodiment
from f1rl_envs.sim.embodiments.collisions import collision_masks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class RobotAgent(BaseAgent):
    """The robot that :attr:`embodiment` describes: one arm with a gripper, or a pair of them."""

    embodiment: Embodiment

    def __init__(self, *args: Any, action_scale: float = 1.0, **kwargs: Any) -> None:
        """Build the robot.

        Args:
            *args: as :class:`BaseAgent`.
            action_scale: share of the joint bounds that an action of 1 commands.
            **kwargs: as :class:`BaseAgent`.
        """
        self.action_scale = action_scale
        super().__init__(*args, **kwargs)

    def _after_loading_articulation(self) -> None:
        """Set what the loader cannot: the rotors' inertia, a pair's collision groups, and the keyframe ``rest``.

        The order of the joints is known only now.
        """
        super()._after_loading_articulation()
        robot = self.embodiment
        self._set_armatures()
        if len(robot.arms) > 1:
            self._set_collision_groups(collision_masks(robot.arms))
        qpos = np.zeros(self.robot.max_dof, np.float32)
        for arm in robot.arms:
            qpos[self.joint_indices(arm.joints)] = arm.home
            qpos[self.joint_indices([finger.joint for finger in arm.fingers])] = [f.open for f in arm.fingers]
        self.keyframes = {"rest": Keyframe(pose=sapien.Pose(robot.root_position), qpos=qpos)}

    def _set_armatures(self) -> None:
        """Add the inertia of the motors' rotors to the joints."""
        for arm in self.embodiment.arms:
            for name in (*arm.joints, *(finger.joint for finger in arm.fingers)):
                for joint in self.robot.joints_map[name]._objs:
                    joint.set_armature([arm.armature])

    def _set_collision_groups(self, masks: Mapping[str, int]) -> None:
        """Let links that share a bit pass through each other; the loader does this for a single arm."""
        for link in self.robot.links:
            for shape in (shape for body in link._objs for shape in body.collision_shapes):
                groups = list(shape.get_collision_groups())
                groups[2] |= masks.get(link.name, 0)
                shape.set_collision_groups(groups)

    def joint_indices(self, names: Sequence[str]) -> list[int]:
        """Return where joints are in ``qpos``; in a pair, SAPIEN's order alternates between the arms."""
        order = [joint.name for joint in self.robot.active_joints]
        return [order.index(name) for name in names]

    @property
    def _controller_configs(self) -> dict[str, Any]:
        """The control modes; ManiSkill asks for them under this name."""
        return {mode: self._mode_configs(mode) for mode in modes.MODES if mode not in modes.PLANNING_MODES}

    def _mode_configs(self, mode: str) -> dict[str, Any]:
        configs: dict[str, Any] = {}
        for arm in self.embodiment.arms:
            configs[f"{arm.prefix}arm"] = arm_controller(arm, mode, self.action_scale)
            configs[f"{arm.prefix}gripper"] = self._gripper_controller(arm)
        return configs

    def _gripper_controller(self, arm: Arm) -> PDJointPosControllerConfig:
        """All fingers of a gripper get the target of the first; they are equal in range and direction."""
        first, *others = arm.fingers
        names = [finger.joint for finger in arm.fingers]
        settings = {
            "lower": first.closed,
            "upper": first.open,
            "stiffness": arm.finger_stiffness,
            "damping": arm.finger_damping,
            "force_limit": arm.finger_force_limit,
        }
        if not others:
            return PDJointPosControllerConfig(names, **settings)
        mimic = {finger.joint: {"joint": first.joint} for finger in others}
        return PDJointPosMimicControllerConfig(names, mimic=mimic, **settings)

    def set_action(self, action: torch.Tensor) -> None:
        """Hand a normalised action ``[N, A]`` to the controller.

        Raises:
            ValueError: if an entry is not a number (checked on the CPU only, where it costs nothing).
        """
        if not self.scene.gpu_sim_enabled and not torch.isfinite(action).all():
            raise ValueError(f"action must be finite, got {action}")
        self.controller.set_action(action)

    def reach_report(self) -> dict[str, torch.Tensor]:
        """Return what :func:`~f1rl_envs.sim.control.batched.reach_report` does of all arms."""
        return reach_report(self.controller.controllers)


def agent_class(robot: Embodiment) -> type[RobotAgent]:
    """Return the ManiSkill agent of ``robot``, registered as ``f1rl_`` and its name."""
    uid = f"f1rl_{robot.name}"
    if uid not in REGISTERED_AGENTS:
        rubber = {"material": "rubber", "patch_radius": 0.1, "min_patch_radius": 0.1}
        body = {
            "__doc__": f"The embodiment {robot.name}.",
            "uid": uid,
            "embodiment": robot,
            "urdf_path": str(robot.urdf),
            "urdf_config": {
                "_materials": {"rubber": {"static_friction": 2.0, "dynamic_friction": 2.0, "restitution": 0.0}},
                "link": {link: dict(rubber) for arm in robot.arms for link in arm.finger_links},
            },
        }
        register_agent()(type(uid, (RobotAgent,), body))
    return REGISTERED_AGENTS[uid].agent_cls


AGENTS = {name: agent_class(embodiment({"arms": [name], "distance": None})).uid for name in ARMS}
"""ManiSkill's names of the single arms; pairs are registered when they are first asked for."""
