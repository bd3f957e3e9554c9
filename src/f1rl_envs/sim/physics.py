"""Physics scenes on the CPU: without a past, and at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sapien

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mani_skill.envs.scene import ManiSkillScene

SETTLE_SECONDS = 0.025
"""How long a scene is simulated before it is judged: four times as long as the fall from where objects are put."""
MAX_SPEED = 0.02
"""An object at rest is slower than this (measured: 0.001), in m/s; what tips or is pushed is faster by then."""
MAX_SHIFT = 2e-3
"""An object at rest is no further than this from where it was put, in metres."""
MAX_JOINT_SPEED = 0.05
"""A joint that nothing pushes is slower than this, in rad/s (m/s where it slides)."""


class BodyScene(sapien.Scene):
    """A physics scene without a past, for bodies that were built in another scene."""

    def __init__(self, before: sapien.Scene) -> None:
        """Take the place of ``before``, without its bodies."""
        physics = sapien.physx.PhysxCpuSystem()
        physics.timestep = before.physx_system.timestep
        super().__init__([physics, before.render_system])
        self.built: sapien.Scene = getattr(before, "built", before)
        """The scene that all was built in; it must live, since it holds what has no body: lights and fixed cameras."""
        self.doubles: sapien.Scene | None = getattr(before, "doubles", None)
        """What is drawn in place of the bodies, in their order; None where the bodies themselves are drawn."""

    def update_render(self) -> None:
        """Tell the renderer where everything is."""
        if self.doubles is not None:
            self.doubles.unpack_poses(self.pack_poses())
        super().update_render()


def renew_physics(scene: ManiSkillScene, doubles: bool = False) -> None:
    """Move every body of a scene on the CPU into a new physics scene.

    PhysX carries contact manifolds, pair orders and warm starts from one step to the next, and there is no way to
    clear them: an episode on a scene that was used before differs from one on a fresh scene in the last bits, and
    visibly once something is touched. A new scene has no past; the bodies, and all that is drawn, stay. The bodies are
    woken first: one that enters asleep is not in the state of one that was just made, and falls asleep at another step.

    The renderer sets itself up anew for all that leaves and comes, and for a camera on a link from nothing. Lights and
    fixed cameras have no body and are not moved. With ``doubles``, what is drawn of a body stays as well: it goes, with
    the cameras, to an entity that gets the body's pose before each picture. Then the first pictures of an episode cost
    what any others do; but ManiSkill no longer finds the visual parts on the body to hide it, nor, between pictures,
    where a mounted camera is.

    Args:
        scene: one scene; its velocities and drive targets stay as they are.
        doubles: whether to draw doubles from now on; where they are drawn already, they remain.
    """
    old = scene.sub_scenes[0]
    new = BodyScene(old)
    bodies = [entity for entity in old.entities if entity.find_component_by_type(sapien.physx.PhysxRigidBaseComponent)]
    if doubles and new.doubles is None:
        new.doubles = _doubles(bodies, old.render_system)
    for body in (*old.physx_system.rigid_dynamic_components, *old.physx_system.articulation_link_components):
        if not getattr(body, "kinematic", False):
            body.wake_up()
    for entity in bodies:
        entity.remove_from_scene()
    for entity in bodies:
        new.add_entity(entity)
    scene.sub_scenes[0] = new
    scene.px = new.physx_system


def _doubles(bodies: Sequence[sapien.Entity], render_system: sapien.render.RenderSystem) -> sapien.Scene:
    """Return a scene with an entity for each body, which has been given all of it that is no physics."""
    doubles = sapien.Scene([render_system])
    for entity in bodies:
        double = sapien.Entity()
        double.name = entity.name
        for component in entity.components:
            if not isinstance(component, sapien.physx.PhysxBaseComponent):
                entity.remove_component(component)
                double.add_component(component)
        doubles.add_entity(double)
    return doubles


def put(
    robot: sapien.physx.PhysxArticulation,
    qpos: np.ndarray,
    bodies: Sequence[sapien.physx.PhysxRigidDynamicComponent],
    poses: np.ndarray,
) -> None:
    """Put a robot and objects somewhere, all of them still.

    Args:
        robot: its root stays where it is.
        qpos: ``float32 [joints]``, in radians (metres where a joint slides).
        bodies: the objects.
        poses: ``float32 [objects, 7]``: position in metres and ``w, x, y, z``.
    """
    robot.qpos = qpos
    robot.qvel = robot.qf = np.zeros_like(qpos)
    still = np.zeros(3, np.float32)
    for body, pose in zip(bodies, poses, strict=True):
        body.entity.pose = sapien.Pose(pose[:3], pose[3:])
        body.linear_velocity = body.angular_velocity = still


def settles(
    physics: sapien.physx.PhysxCpuSystem,
    bodies: Sequence[sapien.physx.PhysxRigidDynamicComponent],
    robot: sapien.physx.PhysxArticulation,
) -> bool:
    """Simulate :data:`SETTLE_SECONDS` with the robot holding its pose, and say whether everything is at rest after.

    Args:
        physics: the physics scene of everything else.
        bodies: what was put down.
        robot: its drives are given its present joints as targets.
    """
    put = [body.entity.pose.p for body in bodies]
    for joint, position in zip(robot.active_joints, robot.qpos.tolist(), strict=True):
        joint.set_drive_target(position)
    for _ in range(round(SETTLE_SECONDS / physics.timestep)):
        physics.step()
    if np.abs(robot.qvel).max() > MAX_JOINT_SPEED:
        return False
    return all(
        np.linalg.norm(body.linear_velocity) < MAX_SPEED and np.linalg.norm(body.entity.pose.p - start) < MAX_SHIFT
        for body, start in zip(bodies, put, strict=True)
    )
