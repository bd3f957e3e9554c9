from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest

from f1rl_envs import registry
from f1rl_envs.spec import PADDED_DIM

TOY = {"id": "toy", "variant": "arm", "cameras": ["head", "wrist"], "resolution": 64, "max_steps": 50}
SIMULATOR = {
    "id": "random_exploration",
    "embodiment": "franka",
    "control_mode": "delta_qpos",
    "action_scale": 0.3,
    "cameras": ["head", "wrist"],
    "resolution": 64,
    "max_steps": 50,
    "sim_freq": 200,
    "control_freq": 20,
    "render_device": "auto",
    "randomization": {
        "random_background": True,
        "random_light": True,
        "random_appearance": False,
        "cluttered_table": True,
        "num_objects": [3, 6],
    },
}
OWN_ENV = """
from f1rl_envs import toy
class Provider:
    make = staticmethod(lambda config: toy.make(config["inner"]))
    spec = staticmethod(lambda config: toy.spec(config["inner"]))
class Lacking:
    make = staticmethod(toy.make)
"""


def changed(config, path, value):
    """Return a copy of ``config`` with the key at a dotted path set, or deleted if ``value`` is None."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for parent in parents:
        inner = inner[parent]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return config


@pytest.mark.parametrize("config", [TOY, SIMULATOR], ids=["toy", "random_exploration"])
def test_spec_has_the_production_layout(config):
    spec = registry.spec(config)
    assert spec.image_shape == (2, 3, 64, 64)
    assert spec.cameras == ("head", "wrist")
    assert (spec.max_steps, spec.control_freq) == (50, 20.0)
    assert spec.action_mask == (True,) * 8 + (False,) * (PADDED_DIM - 8)
    assert len(spec.state_mask) == PADDED_DIM


def test_make_agrees_with_spec():
    config = changed(changed(TOY, "cameras", ["wrist"]), "resolution", 96)
    env, spec = registry.make(config), registry.spec(config)
    assert env.observation_space["image"].shape == spec.image_shape == (1, 3, 96, 96)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"no environment with id None; the built-in ones are toy, random_exploration"),
        (changed(TOY, "id", "toys"), r"no environment with id 'toys'; the built-in ones are toy, random_exploration"),
        (changed(TOY, "variant", "hand"), r"variant is 'hand' but must be one of arm, clock, cue"),
        (changed(TOY, "variant", None), r"key 'variant' is missing"),
        (changed(TOY, "resolutoin", 64), r"key 'resolutoin' is unknown \(did you mean 'resolution'\?\)"),
        (
            changed(TOY, "resolution", 65),
            r"is 65 but must be a whole number from 32 to 512, a multiple of 16",
        ),
        (changed(TOY, "resolution", "64"), r"resolution is '64' but must be a whole number"),
        (changed(TOY, "max_steps", True), r"max_steps is True but must be a whole number"),
        (changed(TOY, "cameras", ["head", "front"]), r"cameras is \['head', 'front'\] but must be .*head, wrist"),
        (changed(TOY, "cameras", ["head", "head"]), r"each once"),
        (changed(TOY, "cameras", []), r"one or more of head, wrist"),
        (changed(SIMULATOR, "randomization", 3), r"randomization is 3 but must have the keys random_background"),
        (changed(SIMULATOR, "randomization.num_objects", None), r"key 'randomization.num_objects' is missing"),
        (changed(SIMULATOR, "randomization.num_objects", [3]), r"randomization.num_objects is \[3\] but must be two"),
        (changed(SIMULATOR, "randomization.random_lights", True), r"did you mean 'randomization.random_light'\?"),
        (changed(SIMULATOR, "randomization.random_light", 1), r"random_light is 1 but must be true or false"),
        (changed(SIMULATOR, "action_scale", "big"), r"action_scale is 'big' but must be a number"),
        (changed(SIMULATOR, "cameras", ["head", "front"]), r"front"),
        (changed(SIMULATOR, "control_freq", 30), r"control_freq"),
    ],
)
def test_wrong_configuration_is_one_clear_error(config, message):
    with pytest.raises(ValueError, match=message):
        registry.spec(config)
    with pytest.raises(ValueError, match=message):
        registry.make(config)


def test_all_faults_are_named_at_once():
    with pytest.raises(ValueError, match=r"'variant' is missing.*resolution is 1 but.*'speed' is unknown"):
        registry.spec(changed(changed(changed(TOY, "variant", None), "resolution", 1), "speed", 2))


def test_environment_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_env_of_test_registry.py").write_text(OWN_ENV)
    monkeypatch.syspath_prepend(tmp_path)
    config = {"id": "own_env_of_test_registry:Provider", "inner": TOY}
    assert registry.spec(config) == registry.spec(TOY)
    assert registry.make(config).reset(seed=0)[0]["image"].shape == (2, 3, 64, 64)
    with pytest.raises(ValueError, match="no attribute 'spec'"):
        registry.spec({"id": "own_env_of_test_registry:Lacking"})
    with pytest.raises(ValueError, match=r"No module named 'nowhere'.*package\.module:attribute"):
        registry.make({"id": "nowhere:Provider"})


def test_spec_needs_no_simulator():
    code = (
        "import sys; from f1rl_envs import registry\n"
        f"registry.spec({TOY!r}); registry.spec({SIMULATOR!r})\n"
        "print(sorted({'torch', 'sapien', 'mani_skill'} & set(sys.modules)))"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
