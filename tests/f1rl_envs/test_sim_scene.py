"""What is drawn from the seeds, without a simulator."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from env_configs import simulator
from f1rl_envs.sim import make
from f1rl_envs.sim.scene import CLEARANCE, DROP, HOME_NOISE, SPREAD_X, SPREAD_Y, sample_scene, sample_start
from f1rl_envs.sim.spec import MAX_OBJECTS
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


def test_number_of_objects_covers_its_range():
    counts = {len(sample_scene(seed, RANDOMIZATION).objects) for seed in range(40)}
    assert counts == {3, 4, 5, 6}


@pytest.mark.parametrize("seed", range(8))
def test_objects_start_apart_and_at_rest_height(seed):
    scene = sample_scene(seed, RANDOMIZATION | {"num_objects": [MAX_OBJECTS, MAX_OBJECTS]})
    start = sample_start(seed, scene.objects, num_joints=7)
    xy = start.poses[:, :2].astype(float)
    for k, a in enumerate(scene.objects):
        assert SPREAD_X[0] <= xy[k, 0] <= SPREAD_X[1]
        assert SPREAD_Y[0] <= xy[k, 1] <= SPREAD_Y[1]
        np.testing.assert_allclose(start.poses[k, 2], a.half_size[2] + DROP, rtol=1e-5)
        for j, b in enumerate(scene.objects[:k]):
            assert np.hypot(*(xy[k] - xy[j])) > a.footprint + b.footprint + CLEARANCE - 1e-6
    np.testing.assert_allclose(np.linalg.norm(start.poses[:, 3:], axis=1), 1.0, rtol=1e-6)
    assert np.abs(start.arm_noise).max() <= 2 * HOME_NOISE + 1e-6
    assert (start.arm_noise != sample_start(seed + 1, scene.objects, 7).arm_noise).all()


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
        "sys.exit(len({'torch', 'sapien', 'mani_skill', 'gymnasium'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
