from __future__ import annotations

import os
import subprocess
import sys

import pytest

from env_configs import simulator, toy, without
from f1rl_envs import registry
from f1rl_envs.spec import PADDED_DIM

OWN_ENV = """
from f1rl_envs import toy
class Provider:
    make = staticmethod(lambda config: toy.make(config["inner"]))
    spec = staticmethod(lambda config: toy.spec(config["inner"]))
class Lacking:
    make = staticmethod(toy.make)
"""


@pytest.mark.parametrize("config", [toy(), simulator()], ids=["toy", "random_exploration"])
def test_spec_has_the_production_layout(config):
    spec = registry.spec(config)
    assert spec.image_shape == (2, 3, 64, 64)
    assert spec.cameras == ("head", "wrist")
    assert (spec.max_steps, spec.control_freq) == (50, 20.0)
    assert spec.action_mask == (True,) * 8 + (False,) * (PADDED_DIM - 8)
    assert len(spec.state_mask) == PADDED_DIM


def test_make_agrees_with_spec():
    config = toy(camera__names=["wrist"], camera__resolution=96)
    env, spec = registry.make(config), registry.spec(config)
    assert env.observation_space["image"].shape == spec.image_shape == (1, 3, 96, 96)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"no environment with id None; the built-in ones are toy, random_exploration"),
        (toy(id="toys"), r"no environment with id 'toys'; the built-in ones are toy, random_exploration"),
        (toy(variant="hand"), r"variant is 'hand' but must be one of arm, clock, cue"),
        (without(toy(), "variant"), r"key 'variant' is missing"),
        (toy(camera__resolutoin=64), r"'camera.resolutoin' is unknown \(did you mean 'camera.resolution'\?\)"),
        (toy(camera__resolution=65), r"is 65 but must be a whole number from 32 to 512, a multiple of 16"),
        (toy(camera__resolution="64"), r"resolution is '64' but must be a whole number"),
        (toy(max_steps=True), r"max_steps is True but must be a whole number"),
        (toy(camera__names=["head", "front"]), r"camera.names is \['head', 'front'\] but must be .*head, wrist"),
        (toy(camera__names=["head", "head"]), r"each once"),
        (toy(camera__names=[]), r"one or more of head, wrist"),
        (simulator(randomization=3), r"randomization is 3 but must have the keys random_background"),
        (without(simulator(), "randomization.num_objects"), r"key 'randomization.num_objects' is missing"),
        (simulator(randomization__num_objects=[3]), r"randomization.num_objects is \[3\] but must be two"),
        (simulator(randomization__random_lights=True), r"did you mean 'randomization.random_light'\?"),
        (simulator(randomization__random_light=1), r"random_light is 1 but must be true or false"),
        (simulator(control__action_scale="big"), r"action_scale is 'big' but must be a number"),
        (simulator(camera__names=["head", "front"]), r"front"),
        (simulator(embodiment__distance="far"), r"distance is 'far' but must be a number, or nothing \(null\)"),
        (simulator(control_freq=30), r"control_freq"),
    ],
)
def test_wrong_configuration_is_one_clear_error(config, message):
    with pytest.raises(ValueError, match=message):
        registry.spec(config)
    with pytest.raises(ValueError, match=message):
        registry.make(config)


def test_all_faults_are_named_at_once():
    with pytest.raises(ValueError, match=r"'variant' is missing.*resolution is 1 but.*'speed' is unknown"):
        registry.spec(without(toy(camera__resolution=1, speed=2), "variant"))


def test_environment_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_env_of_test_registry.py").write_text(OWN_ENV)
    monkeypatch.syspath_prepend(tmp_path)
    config = {"id": "own_env_of_test_registry:Provider", "inner": toy()}
    assert registry.spec(config) == registry.spec(toy())
    assert registry.make(config).reset(seed=0)[0]["image"].shape == (2, 3, 64, 64)
    with pytest.raises(ValueError, match="no attribute 'spec'"):
        registry.spec({"id": "own_env_of_test_registry:Lacking"})
    with pytest.raises(ValueError, match=r"No module named 'nowhere'.*package\.module:attribute"):
        registry.make({"id": "nowhere:Provider"})


def test_spec_needs_no_simulator():
    code = (
        "import sys; from f1rl_envs import registry\n"
        f"registry.spec({toy()!r}); registry.spec({simulator()!r})\n"
        "print(sorted({'torch', 'sapien', 'mani_skill'} & set(sys.modules)))"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
