"""The phases with an explorer: from a teacher's checkpoint to the adversary's, resumed exactly, refused clearly."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from e2e_support import ADVERSARY, DEADLINE, EXPLORER, Launcher, lines, metrics, validations, wait_until
from f1rl.checkpoint import load_checkpoint
from f1rl.config.check import find_contradictions
from f1rl.config.schema import Config
from f1rl.records import fields
from f1rl.tools import export
from f1rl.typed import from_tree

UNMEASURED = {"object_displacement", "contact_rate", "voxels", "coverage"}  # by the toy environment


@pytest.fixture
def here(lineage: Path, launcher: Launcher) -> Launcher:
    """Return a launcher beside copies of all runs."""
    shutil.copytree(lineage / "outputs", launcher.directory / "outputs")
    return launcher


def options(phase: str) -> tuple[str, ...]:
    return (f"phase={phase}", *EXPLORER, *(ADVERSARY if phase == "adversarial" else ()))


def test_a_student_takes_the_newest_teacher_and_leaves_every_record(lineage: Path) -> None:
    run = lineage / "outputs" / "student_rl"
    about = json.loads((run / "run.json").read_text())
    assert [Path(parent).parts[-2:] for parent in about["parents"]] == [("teacher_rl", "checkpoint-24")]
    assert "starting from the teacher in" in next((run / "logs").glob("*.log")).read_text()
    records = metrics(run)
    assert [record["episode"] for record in records] == list(range(1, 17))
    assert {record["decision_step"] for record in records} == {16, 32, 48, 64}  # 4 episodes of 4 decisions each
    for field in set(fields.EXPLORER) - UNMEASURED:
        assert all(field in record for record in records), field
    log = json.loads((run / "training_log.json").read_text())
    assert {"step", "samples", "reward", "kl", "policy_loss", "entropy"} <= log["train_history"][0].keys()
    held_out = {name for name in fields.EXPLORER_HELD_OUT if name.removeprefix("val_") not in UNMEASURED}
    assert all(held_out | {fields.beside(name) for name in held_out} <= entry.keys() for entry in log["val_history"])
    assert len(list((run / "samples").glob("*.png"))) == 2
    assert (run / "videos" / "episode_0016.mp4").stat().st_size > 0


def test_the_world_model_of_a_student_stays_the_teachers(lineage: Path) -> None:
    outputs = lineage / "outputs"
    teacher = torch.load(outputs / "teacher_rl" / "checkpoint-24" / "model.pt", weights_only=True)
    student = torch.load(outputs / "student_rl" / "checkpoint-16" / "model.pt", weights_only=True)
    assert all(torch.equal(student[f"world.{name}"], weight) for name, weight in teacher.items())
    assert {name.split(".")[0] for name in student} == {"world", "explorer"}


def test_an_adversary_keeps_the_means_of_both_networks_and_a_slow_one(lineage: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(lineage / "outputs" / "adversarial_rl" / "checkpoint-16")
    state, means = checkpoint.training["module"], checkpoint.training["module"]["ema"]
    assert means["world"]["updates"] == 4 * 2
    assert not any(name.startswith("tokenizer.") for name in state["slow"])
    assert state["slow"].keys() == means["world"]["mean"].keys()
    assert export.main([str(lineage / "outputs" / "adversarial_rl"), str(tmp_path / "mean"), "--ema"]) == 0
    start = from_tree(Config, yaml.safe_load((tmp_path / "mean" / "config.yaml").read_text()), problems := [])
    assert (start.phase.name, problems, find_contradictions(start)) == ("teacher", [], [])
    exported = load_file(tmp_path / "mean" / "model.safetensors")
    for name, mean in means["world"]["mean"].items():
        assert torch.equal(exported[name], mean)
        assert not torch.equal(mean, checkpoint.model[f"world.{name}"])


@pytest.mark.parametrize(
    ("phase", "extra", "stop"),
    [
        ("student", ("algo=grpo", "algo.num_generations=2", "algo.reference_weight=0.1"), signal.SIGKILL),
        ("student", ("policy=flow", "rollout.overlap=true", "phase.rewards.uncertainty=disagreement"), signal.SIGTERM),
        ("adversarial", (), signal.SIGKILL),
    ],
)
def test_a_parted_run_equals_a_whole_one(
    here: Launcher, phase: str, extra: tuple[str, ...], stop: signal.Signals
) -> None:
    settings, name = (*options(phase), *extra), f"{phase}_rl"
    if extra:
        name = "whole"
        whole = here.run(f"output_dir=outputs/{name}", *settings)
        assert whole.returncode == 0, whole.stdout + whole.stderr
    process = here.start("output_dir=outputs/parted", *settings)
    records = here.directory / "outputs" / "parted" / "episode_metrics.jsonl"
    wait_until(lambda: lines(records) >= 8, process)
    os.kill(process.pid, stop)
    process.communicate(timeout=DEADLINE)
    resumed = here.run("output_dir=outputs/parted", *settings, "resume=auto")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    runs = [here.directory / "outputs" / name for name in (name, "parted")]
    assert metrics(runs[0]) == metrics(runs[1])
    assert validations(runs[0]) == validations(runs[1])
    first, second = (torch.load(run / "checkpoint-16" / "model.pt", weights_only=True) for run in runs)
    assert all(torch.equal(first[key], second[key]) for key in first)


def refused(launcher: Launcher, code: int, *overrides: str) -> str:
    """Run and return the explanation; nothing may have been made."""
    result = launcher.run("output_dir=outputs/new", *overrides)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not (launcher.directory / "outputs" / "new").exists()
    return result.stderr


def test_without_a_teacher_the_student_says_how_to_get_one(launcher: Launcher) -> None:
    said = refused(launcher, 6, *options("student"))
    assert "there is no checkpoint of a teacher" in said
    assert "phase=teacher" in said
    assert "phase.teacher_path=PATH" in said


def test_a_teacher_of_another_configuration_is_refused_with_a_table(here: Launcher) -> None:
    said = refused(here, 3, *options("student"), "model.memory.hidden=64", "env.variant=clock")
    assert "model.memory.hidden: 128 for the teacher, 64 now" in said
    assert "env.variant: arm for the teacher, clock now" in said


def test_weights_that_do_not_match_are_named(here: Launcher) -> None:
    path = here.directory / "outputs" / "teacher_rl" / "checkpoint-24" / "model.pt"
    weights = torch.load(path, weights_only=True)
    weights["memory_tokens.weight"] = weights.pop("memory_token.weight")
    torch.save(weights, path)
    result = here.run("output_dir=outputs/new", *options("student"))
    assert result.returncode == 6
    assert "missing: memory_token.weight" in result.stderr
    assert "unknown: memory_tokens.weight" in result.stderr


def test_a_checkpoint_of_another_phase_is_refused(here: Launcher) -> None:
    teacher = here.directory / "outputs" / "teacher_rl" / "checkpoint-24"
    said = refused(here, 6, *options("adversarial"), f"phase.student_checkpoint={teacher}")
    assert "is a checkpoint of phase teacher, not student" in said


def test_an_explorer_and_a_world_model_that_never_met_are_refused(here: Launcher) -> None:
    path = here.directory / "outputs" / "teacher_rl" / "checkpoint-16"
    result = here.run("output_dir=outputs/new", *options("adversarial"), f"phase.teacher_checkpoint={path}")
    assert result.returncode == 6
    assert "learned with another world model" in result.stderr
