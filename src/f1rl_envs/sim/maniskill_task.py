"""ManiSkill's tasks with f1rl's robot, control modes and cameras in them.

A task knows its robot by name ("panda") and asks about the name in many places, so the robot cannot be called anything
else. While a task builds its scene, what the name stands for is exchanged: ManiSkill's Panda with the model, the
drive gains and the control modes of f1rl's Franka, whose joints and links are the same. ManiSkill's own has 135 to 561
thousand triangles, and a software renderer pays for triangles. The SO100 keeps its model and gets the control modes;
robots without such an arm keep everything.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import mani_skill.envs  # noqa: F401  (registers the tasks)
import sapien
from mani_skill.agents.registration import REGISTERED_AGENTS, AgentSpec
from mani_skill.agents.robots import SO100, Panda
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig, parse_camera_configs
from mani_skill.utils import assets, download_asset
from mani_skill.utils.registration import REGISTERED_ENVS

from f1rl_envs.errors import EnvError
from f1rl_envs.sim import render
from f1rl_envs.sim.agents import RobotAgent
from f1rl_envs.sim.cameras import FAR, NEAR
from f1rl_envs.sim.maniskill_spec import ROBOTS, TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from mani_skill.agents.base_agent import BaseAgent

    from f1rl_envs.sim.embodiments import CameraMount

EXCHANGED: Mapping[str, tuple[type[BaseAgent], str]] = {
    "panda": (Panda, "franka"),
    "panda_wristcam": (Panda, "franka"),
    "so100": (SO100, "so100"),
}
"""By ManiSkill's name of a robot: the class that answers the task's questions, and what it is in ``ROBOTS``."""
DOWNLOAD_COMMAND = "python -m mani_skill.utils.download_asset"


class TaskMixin(BaseEnv):
    """What is different from ManiSkill's task; it stands before the task's class."""

    def __init__(
        self,
        *,
        camera: Mapping[str, Any],
        wrist_cameras: Mapping[str, CameraMount],
        action_scale: float,
        renderer: render.Renderer,
        **kwargs: Any,
    ) -> None:
        """Build the task.

        Args:
            camera: that group of the configuration.
            wrist_cameras: where the cameras on the hands are, by name, the left one first.
            action_scale: share of a control mode's bounds that an action of 1 commands, for f1rl's arms.
            renderer: what draws.
            **kwargs: as :class:`BaseEnv`.
        """
        self.camera = camera
        self.wrist_cameras = wrist_cameras
        self.action_scale = action_scale
        self.renderer = renderer
        super().__init__(render_backend=renderer.backend, **kwargs)

    @property
    def agents(self) -> list[BaseAgent]:
        """The robot, or the left and the right one of two."""
        return getattr(self.agent, "agents", [self.agent])

    def _load_agent(self, options: dict[str, Any]) -> None:
        """Let the task load its robot, and find ours under its name."""
        ours = {uid: AgentSpec(partial(_agent_class(uid), action_scale=self.action_scale), []) for uid in EXCHANGED}
        with _exchanged(REGISTERED_AGENTS, ours):
            super()._load_agent(options)

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        """The cameras that were asked for, in that order; ``head`` is where the task's own first camera is."""
        size = {"width": self.camera["resolution"], "height": self.camera["resolution"]}
        shader = render.camera_shader(self.renderer)
        configs = []
        for name in self.camera["names"]:
            config = self._head_config() if name == "head" else self._wrist_config(name)
            fov = self.camera["head_fov" if name == "head" else "wrist_fov"] or config.fov
            configs.append(replace(config, uid=name, fov=fov, shader_config=shader, **size))
        return configs

    def _head_config(self) -> CameraConfig:
        own = next(iter(parse_camera_configs(super()._default_sensor_configs).values()))
        return replace(own, far=FAR) if self.camera["depth"] else own

    def _wrist_config(self, name: str) -> CameraConfig:
        agent = self.agents[list(self.wrist_cameras).index(name)]
        mount = self.wrist_cameras[name]
        pose, link = sapien.Pose(mount.position, mount.quaternion), agent.robot.links_map[mount.link]
        return CameraConfig(name, pose, 0, 0, mount.fov, NEAR, FAR, mount=link)

    @property
    def _default_human_render_camera_configs(self) -> list[CameraConfig]:
        """The task's own cameras, drawn with our shader, whose start costs nothing."""
        own = parse_camera_configs(super()._default_human_render_camera_configs)
        return [replace(config, shader_config=render.camera_shader(self.renderer)) for config in own.values()]

    def _setup_sensors(self, options: dict[str, Any]) -> None:
        """Build the cameras, with 8-bit pictures."""
        render.set_picture_formats()
        super()._setup_sensors(options)

    def _initialize_episode(self, env_idx: Any, options: dict[str, Any]) -> None:
        """Place everything, and the cameras that follow a robot too: some tasks leave them behind until a step."""
        super()._initialize_episode(env_idx, options)
        self._before_control_step()


@cache
def task_class(name: str) -> type[TaskMixin]:
    """Return ManiSkill's task ``name`` with :class:`TaskMixin` before it."""
    return type(name, (TaskMixin, REGISTERED_ENVS[name].cls), {"__doc__": f"ManiSkill's {name}."})


@cache
def _agent_class(uid: str) -> type[RobotAgent]:
    """Return f1rl's robot as the agent that ManiSkill calls ``uid``."""
    base, robot = EXCHANGED[uid]
    embodiment = ROBOTS[robot].embodiment
    body = {
        "__doc__": f"What tasks call {uid}.",
        "uid": uid,
        "embodiment": embodiment,
        "urdf_path": str(embodiment.urdf),
    }
    return type(uid, (RobotAgent, base), body)


def check_downloads(name: str) -> None:
    """Refuse a task whose assets are not on this machine.

    Raises:
        EnvError: naming what is missing and the command that downloads it.
    """
    sources = assets.expand_data_group_into_individual_data_source_ids(name)
    if not all(assets.is_data_source_downloaded(source) for source in sources):
        raise EnvError(_missing_assets(name, f"of {' and '.join(TASKS[name].downloads)}"))


@contextlib.contextmanager
def no_questions(name: str) -> Iterator[None]:
    """Make an error of ManiSkill's question whether to download something, which would wait for an answer.

    Raises:
        EnvError: when the question would be asked.
    """

    def refuse(question: str) -> NoReturn:
        raise EnvError(_missing_assets(name, f'for which ManiSkill would ask "{question}"'))

    with _exchanged(vars(download_asset), {"prompt_yes_no": refuse}):
        yield


@contextlib.contextmanager
def _exchanged(table: dict[str, Any], entries: Mapping[str, Any]) -> Iterator[None]:
    """Let some entries of ``table`` be others for a while."""
    kept = {key: table[key] for key in entries}
    table.update(entries)
    try:
        yield
    finally:
        table.update(kept)


def _missing_assets(name: str, which: str) -> str:
    return (
        f"env.task={name} needs assets {which}, and they are not on this machine; download them with\n"
        f"  {DOWNLOAD_COMMAND} {name}\nor choose a task that needs none, e.g. env.task=PickCube-v1"
    )
