"""The robots as ManiSkill agents, with the controller that all of them share.

**Delta targets.** An action moves the drive's *target*, not the measured position: what is commanded then adds up
exactly, whatever the drive's lag, and no sag creeps in. Two bounds keep the target honest: the joint limits, and
:data:`MAX_LEAD` around the measured position, so that an arm pressed against the table does not store up a long way
to jump when it comes free.

**Gains.** With stiffness 4000 and damping 200 the Panda does 62 % of a commanded delta within its own control step of
50 ms and 87 % by the end of the next, so that what an action does shows in the very next picture; it overshoots by at
most 6 %. ManiSkill's 1000 and 100 do 39 % and 63 %. Under random targets the lag is 0.006 rad on average and 0.02 rad
at most, of steps up to 0.03 rad. Gravity is switched off for the links, as a robot's own compensation does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sapien
import torch
from mani_skill.agents.base_agent import BaseAgent, Keyframe
from mani_skill.agents.controllers import (
    PDJointPosController,
    PDJointPosControllerConfig,
    PDJointPosMimicControllerConfig,
)
from mani_skill.agents.registration import REGISTERED_AGENTS, register_agent

from f1rl_envs.normalize import DELTA_QPOS_BOUND
from f1rl_envs.sim.embodiments import ARMS, Arm, Embodiment, embodiment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mani_skill.utils.structs.types import Array

MAX_LEAD = 0.15
"""Furthest that a joint's target may be from where the joint is, in radians; well above the lag in free motion."""


class DeltaTargetController(PDJointPosController):
    """Adds each action to the previous target, within the joint limits and :data:`MAX_LEAD` of the position."""

    def set_action(self, action: Array) -> None:
        """Take a normalised action ``[N, J]`` and set the drive targets."""
        action = self._preprocess_action(action)
        self._target_qpos = self.bound_targets(self._target_qpos + action)
        self.set_drive_targets(self._target_qpos)

    def set_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the targets: of all scenes, or of those that are being reset where there are fewer rows."""
        targets = state["target_qpos"]
        if self._target_qpos is None or len(targets) == len(self._target_qpos):
            self._target_qpos = targets.clone()
        else:
            self._target_qpos[self.scene._reset_mask] = targets

    def bound_targets(self, targets: torch.Tensor) -> torch.Tensor:
        """Return ``targets`` ``[N, J]`` within both bounds."""
        limits = self.articulation.get_qlimits()[:, self.active_joint_indices]
        position = self.qpos
        targets = torch.clamp(targets, position - MAX_LEAD, position + MAX_LEAD)
        return torch.clamp(targets, limits[..., 0], limits[..., 1])


@dataclass
class DeltaTargetControllerConfig(PDJointPosControllerConfig):
    """Configuration of :class:`DeltaTargetController`."""

    controller_cls = DeltaTargetController


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
        """Set the keyframe ``rest``; the order of the joints in a state is known only now."""
        robot = self.embodiment
        qpos = np.zeros(self.robot.max_dof, np.float32)
        for arm in robot.arms:
            qpos[self.joint_indices(arm.joints)] = arm.home
            qpos[self.joint_indices([finger.joint for finger in arm.fingers])] = [f.open for f in arm.fingers]
        self.keyframes = {"rest": Keyframe(pose=sapien.Pose(robot.root_position), qpos=qpos)}

    def joint_indices(self, names: Sequence[str]) -> list[int]:
        """Return where joints are in ``qpos``; in a pair, SAPIEN's order alternates between the arms."""
        order = [joint.name for joint in self.robot.active_joints]
        return [order.index(name) for name in names]

    @property
    def _controller_configs(self) -> dict[str, Any]:
        """The control modes; ManiSkill asks for them under this name."""
        configs: dict[str, Any] = {}
        for arm in self.embodiment.arms:
            configs[f"{arm.prefix}arm"] = self._arm_controller(arm)
            configs[f"{arm.prefix}gripper"] = self._gripper_controller(arm)
        return {"delta_qpos": configs}

    def _arm_controller(self, arm: Arm) -> DeltaTargetControllerConfig:
        bound = DELTA_QPOS_BOUND * self.action_scale
        return DeltaTargetControllerConfig(
            list(arm.joints),
            lower=-bound,
            upper=bound,
            use_delta=True,
            use_target=True,
            stiffness=arm.stiffness,
            damping=arm.damping,
            force_limit=arm.force_limit,
        )

    def _gripper_controller(self, arm: Arm) -> PDJointPosControllerConfig:
        """All fingers of a gripper get the target of the first; they are equal in range and direction."""
        first, *others = arm.fingers
        return PDJointPosMimicControllerConfig(
            [finger.joint for finger in arm.fingers],
            lower=first.closed,
            upper=first.open,
            mimic={finger.joint: {"joint": first.joint} for finger in others},
            stiffness=arm.stiffness,
            damping=arm.damping,
            force_limit=arm.finger_force_limit,
        )

    def set_action(self, action: torch.Tensor) -> None:
        """Hand a normalised action ``[N, A]`` to the controller.

        Raises:
            ValueError: if an entry is not a number (checked on the CPU only, where it costs nothing).
        """
        if not self.scene.gpu_sim_enabled and not torch.isfinite(action).all():
            raise ValueError(f"action must be finite, got {action}")
        self.controller.set_action(action)


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
