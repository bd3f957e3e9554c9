"""The names under which Gymnasium knows the environments."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from f1rl.config.compose import compose
from f1rl.launch.environment import env_config
from f1rl_envs.phase_envs import StudentEnv, TeacherEnv
from f1rl_envs.registration import CONFIGURATIONS, merged

ENV_OF_CONF = {
    "f1rl/RandomExploration-v0": "franka",
    "f1rl/ManiSkill-v0": "maniskill",
    "f1rl/Toy-v0": "toy",
}


def test_importing_the_package_registers_without_a_simulator():
    code = (
        "import sys, f1rl_envs, gymnasium\n"
        "print(*(name for name in gymnasium.registry if name.startswith('f1rl/')))\n"
        "print(sorted({'torch', 'sapien', 'mani_skill'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, heavy = done.stdout.splitlines()
    assert names.split() == list(CONFIGURATIONS) == list(ENV_OF_CONF)
    assert heavy == "[]"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_name_is_what_the_projects_defaults_give(name):
    defaults = env_config(compose([f"env={ENV_OF_CONF[name]}"]))
    assert CONFIGURATIONS[name] == defaults, "a change of conf/ must be made in f1rl_envs/registration.py too"


@pytest.mark.parametrize(
    "name",
    [
        "f1rl/Toy-v0",
        pytest.param("f1rl/RandomExploration-v0", marks=pytest.mark.sim),
        pytest.param("f1rl/ManiSkill-v0", marks=pytest.mark.sim),
    ],
)
def test_gymnasium_finds_nothing_wrong(name):
    env = gymnasium.make(name, camera={"resolution": 32})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    observation, _ = env.reset(seed=1)
    assert observation["image"].shape == (2, 3, 32, 32)
    env.close()


def test_keywords_change_the_keys_that_they_name():
    env = gymnasium.make("f1rl/Toy-v0", variant="clock", max_steps=3, camera={"names": ["wrist"]})
    assert env.unwrapped.env_spec.max_steps == 3
    assert env.reset(seed=0)[0]["image"].shape == (1, 3, 64, 64)
    assert gymnasium.make("f1rl/Toy-v0").reset(seed=0)[0]["image"].shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("f1rl/Toy-v0", {"max_stepss": 3}, r"key 'max_stepss' is unknown \(did you mean 'max_steps'\?\)"),
        ("f1rl/Toy-v0", {"camera": {"resolutoin": 64}}, r"did you mean 'camera.resolution'\?"),
        ("f1rl/ManiSkill-v0", {"task": "PickCub-v1"}, r"env.task='PickCub-v1': did you mean PickCube-v1\?"),
    ],
)
def test_a_wrong_keyword_is_one_clear_error(name, changes, message):
    with pytest.raises(ValueError, match=message):
        gymnasium.make(name, **changes)


def test_changes_leave_the_original_alone():
    config = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(config, {"a": {"b": 4}, "e": 5}) == {"a": {"b": 4, "c": 2}, "d": 3, "e": 5}
    assert config == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(("phase", "cameras"), [(TeacherEnv, ("head", "wrist")), (StudentEnv, ("wrist",))])
def test_a_phase_has_its_cameras(phase, cameras):
    env = phase("f1rl/Toy-v0", camera={"resolution": 32}, max_steps=2)
    assert env.unwrapped.env_spec.cameras == cameras
    assert env.reset(seed=0)[0]["image"].shape == (len(cameras), 3, 32, 32)
    env.step(env.action_space.sample())
    assert env.step(env.action_space.sample())[3]
