from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from f1rl.config.compose import SWEEP_GROUP, compose, compose_tree, groups
from f1rl.errors import ConfigError, UsageError
from f1rl.typed import to_tree

OPTIONS = [f"{group}={option}" for group, options in groups().items() if group != SWEEP_GROUP for option in options]
NEEDED = {option: ["rollout.datasets=[outputs/recorded]"] for option in ("rollout=offline", "rollout=mixed")}


def problems_of(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    return str(caught.value)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_every_group_composes(option: str) -> None:
    compose([option, *NEEDED.get(option, [])])


@pytest.mark.parametrize("experiment", groups()["experiment"])
@pytest.mark.parametrize("debug", groups()["debug"])
def test_every_experiment_has_a_cheap_form(experiment: str, debug: str) -> None:
    compose([f"experiment={experiment}", f"debug={debug}"])


def test_the_documented_defaults() -> None:
    config = compose([])
    assert (config.phase.name, config.env.id, config.embodiment.name) == ("teacher", "random_exploration", "franka")
    assert config.output_dir == "outputs/teacher_rl"
    assert (config.phase.num_episodes, config.env.max_steps, config.phase.batch_size) == (10000, 50, 8)
    assert (config.bptt.length, config.bptt.sequential_training, config.bptt.memory_backprop) == (8, True, True)
    assert (config.control.mode, config.control.action_scale) == ("delta_qpos", 0.3)


def test_keys_and_groups_are_overridden_together() -> None:
    config = compose(["env=toy", "phase.num_episodes=200", "bptt=16", "logging=debug", "env.variant=cue"])
    assert (config.env.id, config.env.variant) == ("toy", "cue")
    assert (config.phase.num_episodes, config.bptt.length, config.logging.console_level) == (200, 16, "DEBUG")


def test_debug_wins_over_experiment_and_a_key_over_both() -> None:
    assert compose(["experiment=demo", "debug=smoke"]).phase.num_episodes == 8
    assert compose(["experiment=demo", "debug=smoke", "phase.num_episodes=12"]).phase.num_episodes == 12


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_an_unknown_key_is_named_with_the_nearest_one(plus: str) -> None:
    assert "phase.learning_rat is not a key of phase; did you mean phase.learning_rate?" in problems_of(
        f"{plus}phase.learning_rat=3"
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("phase.lr=3", "phase.learning_rate"),
        ("+max_steps=3", "env.max_steps"),
        ("++randomization.num_object=[1,2]", "randomization.num_objects"),
        ("envv=toy", "env"),
        ("+phase.tokenizer.step=3", "phase.tokenizer.steps"),
        ("model.memory.hiddn=3", "model.memory.hidden"),
    ],
)
def test_what_was_probably_meant(given: str, meant: str) -> None:
    assert f"did you mean {meant}?" in problems_of(given)


def test_a_key_nobody_could_mean_lists_the_keys() -> None:
    assert "bptt.zzz is not a key of bptt; its keys are length, sequential_training, memory_backprop" in problems_of(
        "+bptt.zzz=1"
    )


def test_all_problems_are_reported_at_once() -> None:
    message = problems_of(
        "phase=teachr", "+phase.foo=3", "++seeed=3", "phase.num_episodes=many", "phase.betas=[1]", "~bptt.length"
    )
    assert "the configuration has 6 problems" in message
    assert "phase=teachr: the group phase has adversarial, student, teacher; did you mean 'teacher'?" in message
    assert "phase.foo is not a key" in message
    assert "seeed is not a key of the configuration; did you mean seed?" in message
    assert "phase.num_episodes must be a whole number; got 'many'" in message
    assert "phase.betas must be a list of 2 x a number; got [1]" in message
    assert "bptt.length is missing; it must be a whole number" in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("phase.num_episodes=1.5", "phase.num_episodes must be a whole number; got 1.5"),
        ("phase.num_episodes=true", "phase.num_episodes must be a whole number; got True"),
        ("phase.num_episodes=null", "phase.num_episodes must be a whole number; got None"),
        ("phase.learning_rate=fast", "phase.learning_rate must be a number; got 'fast'"),
        ("overwrite=1", "overwrite must be true or false; got 1"),
        ("rollout.num_workers=many", "rollout.num_workers must be a whole number or auto; got 'many'"),
        ("phase.lr_schedule=cos", "phase.lr_schedule must be one of cosine, constant; got 'cos'"),
        ("camera.names=wrist", "camera.names must be a list of text; got 'wrist'"),
        ("phase=pupil", "phase=pupil: the group phase has adversarial, student, teacher"),
        ("phase.tokenizer=3", "phase.tokenizer must be a section; got 3"),
        ("phase.learning_rate.x=3", "phase.learning_rate must be a number; got {'x': 3}"),
        ("name=${nowhere}", "a reference cannot be resolved: Interpolation key 'nowhere' not found"),
        ("model.tokenizer.scales=[1,2]", "model.tokenizer.scales ends with"),
    ],
)
def test_wrong_values(override: str, message: str) -> None:
    assert message in problems_of(override)


def test_a_number_may_be_written_without_a_point() -> None:
    config = compose(["phase.learning_rate=1", "phase.grad_clip=5e-1"])
    assert (config.phase.learning_rate, config.phase.grad_clip) == (1.0, 0.5)
    assert isinstance(config.phase.learning_rate, float)


def test_words_that_are_no_overrides() -> None:
    with pytest.raises(UsageError, match=r"'phase.num_episodes' is not an override like key=value"):
        compose(["phase.num_episodes"])
    with pytest.raises(UsageError, match="'bptt=4,8' asks for several runs; add -m"):
        compose(["bptt=4,8"])


def test_a_run_s_own_config_file_reproduces_it(tmp_path: Path) -> None:
    config = compose(["env=toy", "bptt=4", "seed=7", "tags=[a,b]"])
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(to_tree(config)))
    assert compose([], source=file) == config
    assert compose(["seed=8"], source=file).seed == 8
    with pytest.raises(ConfigError, match=r"phase\.sed is not a key"):
        compose(["phase.sed=8"], source=file)


def test_a_damaged_config_file_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("phase: [")
    with pytest.raises(ConfigError, match="cannot be composed"):
        compose([], source=file)
    with pytest.raises(ConfigError, match="is not a configuration; name a file like"):
        compose([], source=tmp_path / "missing.yaml")


def test_the_shown_tree_is_the_used_one() -> None:
    tree = compose_tree(["env=toy", "bptt=4"])
    assert "hydra" not in tree
    assert tree.bptt.length == 4
    assert compose_tree([], with_hydra=True).hydra.output_subdir is None
