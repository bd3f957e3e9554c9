"""The control modes as ManiSkill controllers: the same rules as in one scene, on a batch of torch tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch
from mani_skill.agents.controllers import PDJointPosController, PDJointPosControllerConfig

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.control.kinematics import arm_kinematics
from f1rl_envs.sim.control.targets import is_reached, rule

if TYPE_CHECKING:
    from mani_skill.utils.structs.types import Array

    from f1rl_envs.sim.embodiments import Arm


class ArmController(PDJointPosController):
    """Moves the drive targets of one arm by the rule of its mode."""

    config: ArmControllerConfig

    def _initialize_action_space(self) -> None:
        """Build the space of commands in physical units, which the parent class then maps to [-1, 1]."""
        low, high = np.float32(self.config.lower), np.float32(self.config.upper)
        self.single_action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        kinematics = arm_kinematics(self.config.arm, torch, self.device)
        self._rule = rule(self.config.mode, kinematics, self.config.action_scale)
        self.miss: torch.Tensor | None = None
        """``[N, 2]``, metres and radians by which the targets miss the last commands; None of joint commands."""

    def set_action(self, action: Array) -> None:
        """Take a normalised action ``[N, K]`` and set the drive targets."""
        command = self._preprocess_action(action)
        target, self.miss = self._rule.advance(self._target_qpos, command, self.qpos)
        self._target_qpos = target.to(self.qpos.dtype)
        self.set_drive_targets(self._target_qpos)

    def reset(self) -> None:
        """Hold the scenes that are being reset where they are."""
        super().reset()
        self.miss = None

    def set_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the targets: of all scenes, or of those that are being reset where there are fewer rows."""
        targets = state["target_qpos"]
        if self._target_qpos is None or len(targets) == len(self._target_qpos):
            self._target_qpos = targets.clone()
        else:
            self._target_qpos[self.scene._reset_mask] = targets


@dataclass
class ArmControllerConfig(PDJointPosControllerConfig):
    """Configuration of :class:`ArmController`."""

    arm: Arm = field(kw_only=True)
    mode: str = field(kw_only=True)
    action_scale: float = field(kw_only=True)
    controller_cls = ArmController


def arm_controller(arm: Arm, mode: str, action_scale: float) -> ArmControllerConfig:
    """Return the configuration of an arm's controller."""
    centre, half_range = modes.arm_range(arm, mode, action_scale)
    return ArmControllerConfig(
        list(arm.joints),
        lower=(centre - half_range).tolist(),
        upper=(centre + half_range).tolist(),
        stiffness=arm.stiffness,
        damping=arm.damping,
        force_limit=arm.force_limit,
        use_target=True,
        arm=arm,
        mode=mode,
        action_scale=action_scale,
    )


def reach_report(controllers: dict[str, PDJointPosController]) -> dict[str, torch.Tensor]:
    """Return ``reachable`` (bool) and ``target_distance`` (metres), ``[N]``, as the single-scene form does.

    Empty where no controller takes poses, and before the first action of an episode.
    """
    misses = [miss for c in controllers.values() if (miss := getattr(c, "miss", None)) is not None]
    if not misses:
        return {}
    stacked = torch.stack(misses)
    return {"reachable": is_reached(stacked).all(0), "target_distance": stacked[..., 0].amax(0)}
