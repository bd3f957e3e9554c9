"""What is drawn from the seeds, without a simulator."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from env_configs import simulator
from f1rl_envs.sim import make
from f1rl_envs.sim.objects import SHAPE_ODDS, ObjectSpec, collision_parts
from f1rl_envs.sim.randomization import RANGES
from f1rl_envs.sim.scene import CAMERAS, sample_scene
from f1rl_envs.sim.start import CLEARANCE, DROP, SPREAD_X, SPREAD_Y, sample_start, start_seed
from f1rl_envs.sim.textures import SIZE, STYLES, texture

RANDOMIZATION = simulator()["randomization"]


def test_scene_seed_decides_what_is_built():
    randomization = RANDOMIZATION | {"random_appearance": True}
    first, again, other = (sample_scene(seed, randomization) for seed in (5, 5, 6))
    assert first.objects == again.objects
    assert first.light == again.light
    assert first.robot_tint == again.robot_tint
    np.testing.assert_array_equal(first.table, again.table)
    assert first.objects != other.objects
    assert first.light != other.light
    assert (first.table != other.table).any()


def test_switches_are_independent():
    plain = RANDOMIZATION
    base = sample_scene(3, plain)
    still = sample_scene(3, plain | {"random_background": False, "random_light": False})
    assert still.objects == base.objects
    assert still.light == sample_scene(99, plain | {"random_light": False}).light
    np.testing.assert_array_equal(still.table, sample_scene(99, plain | {"random_background": False}).table)
    coloured = sample_scene(3, plain | {"random_appearance": True})
    assert [o.half_size for o in coloured.objects] == [o.half_size for o in base.objects]
    assert [o.colour for o in coloured.objects] != [o.colour for o in base.objects]
    assert base.robot_tint == (1.0, 1.0, 1.0) != coloured.robot_tint
    assert sample_scene(3, plain | {"cluttered_table": False}).objects == ()


FULL = RANDOMIZATION | {
    "random_appearance": True,
    "object_shapes": list(SHAPE_ODDS),
    "object_density": [200.0, 2000.0],
    "object_friction": [0.15, 0.9],
    "camera_position_jitter": 0.01,
    "camera_rotation_jitter": 0.03,
    "initial_pose_noise": 0.08,
}


@pytest.mark.parametrize("key", FULL)
def test_each_aspect_leaves_the_others_as_they_were(key):
    """Switched to another value, a key changes at most what it names."""
    other = RANDOMIZATION[key] if FULL[key] != RANDOMIZATION[key] else not FULL[key]
    if key == "object_size":
        other = [0.05, 0.06]
    if key == "num_objects":
        other = [4, 4]
    names = {
        "random_background": {"table", "wall", "floor"},
        "random_light": {"light"},
        "random_appearance": {"robot_tint", "colour"},
        "cluttered_table": {"objects"},
        "num_objects": {"objects"},
        "object_shapes": {"shape", "half_size"},
        "object_size": {"half_size"},
        "object_density": {"density"},
        "object_friction": {"friction"},
        "camera_position_jitter": {"cameras"},
        "camera_rotation_jitter": {"cameras"},
        "initial_pose_noise": set(),
    }[key]
    full = sample_scene(3, FULL | {"num_objects": [5, 5]})
    changed = sample_scene(3, FULL | {"num_objects": [5, 5]} | {key: other})
    parts = {"table", "wall", "floor", "light", "robot_tint", "cameras"}
    differing = {name for name in parts if not np.array_equal(getattr(full, name), getattr(changed, name))}
    if len(full.objects) != len(changed.objects):
        differing.add("objects")
    for a, b in zip(full.objects, changed.objects, strict=False):
        differing |= {name for name, value in vars(a).items() if value != getattr(b, name)}
    assert differing == names


def test_cameras_are_moved_within_their_bounds_whichever_exist():
    quick = FULL | {"random_background": False}
    shifts = [sample_scene(seed, quick).cameras[name] for seed in range(20) for name in CAMERAS]
    for values, bound in (([s.position for s in shifts], 0.01), ([s.rotation for s in shifts], 0.03)):
        assert 0.8 * bound < np.abs(values).max() <= bound
    assert len(set(shifts)) == len(shifts)
    still = sample_scene(0, RANDOMIZATION).cameras["wrist"]
    assert not any((*still.position, *still.rotation))


@pytest.mark.parametrize("shape", SHAPE_ODDS)
def test_parts_stay_within_their_object_and_carry_it(shape):
    """Nothing below the foot (it would start inside the table), nothing beyond the footprint, a foot to stand on."""
    spec = ObjectSpec(shape, (0.04, 0.04, 0.04) if shape != "bowl" else (0.04, 0.04, 0.02), (1, 1, 1), 1000.0, 0.3)
    lowest, widest = [], []
    for part in collision_parts(spec):
        corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * part.half_size
        w, *v = part.quaternion
        t = 2 * np.cross(v, corners)
        corners = corners + w * t + np.cross(v, t) + part.position
        lowest.append(corners[:, 2].min())
        if part.shape == "box":
            widest.append(np.hypot(corners[:, 0], corners[:, 1]).max())
    np.testing.assert_allclose(min(lowest), -spec.half_size[2], atol=1e-9)
    assert max(widest, default=0.0) <= spec.footprint + 1e-6


def test_start_of_the_arm_and_of_the_objects_are_independent():
    objects = sample_scene(1, RANDOMIZATION).objects
    first, more_joints, fewer_objects = (
        sample_start(5, objects, 7, 0.04), sample_start(5, objects, 14, 0.1), sample_start(5, objects[:2], 7, 0.04),
    )  # fmt: skip
    np.testing.assert_array_equal(first.poses, more_joints.poses)
    np.testing.assert_array_equal(first.arm_noise, fewer_objects.arm_noise)
    assert not sample_start(5, objects, 7, 0.0).arm_noise.any()
    assert start_seed(5, 0) == 5
    assert len({start_seed(seed, attempt) for seed in range(5) for attempt in range(5)}) == 25


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("object_shapes", ["box", "cone"], "object_shapes=.*must be one or more of box"),
        ("object_size", [0.08, 0.03], "object_size=.*must rise"),
        ("object_density", [1.0, 1000.0], "object_density=.*from 50"),
        ("initial_pose_noise", -0.1, "initial_pose_noise=-0.1: must be from 0 to 0.5"),
        ("camera_rotation_jitter", 1.0, "camera_rotation_jitter=1.0: must be"),
        ("num_objects", [3, 13], "num_objects=.*to 12"),
    ],
)
def test_scenes_that_cannot_be_built_are_refused(key, value, text):
    with pytest.raises(ValueError, match=text):
        make(simulator(**{f"randomization__{key}": value}))


def test_more_than_fits_on_the_table_is_refused():
    with pytest.raises(ValueError, match=r"12 objects of 0.1 m .* would take 56% .* of which 40% can be filled"):
        make(simulator(randomization__num_objects=[3, 12], randomization__object_size=[0.03, 0.1]))


def test_number_of_objects_covers_its_range():
    quick = RANDOMIZATION | {"random_background": False}
    counts = {len(sample_scene(seed, quick).objects) for seed in range(40)}
    assert counts == {3, 4, 5, 6}


@pytest.mark.parametrize("seed", range(8))
def test_objects_start_apart_and_at_rest_height(seed):
    scene = sample_scene(seed, RANDOMIZATION | {"num_objects": [RANGES["num_objects"][1], RANGES["num_objects"][1]]})
    start = sample_start(seed, scene.objects, num_joints=7, noise=0.04)
    xy = start.poses[:, :2].astype(float)
    for k, a in enumerate(scene.objects):
        assert SPREAD_X[0] <= xy[k, 0] <= SPREAD_X[1]
        assert SPREAD_Y[0] <= xy[k, 1] <= SPREAD_Y[1]
        np.testing.assert_allclose(start.poses[k, 2], a.half_size[2] + DROP, rtol=1e-5)
        for j, b in enumerate(scene.objects[:k]):
            assert np.hypot(*(xy[k] - xy[j])) > a.footprint + b.footprint + CLEARANCE - 1e-6
    np.testing.assert_allclose(np.linalg.norm(start.poses[:, 3:], axis=1), 1.0, rtol=1e-6)
    assert np.abs(start.arm_noise).max() <= 2 * 0.04 + 1e-6
    assert (start.arm_noise != sample_start(seed + 1, scene.objects, 7, 0.04).arm_noise).all()


@pytest.mark.parametrize("style", STYLES)
def test_textures_have_structure_at_the_scale_of_a_wrist_pixel(style):
    image = texture(style, 1, random_colours=True)
    assert image.shape == (SIZE, SIZE, 4)
    assert image.dtype == np.uint8
    assert (image[..., 3] == 255).all()
    np.testing.assert_array_equal(image, texture(style, 1, random_colours=True))
    grey = image[..., :3].mean(axis=2)
    # A view of 30 cm sees about a quarter of the texture's side: each such patch must have contrast of its own.
    patches = grey.reshape(4, SIZE // 4, 4, SIZE // 4).std(axis=(1, 3))
    assert patches.min() > 4.0


def test_everything_wrong_is_said_at_once():
    bad = simulator(
        embodiment__arms=["spot"],
        camera__names=["head", "foot"],
        control__action_scale=0.0,
        control_freq=30,
        render_device="gpu",
        randomization__num_objects=[6, 3],
    )
    with pytest.raises(ValueError, match="is wrong") as caught:
        make(bad)
    for key in ("arms", "camera.names", "action_scale", "control_freq", "render_device", "num_objects"):
        assert key in str(caught.value)


def test_spec_needs_no_simulator():
    code = (
        "import sys; from f1rl_envs.sim.spec import spec; "
        f"s = spec({simulator()!r}); assert s.image_shape == (2, 3, 64, 64); assert sum(s.action_mask) == 8; "
        "sys.exit(len({'torch', 'sapien', 'mani_skill'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
