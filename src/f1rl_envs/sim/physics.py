"""Physics scenes without a past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sapien

if TYPE_CHECKING:
    from mani_skill.envs.scene import ManiSkillScene


def renew_physics(scene: ManiSkillScene) -> None:
    """Move everything of a scene on the CPU into a new physics scene.

    PhysX carries contact manifolds, pair orders and warm starts from one step to the next, and there is no way to
    clear them: an episode on a scene that was used before differs from one on a fresh scene in the last bits, and
    visibly once something is touched. A new scene has no past; the bodies, and all that is drawn, stay. The bodies are
    woken first: one that enters asleep is not in the state of one that was just made, and falls asleep at another step.

    Args:
        scene: one scene; its velocities and drive targets stay as they are.
    """
    old = scene.sub_scenes[0]
    physics = sapien.physx.PhysxCpuSystem()
    physics.timestep = old.physx_system.timestep
    new = sapien.Scene([physics, old.render_system])
    entities = list(old.entities)
    for body in (*old.physx_system.rigid_dynamic_components, *old.physx_system.articulation_link_components):
        if not getattr(body, "kinematic", False):
            body.wake_up()
    for entity in entities:
        entity.remove_from_scene()
    for entity in entities:
        new.add_entity(entity)
    scene.sub_scenes[0] = new
    scene.px = physics
