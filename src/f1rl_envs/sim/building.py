"""Build what a :class:`~f1rl_envs.sim.scene.SceneSpec` describes into a ManiSkill scene, one row at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sapien
from mani_skill.utils.structs import Actor
from sapien.physx import PhysxMaterial
from sapien.render import RenderMaterial, RenderTexture2D

from f1rl_envs.sim import meshes
from f1rl_envs.sim.objects import ObjectSpec, Part, collision_parts
from f1rl_envs.sim.scene import FLOOR_HEIGHT, TABLE_HALF_SIZE, TABLE_POSITION, WALL_POSITION, LightSpec, SceneSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mani_skill.envs.scene import ManiSkillScene
    from mani_skill.utils.building import ActorBuilder
    from mani_skill.utils.structs import Articulation

_UPRIGHT = sapien.Pose(q=[0.70710678, 0.0, 0.70710678, 0.0])
"""Turns SAPIEN's cylinder, which lies along x."""
_MESHES = {
    "sphere": lambda size, material: [meshes.sphere(size[0], material)],
    "mug": lambda size, material: meshes.mug(size[0], size[2], material),
    "bowl": lambda size, material: meshes.bowl(size[0], size[2], material),
}
"""What is drawn for the shapes that are not drawn as the primitives that they collide as."""


def build_room(scene: ManiSkillScene, i: int, spec: SceneSpec) -> None:
    """Build what never moves: table, floor and back wall of row ``i``."""
    x, y, z = TABLE_HALF_SIZE
    builder = _static_builder(scene, i, TABLE_POSITION)
    builder.add_box_collision(half_size=TABLE_HALF_SIZE)
    builder.add_box_visual(half_size=TABLE_HALF_SIZE, material=RenderMaterial(base_color=[0.1, 0.08, 0.06, 1]))
    top = meshes.plane(x, y, 2 * x, _textured(spec.table, 0.7), sapien.Pose([0, 0, z + 5e-4]))
    builder._procedural_shapes.append(top)
    _finish_static(scene, builder, f"table-{i}")
    builder = _static_builder(scene, i, (0.0, 0.0, FLOOR_HEIGHT))
    builder.add_box_collision(sapien.Pose([0, 0, -0.05]), half_size=[3.0, 3.0, 0.05])
    builder._procedural_shapes.append(meshes.plane(3.0, 3.0, 1.5, _textured(spec.floor, 0.9), sapien.Pose()))
    _finish_static(scene, builder, f"floor-{i}")
    builder = _static_builder(scene, i, WALL_POSITION)
    builder.add_box_collision(sapien.Pose([-0.05, 0, 0]), half_size=[0.05, 3.0, 1.5])
    facing = sapien.Pose(q=[0.5, 0.5, 0.5, 0.5])
    builder._procedural_shapes.append(meshes.plane(3.0, 1.5, 2.5, _textured(spec.wall, 0.9), facing))
    _finish_static(scene, builder, f"wall-{i}")


def build_objects(scene: ManiSkillScene, specs: Sequence[SceneSpec]) -> list[Actor]:
    """Build the clutter of all rows, which have the same number of objects; one batched actor for each place."""
    actors = []
    for k in range(len(specs[0].objects)):
        parts = [_build_object(scene, k, i, spec.objects[k]) for i, spec in enumerate(specs)]
        merged = Actor.merge(parts, f"object{k}")
        scene.add_to_state_dict_registry(merged)
        actors.append(merged)
    return actors


def _build_object(scene: ManiSkillScene, k: int, i: int, spec: ObjectSpec) -> Actor:
    """Build clutter object ``k`` of row ``i``."""
    builder = scene.create_actor_builder()
    builder.set_scene_idxs([i])
    drawn = RenderMaterial(base_color=_linear(spec.colour), roughness=0.6, specular=0.3)
    surface = PhysxMaterial(spec.friction, spec.friction, 0.0)
    parts = collision_parts(spec)
    for part in parts:
        _add_collision(builder, part, surface, spec.density)
    if spec.shape in _MESHES:
        builder._procedural_shapes += _MESHES[spec.shape](spec.half_size, drawn)
    else:
        for part in parts:
            _add_visual(builder, part, drawn)
    builder.initial_pose = sapien.Pose([0.4 * k - 1.0, 1.5, spec.half_size[2]])
    actor = builder.build(f"object{k}-{i}")
    scene.remove_from_state_dict_registry(actor)
    return actor


def _add_collision(builder: ActorBuilder, part: Part, surface: PhysxMaterial, density: float) -> None:
    """Make ``part`` solid."""
    pose, (x, _, z) = sapien.Pose(part.position, part.quaternion), part.half_size
    if part.shape == "box":
        builder.add_box_collision(pose, part.half_size, surface, density)
    elif part.shape == "cylinder":
        builder.add_cylinder_collision(pose * _UPRIGHT, x, z, surface, density)
    else:
        builder.add_sphere_collision(pose, x, surface, density)


def _add_visual(builder: ActorBuilder, part: Part, material: RenderMaterial) -> None:
    """Draw ``part``, a box or a cylinder."""
    pose, (x, _, z) = sapien.Pose(part.position, part.quaternion), part.half_size
    if part.shape == "box":
        builder.add_box_visual(pose, part.half_size, material)
    else:
        builder.add_cylinder_visual(pose * _UPRIGHT, x, z, material)


def add_lights(scene: ManiSkillScene, i: int, light: LightSpec) -> None:
    """Put the lights of row ``i`` into it."""
    scene.sub_scenes[i].render_system.ambient_light = light.ambient
    for direction, colour in zip(light.directions, light.colours, strict=True):
        scene.add_directional_light(list(direction), list(colour), scene_idxs=[i])


def tint_robot(robot: Articulation, specs: Sequence[SceneSpec]) -> None:
    """Multiply the robot's own colours by each row's tint; every robot that is loaded has its own materials."""
    for link in robot.links:
        for i, component in zip(link._scene_idxs.tolist(), link._objs, strict=True):
            tint = specs[i].robot_tint
            body = component.entity.find_component_by_type(sapien.render.RenderBodyComponent)
            if body is None or tint == (1.0, 1.0, 1.0):
                continue
            for part in (part for shape in body.render_shapes for part in shape.parts):
                colour = np.asarray(part.material.base_color)
                part.material.base_color = [*(colour[:3] * tint), colour[3]]


def _static_builder(scene: ManiSkillScene, i: int, position: tuple[float, float, float]) -> ActorBuilder:
    """Return a builder of something that stays at ``position`` in row ``i``."""
    builder = scene.create_actor_builder()
    builder.set_scene_idxs([i])
    builder.initial_pose = sapien.Pose(position)
    return builder


def _finish_static(scene: ManiSkillScene, builder: ActorBuilder, name: str) -> None:
    """Build it, and keep it out of the state that is saved and restored."""
    scene.remove_from_state_dict_registry(builder.build_static(name))


def _linear(colour: tuple[float, float, float]) -> list[float]:
    """Return a colour as given to the eye (sRGB) in the linear RGBA that materials take."""
    return [*(np.asarray(colour) ** 2.2), 1.0]


def _textured(image: np.ndarray, roughness: float) -> RenderMaterial:
    """Return a material that shows ``image``, with mip maps so that it does not flicker at a distance."""
    material = RenderMaterial(base_color=[1, 1, 1, 1], roughness=roughness, specular=0.2)
    levels = int(np.log2(image.shape[0])) + 1
    material.base_color_texture = RenderTexture2D(image, "r8g8b8a8unorm", mipmap_levels=levels, srgb=True)
    return material
