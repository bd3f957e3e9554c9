"""``python -m f1rl evaluate`` on real checkpoints: the numbers of training, a fair comparison, clear refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from e2e_support import EXPLORER, Launcher, validations
from f1rl import cli
from f1rl.launch.evaluation import evaluate


@pytest.fixture(scope="module")
def runs(lineage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with copies of the three runs."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(lineage / "outputs", folder, dirs_exist_ok=True)
    return folder


def as_in_training(run: Path, name: str) -> Any:
    return validations(run)[-1][f"val_{name}"]


@pytest.mark.parametrize("phase", ["student", "adversarial"])
def test_the_final_weights_reach_what_training_said(runs: Path, phase: str) -> None:
    run = runs / f"{phase}_rl"
    result = evaluate(run)
    assert result == {**json.loads((run / "evaluation.json").read_text()), "file": str(run / "evaluation.json")}
    assert (result["phase"], result["episode"], result["episodes"], result["policy"]) == (phase, 16, 2, "sampled")
    for name in ("reward", "reward_memory", "loss", "accuracy", "wm_entropy", "length"):
        for player, prefix in (("explorer", ""), ("random", "random_policy_")):
            assert result["measures"][name][player]["mean"] == pytest.approx(as_in_training(run, prefix + name), 1e-5)
    assert "coverage" not in result["measures"]  # the toy environment has no voxels


def test_a_teacher_is_evaluated_by_what_chance_shows_it(runs: Path) -> None:
    run = runs / "teacher_rl"
    result = evaluate(run, output=runs / "elsewhere")
    assert (runs / "elsewhere" / "evaluation.json").exists()
    assert not (run / "evaluation.json").exists()
    for name in ("loss", "accuracy", "copy_last_loss", "unigram_loss", "psnr", "action_sensitivity"):
        assert result["world_model"][name] == pytest.approx(as_in_training(run, name), 1e-5, 1e-6)
    assert result["measures"]["loss"]["random"]["mean"] == pytest.approx(result["world_model"]["loss"], 1e-4)
    assert set(result["measures"]["loss"]) == {"random"}
    assert "reward" not in result["measures"]


def test_differences_are_paired_and_follow_from_the_episodes(runs: Path) -> None:
    result = evaluate(runs / "student_rl" / "checkpoint-12", episodes=4, deterministic=True, seed=5, videos=1)
    assert (result["seed"], result["episode"], result["policy"]) == (5, 12, "deterministic")
    own, chance = (np.array(result["per_episode"][player]["reward"]) for player in ("explorer", "random"))
    found = result["measures"]["reward"]["difference"]
    error = (own - chance).std(ddof=1) / 2
    assert found["mean"] == pytest.approx((own - chance).mean())
    assert found["stderr"] == pytest.approx(error)
    assert found["high"] - found["mean"] == pytest.approx(3.1824463 * error)  # Student's t with three degrees
    assert len(set(result["per_episode"]["seed"])) == 4
    assert [Path(video).name for video in result["videos"]] == ["explorer_0001.mp4", "random_0001.mp4"]
    assert all(Path(video).stat().st_size > 0 for video in result["videos"])
    again = evaluate(runs / "student_rl" / "checkpoint-12", episodes=4, deterministic=True, seed=5)
    assert again["per_episode"] == result["per_episode"]


def test_the_command_prints_a_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", f"run={runs / 'student_rl'}", "episodes=2"]) == 0
    said = capsys.readouterr().out
    for text in ("random policy", "difference (95 %)", "reward (scaled and weighted)", "2 held-out episodes, seed 0"):
        assert text in said
    assert f"wrote {runs / 'student_rl' / 'evaluation.json'}" in said
    assert cli.main(["evaluate", str(runs / "teacher_rl"), "episodes=2"]) == 0
    assert "copy last frame" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "name a run or a checkpoint"),
        (["{runs}/student_rl", "episode=3"], 2, "'episode' is none of run, episodes"),
        (["{runs}/student_rl", "episodes=0"], 2, "episodes=0: it must be a whole number, 1 or more"),
        (["{runs}/student_rl", "policy=random"], 2, "policy=random: it is sampled or deterministic"),
        (["{runs}/student_rl", "run=other"], 2, "run is given twice"),
        (["{runs}/nowhere"], 6, "there is no {runs}/nowhere; python -m f1rl runs"),
        (["{runs}/student_rl/logs"], 6, "is not a whole checkpoint"),
        (["{runs}/empty"], 6, "has no checkpoint yet"),
        (["{runs}/foreign"], 6, "is of phase 'another'; what can be evaluated is teacher, student, adversarial"),
        (["{runs}/damaged"], 6, "cannot be read"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(
    words: list[str], code: int, message: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _spoil(runs)
    assert cli.main(["evaluate", *(word.format(runs=runs) for word in words)]) == code
    said = capsys.readouterr().err
    assert message.format(runs=runs) in said
    assert "Traceback" not in said


def _spoil(runs: Path) -> None:
    """Put what cannot be evaluated beside the runs."""
    (runs / "empty").mkdir(exist_ok=True)
    (runs / "empty" / "run.json").write_text("{}")
    for name in ("foreign", "damaged"):
        shutil.copytree(runs / "student_rl" / "checkpoint-16", runs / name, dirs_exist_ok=True)
    state = torch.load(runs / "foreign" / "training_state.pt", weights_only=True)
    torch.save({**state, "phase": "another"}, runs / "foreign" / "training_state.pt")
    (runs / "damaged" / "model.pt").write_bytes(b"no weights")


@pytest.mark.sim
def test_what_is_done_to_the_world_is_measured_on_the_simulator(launcher: Launcher) -> None:
    brief = ("env=franka", "phase.num_episodes=4", "phase.batch_size=2", "phase.val_episodes=2")
    for phase in ("teacher", "student"):
        result = launcher.run(f"phase={phase}", *EXPLORER, *brief)
        assert result.returncode == 0, result.stdout + result.stderr
    result = evaluate(launcher.directory / "outputs" / "student_rl", episodes=3)
    for player in ("explorer", "random"):
        listed, covered = result["per_episode"][player], result["measures"]["coverage"][player]["mean"]
        # An episode's own number also counts where its arm began.
        assert max(listed["voxels"]) - 1 <= covered <= sum(listed["voxels"])
        assert all(0 <= rate <= 1 for rate in listed["contact_rate"])
        assert all(distance >= 0 for distance in listed["object_displacement"])
    assert result["measures"]["coverage"]["difference"]["stderr"] >= 0
