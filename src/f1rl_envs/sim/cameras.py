"""The cameras: where they are, and the pictures they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sapien
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils import sapien_utils
from mani_skill.utils.structs import Pose

from f1rl_envs.sim import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.scene import CameraShift

NEAR, FAR = 0.01, 8.0
"""What is closer or further is not drawn, in metres; the far wall's corners are 4 m from the head camera."""


def camera_configs(
    agent: RobotAgent,
    names: Sequence[str],
    resolution: int,
    fovs: Mapping[str, float | None],
    shifts: Sequence[Mapping[str, CameraShift]],
    renderer: render.Renderer,
) -> list[CameraConfig]:
    """Return ManiSkill's description of the cameras called ``names``, in that order.

    Args:
        agent: the robot, which knows where its cameras belong.
        names: ``head``, ``wrist`` and (of a pair) ``wrist_right``.
        resolution: height and width of the pictures in pixels.
        fovs: vertical field of view in radians of ``head`` and ``wrist`` (of both hands); None for the robot's own.
        shifts: of each batched scene, how far each camera is from where it belongs.
        renderer: draws the pictures.

    Raises:
        KeyError: if the robot has no such camera.
    """
    robot = agent.embodiment
    head = robot.head_camera
    mounts = {"head": (sapien_utils.look_at(head.eye, head.target).sp, fovs["head"] or head.fov, None)}
    for name, mount in robot.wrist_cameras.items():
        pose = sapien.Pose(mount.position, mount.quaternion)
        mounts[name] = (pose, fovs["wrist"] or mount.fov, agent.robot.links_map[mount.link])
    configs = []
    for name in names:
        pose, fov, link = mounts[name]
        poses = [pose * _as_pose(scene[name]) for scene in shifts]
        batched = Pose.create_from_pq(np.stack([p.p for p in poses]), np.stack([p.q for p in poses]))
        size = {"width": resolution, "height": resolution, "near": NEAR, "far": FAR}
        shader = render.camera_shader(renderer)
        configs.append(CameraConfig(name, pose=batched, fov=fov, mount=link, shader_config=shader, **size))
    return configs


def _as_pose(shift: CameraShift) -> sapien.Pose:
    """Return a shift as a pose in the camera's frame."""
    vector = np.array(shift.rotation)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else vector
    return sapien.Pose(shift.position, [np.cos(angle / 2), *(np.sin(angle / 2) * axis)])


class Pictures:
    """Takes the pictures of one scene's cameras into arrays that exist already."""

    def __init__(self, num_cameras: int, resolution: int, depth: bool) -> None:
        """Make the arrays.

        Args:
            num_cameras: ``C``.
            resolution: ``H`` and ``W`` in pixels.
            depth: whether to fetch depth too.
        """
        self.image = np.zeros((num_cameras, 3, resolution, resolution), np.uint8)
        """The last pictures, RGB."""
        self.depth = np.zeros((num_cameras, 1, resolution, resolution), np.uint16) if depth else None
        """Distance along the camera's axis in millimetres, 0 where nothing is drawn; None if it is not fetched."""

    def take(
        self, update_render: Callable[[], None], cameras: Sequence[sapien.render.RenderCameraComponent]
    ) -> dict[str, np.ndarray]:
        """Draw the scene as it is now and return the arrays by their names in an observation.

        Args:
            update_render: the scene's, which tells the renderer where everything is.
            cameras: one for each picture.
        """
        update_render()
        for camera in cameras:  # all are started before the first is waited for
            camera.take_picture()
        for image, camera in zip(self.image, cameras, strict=True):
            np.copyto(image, camera.get_picture("Color")[..., :3].transpose(2, 0, 1))
        if self.depth is None:
            return {"image": self.image}
        for depth, camera in zip(self.depth, cameras, strict=True):
            position = camera.get_picture("PositionSegmentation")[..., 2]  # int16, millimetres, the camera looks to -z
            np.negative(position, out=depth[0], casting="unsafe")
        return {"image": self.image, "depth": self.depth}
