"""``random_exploration`` as a ManiSkill environment: a textured table, clutter and one arm that may do as it likes.

Written for ManiSkill's batched form: all state is batched, partial resets touch only their own rows, and whatever
differs between scenes in geometry, texture, colour or light is built scene by scene. One scene on the CPU is the same
class with one row; :mod:`f1rl_envs.sim.gym` drives that without the batched form's overhead.

The *scene seed* decides what is built and the *episode seed* where it starts. ManiSkill has one seed per reset; here
``reset(seed=..., options={"reconfigure": True, "scene_seed": ...})`` names both, and without ``scene_seed`` the episode
seed (of the reset that builds) is the scene seed too. In the batched form the number of objects is drawn once per
build, from the first scene's seed, since a merged actor exists in every scene.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sapien
import torch
from mani_skill.agents.registration import REGISTERED_AGENTS
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.registration import register_env
from mani_skill.utils.structs import Actor, Pose
from mani_skill.utils.structs.types import SimConfig

from f1rl_envs.errors import SceneError
from f1rl_envs.sim import building, render
from f1rl_envs.sim.agents import AGENTS, RobotAgent
from f1rl_envs.sim.cameras import camera_configs
from f1rl_envs.sim.physics import put, renew_physics, settles
from f1rl_envs.sim.randomization import DEFAULT as DEFAULT_RANDOMIZATION
from f1rl_envs.sim.scene import SceneSpec, sample_scene
from f1rl_envs.sim.start import sample_start, start_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ATTEMPTS = 50
"""Starts that are drawn for an episode before it is given up."""


@register_env("F1RL-RandomExploration-v1", max_episode_steps=50)
class RandomExploration(BaseEnv):
    """A table with clutter, head and wrist camera; no task, reward 0, never successful."""

    SUPPORTED_REWARD_MODES = ("none", "sparse")
    agent: RobotAgent

    def __init__(
        self,
        *args: Any,
        robot_uids: str = AGENTS["franka"],
        cameras: tuple[str, ...] = ("head", "wrist"),
        resolution: int = 64,
        head_fov: float | None = None,
        wrist_fov: float | None = None,
        action_scale: float = 0.3,
        randomization: Mapping[str, Any] | None = None,
        render_device: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Build the environment.

        Args:
            *args: as :class:`BaseEnv`.
            robot_uids: name of an agent made by :func:`f1rl_envs.sim.agents.agent_class`.
            cameras: which of ``head``, ``wrist`` and (of a pair) ``wrist_right`` to build.
            resolution: height and width of each picture in pixels.
            head_fov: vertical field of view of the head camera in radians; None for the robot's own.
            wrist_fov: the same of the cameras on the hands.
            action_scale: share of 0.1 rad that an action of 1 moves a joint's target by.
            randomization: that group of the configuration; None for
                :data:`f1rl_envs.sim.randomization.DEFAULT`.
            render_device: as :func:`f1rl_envs.sim.render.setup`.
            **kwargs: as :class:`BaseEnv`.

        Raises:
            RendererError: if there is no usable Vulkan driver.
        """
        self.renderer = render.setup(render_device)
        self.cameras = tuple(cameras)
        self.resolution = resolution
        self.fovs = {"head": head_fov, "wrist": wrist_fov}
        self.action_scale = action_scale
        self.randomization = dict(DEFAULT_RANDOMIZATION if randomization is None else randomization)
        self.scene_specs: list[SceneSpec] = []
        self.resampled = 0
        """How many starts of the present episode would not settle and were drawn anew."""
        self.start_seeds: list[int] = []
        """Of each scene that was reset last, the seed that its start was drawn from."""
        kwargs.setdefault("render_backend", self.renderer.backend)
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_sim_config(self) -> SimConfig:
        """200 Hz physics under 20 Hz control; scenes far enough apart that no camera sees the next one."""
        return SimConfig(sim_freq=200, control_freq=20, spacing=6)

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        """The cameras that were asked for, in that order."""
        shifts = [spec.cameras for spec in self.scene_specs]
        return camera_configs(self.agent, self.cameras, self.resolution, self.fovs, shifts, self.renderer)

    @property
    def _default_human_render_camera_configs(self) -> CameraConfig:
        """A larger view from the side for ``render()``."""
        pose = sapien_utils.look_at((0.9, 0.8, 0.75), (-0.1, 0.0, 0.15))
        shader = render.camera_shader(self.renderer)
        return CameraConfig("render_camera", pose, 512, 512, fov=1.0, near=0.01, far=10.0, shader_config=shader)

    def _setup_sensors(self, options: dict[str, Any]) -> None:
        """Build the cameras, with 8-bit pictures."""
        render.set_picture_formats()
        super()._setup_sensors(options)

    # ------------------------------------------------------------------------------------------------ building
    def _clear(self) -> None:
        """Let go of the scene.

        ManiSkill's wrappers refer to each other in circles, which the parent class leaves to a full garbage collection:
        0.14 s for each scene, most of it spent on torch's own objects. Emptying the wrappers breaks the circles, and
        the scene is freed at once.
        """
        self._close_viewer()
        if self.scene is not None:
            cameras = [*self._sensors.values(), *self._human_render_cameras.values()]
            robots = list(self.scene.articulations.values())
            parts = [part for robot in robots for part in (*robot.links, *robot.joints)]
            wrappers = [*(camera.camera for camera in cameras), *cameras, *self.scene.actors.values(), *parts, *robots]
            for wrapper in (*wrappers, self.agent, self.scene):
                vars(wrapper).clear()
        self.objects = []
        self.agent, self.scene = None, None
        self._sensors, self._human_render_cameras, self._hidden_objects = {}, {}, []

    def _load_agent(self, options: dict[str, Any]) -> None:
        """Draw the scenes of this build and put the robot into each."""
        seeds = options.get("scene_seed", self._episode_seed)
        seeds = np.broadcast_to(np.asarray(seeds, np.int64), self.num_envs)
        first = sample_scene(int(seeds[0]), self.randomization)
        rest = [sample_scene(int(s), self.randomization, len(first.objects)) for s in seeds[1:]]
        self.scene_specs = [first, *rest]
        agent_cls = REGISTERED_AGENTS[self.robot_uids].agent_cls
        self.agent = agent_cls(
            self.scene,
            self._control_freq,
            self._control_mode,
            initial_pose=sapien.Pose(agent_cls.embodiment.root_position),
            build_separate=self.num_envs > 1,
            action_scale=self.action_scale,
        )
        building.tint_robot(self.agent.robot, self.scene_specs)

    def _load_scene(self, options: dict[str, Any]) -> None:
        """Build table, floor, wall and clutter of every scene."""
        for i, spec in enumerate(self.scene_specs):
            building.build_room(self.scene, i, spec)
        self.objects: list[Actor] = building.build_objects(self.scene, self.scene_specs)

    def _load_lighting(self, options: dict[str, Any]) -> None:
        """Put each scene's own lights into it."""
        for i, spec in enumerate(self.scene_specs):
            building.add_lights(self.scene, i, spec.light)

    # ------------------------------------------------------------------------------------------------ episodes
    def reset(
        self, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset as :class:`BaseEnv` does, on the CPU from a physics scene without a past.

        The parent class resets the controllers of all scenes whichever are reset; here the others keep their targets.
        """
        options = options or {}
        if not options.get("reconfigure", False) and not self.gpu_sim_enabled:
            renew_physics(self.scene)
        if "env_idx" not in options:
            return super().reset(seed, options)
        others = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        others[options["env_idx"]] = False
        kept = {name: state["target_qpos"][others].clone() for name, state in self.agent.get_controller_state().items()}
        result = super().reset(seed, options)
        for name, targets in kept.items():
            self.agent.controller.controllers[name]._target_qpos[others] = targets
        return result

    def restart(self, seed: int) -> None:
        """Start the episode of ``seed`` on the scene as it stands.

        This is :meth:`reset` for one scene on the CPU that is stepped and drawn without :meth:`step`: there is no
        observation, and what only :meth:`step` uses is left as it was, ManiSkill's generators and controllers.
        """
        renew_physics(self.scene, doubles=True)
        self._episode_seed = np.array([seed], np.int64)
        self._elapsed_steps.zero_()
        self._initialize_episode(torch.zeros(1, dtype=torch.int64), {})

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        """Place the robot and the objects of the scenes in ``env_idx`` by their episode seeds.

        On the CPU the start is then simulated until it is at rest, or would be: one that does not settle (an arm
        touches the table, say) is drawn anew, from a seed that follows from the episode's. In a batch on a GPU scenes
        cannot be simulated one at a time, and nothing is drawn anew.

        Raises:
            SceneError: if :data:`MAX_ATTEMPTS` starts would not settle.
        """
        rows = [int(i) for i in env_idx]
        for attempt in range(MAX_ATTEMPTS):
            seeds = [start_seed(int(self._episode_seed[i]), attempt) for i in rows]
            if attempt > 0:
                renew_physics(self.scene)
            self._place(rows, seeds)
            self.resampled, self.start_seeds = attempt, seeds
            if self.gpu_sim_enabled or self._settles():
                return
        raise SceneError(
            f"the episode of seed {int(self._episode_seed[0])} in the scene of seed {self.scene_specs[0].seed} has no "
            f"start at rest: {MAX_ATTEMPTS} were tried. Lower randomization.initial_pose_noise (now "
            f"{self.randomization['initial_pose_noise']}), or randomization.num_objects and object_size"
        )

    def _place(self, rows: list[int], seeds: list[int]) -> None:
        """Put robot and objects of scenes ``rows`` where their seeds say, all of them still."""
        joints = [joint for arm in self.agent.embodiment.arms for joint in arm.joints]
        noise = self.randomization["initial_pose_noise"]
        starts = [
            sample_start(seed, self.scene_specs[i].objects, len(joints), noise)
            for i, seed in zip(rows, seeds, strict=True)
        ]
        qpos = np.tile(self.agent.keyframes["rest"].qpos, (len(rows), 1))
        qpos[:, self.agent.joint_indices(joints)] += np.stack([start.arm_noise for start in starts])
        if not self.gpu_sim_enabled:
            put(self.agent.robot._objs[0], qpos[0], self.bodies, starts[0].poses)
            return
        self.agent.reset(torch.from_numpy(qpos).to(self.device))
        for k, actor in enumerate(self.objects):
            pose = torch.from_numpy(np.stack([start.poses[k] for start in starts])).to(self.device)
            actor.set_pose(Pose.create(pose))
            actor.set_linear_velocity(torch.zeros(len(rows), 3, device=self.device))
            actor.set_angular_velocity(torch.zeros(len(rows), 3, device=self.device))

    def _settles(self) -> bool:
        """Simulate the only scene for a moment and say whether it is at rest; see :func:`settles`."""
        return settles(self.scene.px, self.bodies, self.agent.robot._objs[0])

    @property
    def bodies(self) -> list[sapien.physx.PhysxRigidDynamicComponent]:
        """The objects of the first scene, as SAPIEN's own bodies."""
        return [actor._bodies[0] for actor in self.objects]

    def evaluate(self) -> dict[str, torch.Tensor]:
        """Return ``success``, false (exploring has no goal), and whether commanded poses were reachable."""
        success = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        return {"success": success, **self.agent.reach_report()}

    def set_state_dict(self, state: dict[str, Any], env_idx: torch.Tensor | None = None) -> None:
        """Restore a state, the controller's targets included where it holds them; else they follow the joints."""
        super().set_state_dict(state, env_idx)
        if "controller" in state:
            self.agent.set_controller_state(state["controller"])
        else:
            self.agent.controller.reset()

    def set_state(self, state: torch.Tensor, env_idx: torch.Tensor | None = None) -> None:
        """Restore a flat state; the parent class leaves out its last entries, the controller's targets."""
        super().set_state(state, env_idx)
        counts = {f"{arm.prefix}arm": len(arm.joints) for arm in self.agent.embodiment.arms}
        targets = state[:, -sum(counts.values()) :].split(list(counts.values()), dim=1)
        states = {name: {"target_qpos": target} for name, target in zip(counts, targets, strict=True)}
        self.agent.set_controller_state(states)
