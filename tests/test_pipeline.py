"""From the words of a pipeline to those of its runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from f1rl.errors import ConfigError, UsageError
from f1rl.pipeline import check, expand, membership, open_pipeline, split_directory

DIRECTORY = Path("outputs/my, 'own' chain")


def test_words_reach_all_phases_or_one_which_then_has_the_last_word() -> None:
    configs = check(expand(["env=toy", "seed=3", "student:seed=4", "adversarial:algo=grpo"], DIRECTORY))
    assert list(configs) == ["teacher", "student", "adversarial"]
    assert [config.phase.name for config in configs.values()] == list(configs)
    assert [config.env.id for config in configs.values()] == ["toy"] * 3
    assert [config.seed for config in configs.values()] == [3, 4, 3]
    assert [config.algo.name for config in configs.values()] == ["ppo", "ppo", "grpo"]
    assert [config.resume for config in configs.values()] == ["auto"] * 3
    assert [config.output_dir for config in configs.values()] == [f"{DIRECTORY}/{phase}_rl" for phase in configs]


def test_each_phase_starts_from_the_one_before() -> None:
    configs = check(expand(["env=toy"], DIRECTORY))
    assert configs["student"].phase.teacher_path == str(DIRECTORY.absolute() / "teacher_rl")
    assert configs["adversarial"].phase.student_checkpoint == str(DIRECTORY.absolute() / "student_rl")
    assert configs["adversarial"].phase.teacher_checkpoint is None


def test_a_value_may_hold_a_colon() -> None:
    configs = check(expand(["env.render_device=cuda:0"], DIRECTORY))
    assert {config.env.render_device for config in configs.values()} == {"cuda:0"}


def test_the_directory_is_one_of_the_words() -> None:
    assert split_directory(["env=toy", "pipeline.dir=my chain"]) == (Path("my chain"), ["env=toy"])
    directory, words = split_directory(["env=toy"])
    assert (directory.parent, directory.name[:9], words) == (Path("outputs"), "pipeline_", ["env=toy"])
    for wrong in (["pipeline.dir="], ["pipeline.dir=a", "pipeline.dir=b"]):
        with pytest.raises(UsageError, match=r"pipeline\.dir=DIR names one directory"):
            split_directory(wrong)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("studnet:seed=3", "'studnet' is not a phase; did you mean 'student'?"),
        ("phase=student", "it decides phase itself"),
        ("student:output_dir=here", "it decides output_dir itself"),
        ("overwrite=true", "it decides overwrite itself"),
        ("student:phase.teacher_path=other", "it decides phase.teacher_path itself"),
        ("seed=1,2", "a pipeline cannot be swept"),
        ("teacher:seed", "'seed' is not an override"),
    ],
)
def test_words_that_make_no_sense_are_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        expand(["env=toy", word], DIRECTORY)


def test_all_phases_are_checked_before_the_first_starts() -> None:
    with pytest.raises(ConfigError) as caught:
        check(expand(["env=toy", "seed=-1", "student:policy.exec_horizon=99"], DIRECTORY))
    said = str(caught.value)
    assert said.count("seed must be 0 or more") == 2
    assert "phase teacher and adversarial: " in said
    assert "policy.exec_horizon must be at most" in said
    assert "student:phase.num_episodes=480" in said


def test_phases_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.memory.hidden: 128 for the teacher, 64 for phase student"):
        check(expand(["env=toy", "student:model.memory.hidden=64"], DIRECTORY))
    with pytest.raises(ConfigError, match=r"policy.kind: gaussian for the student, flow for phase adversarial"):
        check(expand(["env=toy", "adversarial:policy=flow"], DIRECTORY))


def test_a_pipeline_is_opened_again_by_the_same_words_only(tmp_path: Path) -> None:
    made = open_pipeline(tmp_path / "chain", ["env=toy"])
    assert open_pipeline(tmp_path / "chain", ["env=toy"]) == made
    with pytest.raises(ConfigError, match=r"there: env=toy\n  now:   env=toy seed=1"):
        open_pipeline(tmp_path / "chain", ["env=toy", "seed=1"])
    where = ["launcher.timeout_min=600", "student:launcher.partition=gpu"]
    assert open_pipeline(tmp_path / "chain", [where[0], "env=toy", where[1]]) == made
    (tmp_path / "chain" / "pipeline.json").write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        open_pipeline(tmp_path / "chain", ["env=toy"])
    (tmp_path / "outputs" / "student_rl").mkdir(parents=True)
    (tmp_path / "outputs" / "student_rl" / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match="student_rl holds a run that is part of no pipeline"):
        open_pipeline(tmp_path / "outputs", ["env=toy"])


def test_a_run_finds_out_what_it_is_part_of(tmp_path: Path) -> None:
    assert membership(tmp_path / "student_rl") is None
    identity = open_pipeline(tmp_path, [])["id"]
    assert membership(tmp_path / "student_rl") == {"id": identity, "directory": str(tmp_path), "place": 2}
    assert membership(tmp_path / "another") is None
    assert json.loads((tmp_path / "pipeline.json").read_text())["phases"] == ["teacher", "student", "adversarial"]
