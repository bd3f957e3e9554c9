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
from sapien.render import RenderMaterial, RenderTexture2D

from f1rl_envs.sim import meshes, render
from f1rl_envs.sim.agents import AGENTS, RobotAgent
from f1rl_envs.sim.physics import renew_physics
from f1rl_envs.sim.scene import (
    FLOOR_HEIGHT,
    TABLE_HALF_SIZE,
    TABLE_POSITION,
    WALL_POSITION,
    ObjectSpec,
    SceneSpec,
    sample_scene,
    sample_start,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mani_skill.utils.building import ActorBuilder

DEFAULT_RANDOMIZATION = {
    "random_background": True,
    "random_light": True,
    "random_appearance": False,
    "cluttered_table": True,
    "num_objects": (3, 6),
}
"""For those who make the environment through ManiSkill; the project's configuration names every key itself."""

_CYLINDER_UPRIGHT = sapien.Pose(q=[0.70710678, 0.0, 0.70710678, 0.0])


def _linear(colour: tuple[float, float, float], factor: float = 1.0) -> list[float]:
    """Return a colour as given to the eye (sRGB) in the linear RGBA that materials take."""
    return [*(factor * np.asarray(colour) ** 2.2), 1.0]


def _textured(image: np.ndarray, roughness: float) -> RenderMaterial:
    """Return a material that shows ``image``, with mip maps so that it does not flicker at a distance."""
    material = RenderMaterial(base_color=[1, 1, 1, 1], roughness=roughness, specular=0.2)
    levels = int(np.log2(image.shape[0])) + 1
    material.base_color_texture = RenderTexture2D(image, "r8g8b8a8unorm", mipmap_levels=levels, srgb=True)
    return material


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
            action_scale: share of 0.1 rad that an action of 1 moves a joint's target by.
            randomization: that group of the configuration; None for :data:`DEFAULT_RANDOMIZATION`.
            render_device: as :func:`f1rl_envs.sim.render.setup`.
            **kwargs: as :class:`BaseEnv`.

        Raises:
            RendererError: if there is no usable Vulkan driver.
        """
        self.renderer = render.setup(render_device)
        self.cameras = tuple(cameras)
        self.resolution = resolution
        self.action_scale = action_scale
        self.randomization = dict(DEFAULT_RANDOMIZATION if randomization is None else randomization)
        self.scene_specs: list[SceneSpec] = []
        kwargs.setdefault("render_backend", self.renderer.backend)
        super().__init__(*args, robot_uids=robot_uids, **kwargs)

    @property
    def _default_sim_config(self) -> SimConfig:
        """200 Hz physics under 20 Hz control; scenes far enough apart that no camera sees the next one."""
        return SimConfig(sim_freq=200, control_freq=20, spacing=6)

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        """The cameras that were asked for, in that order."""
        robot = self.agent.embodiment
        head = robot.head_camera
        poses = {"head": (sapien_utils.look_at(head.eye, head.target), head.fov, None)}
        for name, mount in robot.wrist_cameras.items():
            link = self.agent.robot.links_map[mount.link]
            poses[name] = (sapien.Pose(mount.position, mount.quaternion), mount.fov, link)
        shader = render.camera_shader(self.renderer)
        return [
            CameraConfig(
                name,
                pose=pose,
                width=self.resolution,
                height=self.resolution,
                fov=fov,
                near=0.01,
                far=8.0,
                mount=link,
                shader_config=shader,
            )
            for name, (pose, fov, link) in ((name, poses[name]) for name in self.cameras)
        ]

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
        self._tint_robot()

    def _tint_robot(self) -> None:
        """Multiply the robot's own colours by each scene's tint; every robot that is loaded has its own materials."""
        for link in self.agent.robot.links:
            for i, component in zip(link._scene_idxs.tolist(), link._objs, strict=True):
                tint = self.scene_specs[i].robot_tint
                body = component.entity.find_component_by_type(sapien.render.RenderBodyComponent)
                if body is None or tint == (1.0, 1.0, 1.0):
                    continue
                for part in (part for shape in body.render_shapes for part in shape.parts):
                    colour = np.asarray(part.material.base_color)
                    part.material.base_color = [*(colour[:3] * tint), colour[3]]

    def _build_table(self, i: int, spec: SceneSpec) -> None:
        """Build the table of scene ``i``: a board, and the texture just above its top."""
        builder = self._static_builder(i, TABLE_POSITION)
        x, y, z = TABLE_HALF_SIZE
        builder.add_box_collision(half_size=TABLE_HALF_SIZE)
        builder.add_box_visual(half_size=TABLE_HALF_SIZE, material=RenderMaterial(base_color=[0.1, 0.08, 0.06, 1]))
        top = meshes.plane(x, y, 2 * x, _textured(spec.table, 0.7), sapien.Pose([0, 0, z + 5e-4]))
        builder._procedural_shapes.append(top)
        self._finish_static(builder, f"table-{i}")

    def _build_room(self, i: int, spec: SceneSpec) -> None:
        """Build floor (solid) and back wall (to look at) of scene ``i``."""
        builder = self._static_builder(i, (0.0, 0.0, FLOOR_HEIGHT))
        builder.add_box_collision(sapien.Pose([0, 0, -0.05]), half_size=[3.0, 3.0, 0.05])
        builder._procedural_shapes.append(meshes.plane(3.0, 3.0, 1.5, _textured(spec.floor, 0.9), sapien.Pose()))
        self._finish_static(builder, f"floor-{i}")
        builder = self._static_builder(i, WALL_POSITION)
        builder.add_box_collision(sapien.Pose([-0.05, 0, 0]), half_size=[0.05, 3.0, 1.5])
        facing = sapien.Pose(q=[0.5, 0.5, 0.5, 0.5])
        builder._procedural_shapes.append(meshes.plane(3.0, 1.5, 2.5, _textured(spec.wall, 0.9), facing))
        self._finish_static(builder, f"wall-{i}")

    def _static_builder(self, i: int, position: tuple[float, float, float]) -> ActorBuilder:
        """Return a builder of something that stays at ``position`` in scene ``i``."""
        builder = self.scene.create_actor_builder()
        builder.set_scene_idxs([i])
        builder.initial_pose = sapien.Pose(position)
        return builder

    def _finish_static(self, builder: ActorBuilder, name: str) -> None:
        """Build it, and keep it out of the state that is saved and restored."""
        self.remove_from_state_dict_registry(builder.build_static(name))

    def _build_object(self, k: int, i: int, spec: ObjectSpec) -> Actor:
        """Build clutter object ``k`` of scene ``i``."""
        builder = self.scene.create_actor_builder()
        builder.set_scene_idxs([i])
        material = RenderMaterial(base_color=_linear(spec.colour), roughness=0.6, specular=0.3)
        x, _, z = spec.half_size
        if spec.shape == "box":
            builder.add_box_collision(half_size=spec.half_size)
            builder.add_box_visual(half_size=spec.half_size, material=material)
        elif spec.shape == "cylinder":
            builder.add_cylinder_collision(_CYLINDER_UPRIGHT, x, z)
            builder.add_cylinder_visual(_CYLINDER_UPRIGHT, x, z, material=material)
        else:
            builder.add_sphere_collision(radius=x)
            builder._procedural_shapes.append(meshes.sphere(x, material))
        builder.initial_pose = sapien.Pose([0.4 * k - 1.0, 1.5, z])
        actor = builder.build(f"object{k}-{i}")
        self.remove_from_state_dict_registry(actor)
        return actor

    def _load_scene(self, options: dict[str, Any]) -> None:
        """Build table, floor, wall and clutter of every scene."""
        for i, spec in enumerate(self.scene_specs):
            self._build_table(i, spec)
            self._build_room(i, spec)
        self.objects: list[Actor] = []
        for k in range(len(self.scene_specs[0].objects)):
            parts = [self._build_object(k, i, spec.objects[k]) for i, spec in enumerate(self.scene_specs)]
            merged = Actor.merge(parts, f"object{k}")
            self.add_to_state_dict_registry(merged)
            self.objects.append(merged)

    def _load_lighting(self, options: dict[str, Any]) -> None:
        """Put each scene's own lights into it."""
        for i, (spec, scene) in enumerate(zip(self.scene_specs, self.scene.sub_scenes, strict=True)):
            scene.render_system.ambient_light = spec.light.ambient
            for direction, colour in zip(spec.light.directions, spec.light.colours, strict=True):
                self.scene.add_directional_light(list(direction), list(colour), scene_idxs=[i])

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

        This is :meth:`reset` for one scene on the CPU, without an observation and without seeding the generators that
        this environment does not use.
        """
        renew_physics(self.scene)
        self._episode_seed = np.array([seed], np.int64)
        self._elapsed_steps.zero_()
        self._clear_sim_state()
        self._initialize_episode(torch.zeros(1, dtype=torch.int64), {})
        self.agent.controller.reset()

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        """Place the robot and the objects of the scenes in ``env_idx`` by their episode seeds."""
        joints = [joint for arm in self.agent.embodiment.arms for joint in arm.joints]
        rows = [int(i) for i in env_idx]
        starts = [sample_start(int(self._episode_seed[i]), self.scene_specs[i].objects, len(joints)) for i in rows]
        qpos = np.tile(self.agent.keyframes["rest"].qpos, (len(rows), 1))
        qpos[:, self.agent.joint_indices(joints)] += np.stack([start.arm_noise for start in starts])
        self.agent.reset(torch.from_numpy(qpos).to(self.device))
        for k, actor in enumerate(self.objects):
            pose = torch.from_numpy(np.stack([start.poses[k] for start in starts])).to(self.device)
            actor.set_pose(Pose.create(pose))
            actor.set_linear_velocity(torch.zeros(len(rows), 3, device=self.device))
            actor.set_angular_velocity(torch.zeros(len(rows), 3, device=self.device))

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
