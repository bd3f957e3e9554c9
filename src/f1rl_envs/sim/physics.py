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


def renew_physics(scene: ManiSkillScene) -> None:
    """Move every body of a scene on the CPU into a new physics scene.

    PhysX carries contact manifolds, pair orders and warm starts from one step to the next, and there is no way to
    clear them: an episode on a scene that was used before differs from one on a fresh scene in the last bits, and
    visibly once something is touched. A new scene has no past; the bodies, and all that is drawn, stay. The bodies are
    woken first: one that enters asleep is not in the state of one that was just made, and falls asleep at another step.
    Lights and fixed cameras have no body and are not moved: the renderer would set itself up for them anew.

    Args:
        scene: one scene; its velocities and drive targets stay as they are.
    """
    old = scene.sub_scenes[0]
    physics = sapien.physx.PhysxCpuSystem()
    physics.timestep = old.physx_system.timestep
    new = sapien.Scene([physics, old.render_system])
    new.first = getattr(old, "first", old)  # holds what is not moved, and must live as long
    bodies = [entity for entity in old.entities if entity.find_component_by_type(sapien.physx.PhysxRigidBaseComponent)]
    for body in (*old.physx_system.rigid_dynamic_components, *old.physx_system.articulation_link_components):
        if not getattr(body, "kinematic", False):
            body.wake_up()
    for entity in bodies:
        entity.remove_from_scene()
    for entity in bodies:
        new.add_entity(entity)
    scene.sub_scenes[0] = new
    scene.px = physics


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
