"""Planning on the GPU with cuRobo 0.8 (cuRoboV2); written against its published interface and **not run yet**.

No machine with CUDA and cuRobo was at hand: the first to have one should run ``python -m benchmarks.planning --planner
curobo`` and the tests of ``ee_pose``. What is known from cuRobo's source: importing it needs no GPU, kernels are
compiled in every process at the first plan (seconds), and only boxes around the scene's shapes are handed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sapien
import torch
from curobo.motion_planner import MotionPlanner, MotionPlannerCfg
from curobo.robot_builder import RobotBuilder
from curobo.scene import Scene
from curobo.types import GoalToolPose, JointState

from f1rl_envs.errors import PlannerError
from f1rl_envs.sim.cache import cache_root
from f1rl_envs.sim.control.planning import Plan, link_pose_in_root
from f1rl_envs.sim.control.planning.bodies import box_around, matrix, obstacles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.embodiments import Embodiment

MAX_BOXES = 64
"""Obstacles that the planner has room for."""


class CuroboPlanner:
    """Plans the joints of all arms of a robot together."""

    def __init__(self, robot: Embodiment, speed: float, period: float) -> None:
        """Build the planner; the first call on a machine also fits spheres to the robot's links.

        Args:
            robot: the embodiment.
            speed: fastest speed of a joint in rad/s.
            period: seconds between the targets of a trajectory.

        Raises:
            PlannerError: if torch sees no CUDA device.
        """
        if not torch.cuda.is_available():
            raise PlannerError(
                f"control.planner=curobo needs a CUDA device, and torch {torch.__version__} sees none; "
                "use control.planner=ompl, or a build of torch with CUDA on a machine with an NVIDIA GPU"
            )
        self._robot, self._speed, self._period = robot, speed, period
        self._joints = [joint for arm in robot.arms for joint in arm.joints]
        settings = MotionPlannerCfg.create(robot=str(_robot_file(robot)), collision_cache={"cuboid": MAX_BOXES})
        self._planner = MotionPlanner(settings)

    def bind(self, agent: RobotAgent, scene: sapien.Scene) -> None:
        """As :meth:`Planner.bind`."""
        self._agent, self._scene = agent, scene

    def plan(self, start: np.ndarray, poses: Sequence[np.ndarray], rng: np.random.Generator) -> Plan:
        """As :meth:`Planner.plan`; the planner's own generator is reset, so that the same question has one answer."""
        self._planner.update_world(Scene.create({"cuboid": self._boxes()}))
        self._planner.reset_seed()
        result = self._planner.plan_pose(self._goal(poses), self._state(start))
        if result is None:  # no joints were found
            return Plan(False, None)
        if not bool(result.success.any()):
            return Plan(True, None)
        way = result.get_interpolated_plan()
        columns = [list(way.joint_names).index(joint) for joint in self._joints]
        joints = way.position.reshape(-1, way.position.shape[-1])[:, columns].cpu().numpy().astype(np.float64)
        return Plan(True, self._resampled(joints, self._planner.trajopt_solver.config.interpolation_dt))

    def _boxes(self) -> dict[str, dict[str, list[float]]]:
        """Return a box around each shape of the scene, in the frame of the robot's root."""
        articulation = self._agent.robot._objs[0]
        root = np.linalg.inv(matrix(articulation.pose))
        boxes = {}
        for body in obstacles(self._scene):
            for k, shape in enumerate(body.collision_shapes):
                middle, half_size = box_around(shape)
                pose = root @ matrix(body.entity.pose) @ matrix(shape.local_pose)
                place = pose[:3, :3] @ middle + pose[:3, 3]
                boxes[f"{body.entity.name}-{k}"] = {
                    "dims": (2.0 * half_size).tolist(),
                    "pose": [*place.tolist(), *_quaternion(pose)],
                }
        return boxes

    def _goal(self, poses: Sequence[np.ndarray]) -> GoalToolPose:
        """Return the poses of all arms as ``[1, 1, arms, 1, 3 or 4]`` tensors, in the order of the tool frames."""
        wanted = {
            arm.tcp_link: link_pose_in_root(self._robot, arm, pose)
            for arm, pose in zip(self._robot.arms, poses, strict=True)
        }
        frames = list(self._planner.tool_frames)
        places = [wanted[frame][:3, 3].tolist() for frame in frames]
        turns = [_quaternion(wanted[frame]) for frame in frames]
        return GoalToolPose(
            tool_frames=frames,
            position=torch.tensor(places, dtype=torch.float32, device="cuda").reshape(1, 1, len(frames), 1, 3),
            quaternion=torch.tensor(turns, dtype=torch.float32, device="cuda").reshape(1, 1, len(frames), 1, 4),
        )

    def _state(self, start: np.ndarray) -> JointState:
        """Return the start for the planner's joints: the arms' targets, and the fingers as they are."""
        names = list(self._planner.joint_names)
        known = dict(zip(self._joints, start.tolist(), strict=True))
        others = [name for name in names if name not in known]
        measured = self._agent.robot._objs[0].qpos[self._agent.joint_indices(others)]
        known.update(zip(others, measured.tolist(), strict=True))
        position = torch.tensor([[known[name] for name in names]], dtype=torch.float32, device="cuda")
        return JointState.from_position(position, joint_names=names)

    def _resampled(self, joints: np.ndarray, step: float) -> np.ndarray:
        """Return a way ``[K, J]`` with a posture every ``step`` seconds at each control period, slower if need be."""
        if len(joints) < 2:
            return joints
        fastest = np.abs(np.diff(joints, axis=0)).max() / step
        times = np.arange(len(joints)) * step * max(1.0, fastest / self._speed)
        ends = np.append(np.arange(self._period, times[-1], self._period), times[-1])
        return np.stack([np.interp(ends, times, column) for column in joints.T], axis=1)


def _robot_file(robot: Embodiment) -> Path:
    """Return cuRobo's description of a robot, made from its URDF at the first call."""
    path = cache_root() / "curobo" / f"{robot.name}.yml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        tips = [arm.tcp_link for arm in robot.arms]
        builder = RobotBuilder(urdf_path=str(robot.urdf), asset_path=str(robot.urdf.parent), tool_frames=tips)
        builder.fit_collision_spheres()
        builder.compute_collision_matrix()
        builder.save(builder.build(), str(path))
    return path


def _quaternion(pose: np.ndarray) -> list[float]:
    """Return the rotation of a pose as ``w, x, y, z``."""
    return sapien.Pose(pose).q.tolist()
