"""Tasks of ManiSkill as single-scene Gymnasium environments with the project's observations and actions.

**The same (seed, scene seed) gives the same episode, bit for bit**, as in :mod:`f1rl_envs.sim.gym` and by the same
means. A task whose scenes are all alike is built once; its scene seed decides nothing.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec

from f1rl_envs.sim import render
from f1rl_envs.sim.control import modes
from f1rl_envs.sim.maniskill_spec import ROBOTS, TASKS, spec
from f1rl_envs.sim.maniskill_task import check_downloads, no_questions, task_class
from f1rl_envs.sim.physics import renew_physics
from f1rl_envs.sim.single_scene import STATE_BOUND, SingleSceneEnv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from f1rl_envs.sim.maniskill_task import TaskMixin

REWARD_MODES = ("normalized_dense", "sparse", "none")
"""The first of these that a task has is used."""
UNLIMITED = np.pi
"""What counts as the limit of a joint that has none, in radians (metres where it slides)."""


class ManiSkillEnv(SingleSceneEnv):
    """One scene of a ManiSkill task, stepped in this process.

    State: joints by their limits, clipped. Reward and info are the task's. Success and failure, as the task sees them,
    terminate an episode. The rest is as :class:`SingleSceneEnv` says.
    """

    base: TaskMixin

    def __init__(self, config: Mapping[str, Any], render_mode: str | None = "rgb_array") -> None:
        """Build the task; an episode begins with :meth:`reset`.

        Args:
            config: as :data:`f1rl_envs.registry.SCHEMAS` says; every key is required.
            render_mode: ``rgb_array``, or None to do without :meth:`render`.

        Raises:
            ValueError: if the configuration is incomplete or a value is out of range.
            EnvError: if the task needs assets that are not on this machine.
            RendererError: if there is no usable Vulkan driver.
        """
        self.render_mode = render_mode
        self.spec = EnvSpec(
            "f1rl/ManiSkill-v0",
            entry_point="f1rl_envs.sim.maniskill:ManiSkillEnv",
            disable_env_checker=True,
            kwargs={"config": config},
        )
        env_spec = spec(config)
        self._task = TASKS[config["task"]]
        self._robot = ROBOTS[self._task.robot]
        check_downloads(config["task"])
        renderer = render.setup(config["render_device"])
        super().__init__(config, env_spec, self._build(config, renderer), renderer)
        self._action_scale = 1.0 if self._robot.arms else config["control"]["action_scale"]
        self._set_layouts(config["control"])
        self._seed = 0

    def _build(self, config: Mapping[str, Any], renderer: render.Renderer) -> TaskMixin:
        cls, control = task_class(config["task"]), config["control"]
        with no_questions(config["task"]):
            return cls(
                camera=config["camera"],
                wrist_cameras=self._robot.wrist_cameras,
                action_scale=control["action_scale"],
                renderer=renderer,
                num_envs=1,
                obs_mode="none",
                reward_mode=next(mode for mode in REWARD_MODES if mode in cls.SUPPORTED_REWARD_MODES),
                sim_backend="physx_cpu",
                control_mode=control["mode"] if self._robot.arms else "pd_joint_delta_pos",
                sim_config={"sim_freq": config["sim_freq"], "control_freq": config["control_freq"]},
                reconfiguration_freq=0,
            )

    def _set_layouts(self, control: Mapping[str, Any]) -> None:
        """Find where actions go to and states come from; a scene that is built anew has the same joints."""
        if self._robot.arms:
            embodiment = self._robot.embodiment
            states = modes.states(embodiment)
            self._actions = modes.actions(embodiment, control["mode"], control["action_scale"]).layout.entries
            self._states, self._centre, self._half_range = states.layout.entries, states.centre, states.half_range
            self._joints = [
                agent.joint_indices([*arm.joints, arm.fingers[0].joint])
                for agent, arm in zip(self.base.agents, self._robot.arms, strict=True)
            ]
            return
        robot = self.base.agent.robot
        moved = self.base.agent.controller.joints[: self._robot.joints]
        order = sorted(robot.active_joints, key=lambda joint: moved.index(joint) if joint in moved else len(moved))
        self._joints = [[robot.active_joints.index(joint) for joint in order]]
        limits = robot.get_qlimits()[0].numpy()[self._joints[0]]
        limits = np.where(np.isfinite(limits), limits, [-UNLIMITED, UNLIMITED])
        self._centre, self._half_range = limits.mean(1), (limits[:, 1] - limits[:, 0]) / 2
        self._actions, self._states = np.arange(self._robot.joints), np.arange(len(order))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: the episode seed; None draws one from this environment's own generator.
            options: ``scene_seed`` names the scene; without it, it is derived from ``seed`` (and the scene stays as it
                is when that is None too). It is rebuilt when its seed changes, if the task's scenes differ, or if
                ``rebuild`` is true.

        Returns:
            The first observation, and an info dictionary with ``seed``, ``scene_seed``, ``rebuilt``, ``success`` and
            what the task says.
        """
        super().reset(seed=seed)
        options = options or {}
        self._seed, scene_seed = self._choose_seeds(seed, options)
        rebuilt = bool(options.get("rebuild", False)) or (self._task.varies and scene_seed != self._scene_seed)
        if rebuilt:
            self.base.reset(seed=scene_seed, options={"reconfigure": True})
        self._scene_seed = scene_seed
        renew_physics(self.base.scene)
        _, info = self.base.reset(seed=self._seed)
        self._bind()
        self._steps = 0
        seeds = {"seed": self._seed, "scene_seed": scene_seed, "rebuilt": rebuilt}
        return self._observe(), {**seeds, **_plain(info)}

    def _advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        command = np.clip(action, -1.0, 1.0)[self._actions].astype(np.float32) * np.float32(self._action_scale)
        if not np.isfinite(command).all():
            raise ValueError(f"action must be finite, got {command}")
        parts: Any = command[None]
        if len(self.base.agents) > 1:
            halves = np.split(command[None], len(self.base.agents), axis=1)
            parts = dict(zip(self.base.agent.agents_dict, halves, strict=True))
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(self._seed + self._steps)  # some tasks draw random numbers in a step
            _, reward, terminated, _, info = self.base.step(parts)
        return float(reward), bool(terminated), _plain(info)

    def _observe(self) -> dict[str, np.ndarray]:
        """Observe, without what the task shows to people only."""
        for actor in self.base._hidden_objects:
            actor.hide_visual()
        return super()._observe()

    def _read_state(self, out: np.ndarray) -> None:
        parts = zip(self.base.agents, self._joints, strict=True)
        qpos = np.concatenate([agent.robot._objs[0].qpos[joints] for agent, joints in parts])
        out[self._states] = np.clip((qpos - self._centre) / self._half_range, -STATE_BOUND, STATE_BOUND)


def _plain(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of ManiSkill's info as plain values, ``success`` always among them."""
    plain: dict[str, Any] = {"success": False}
    for key, value in info.items():
        single = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
        if isinstance(single, numbers.Real) and key not in ("elapsed_steps", "reconfigure"):
            plain[key] = single
    return plain
