"""Which columns belong into one picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from f1rl.records.metrics import (
    best_result,
    goal_of,
    headline,
    is_constant,
    is_minor,
    panels,
    points,
    quantity,
    shared_clocks,
)
from f1rl.records.reader import RunRecords
from f1rl.records.training_log import GRPO, PPO, LogShape
from records_support import make_explorer_run, make_run


def foreign(tmp_path: Path, train: list[dict], val: list[dict], **more: object) -> RunRecords:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"config": {}, "train_history": train, "val_history": val, **more}))
    return RunRecords(path)


def test_training_validation_and_references_share_a_panel(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    run = RunRecords(tmp_path / "run")
    found = {panel.key: panel for panel in panels(run)}
    assert list(found)[:2] == ["loss", "reward"]
    assert not {"timestamp", "env_step", "segment", "seconds", "memory_gain_stderr"} & found.keys()
    loss = found["loss"]
    assert [(curve.label, curve.column, curve.is_reference) for curve in loss.curves] == [
        ("training", "avg_loss", False),
        ("validation", "val_loss", False),
        ("copy last frame", "val_copy_last_loss", True),
    ]
    assert found["memory_gain"].curves[0].error == "val_memory_gain_stderr"
    assert shared_clocks(run) == ["env_step", "step", "episode"]
    x, y = points(run, loss.curves[1], "step")
    assert (x.tolist(), y.tolist()) == ([10.0, 20.0], [4.5, 4.0])
    assert points(run, loss.curves[0], "step")[0].tolist() == [2.0 * n for n in range(1, 11)]
    assert is_constant(run, found["reward"])
    assert not is_constant(run, loss)


def test_scales_share_a_panel_and_those_of_references_are_minor(tmp_path: Path) -> None:
    run = foreign(
        tmp_path, [], [{"step": 1, "val_loss_scale_1": 1, "val_loss_scale_2": 2, "val_unigram_loss_scale_1": 3}]
    )
    found = {panel.key: panel for panel in panels(run)}
    assert [curve.label for curve in found["loss_by_scale"].curves] == ["scale 1", "scale 2"]
    assert [key for key, panel in found.items() if is_minor(panel)] == ["unigram_loss_by_scale"]


@pytest.mark.parametrize(
    ("val", "more", "expected"),
    [
        ([{"val_reward": 1.0}, {"val_reward": 3.0}], {}, ("val_reward", "max", 3.0)),
        ([{"eval_loss": 1.0}, {"eval_loss": 3.0}], {"final_metrics": {"best_metric": 1.0}}, ("eval_loss", "min", 1.0)),
        (
            [{"val_loss": 1.0, "val_accuracy": 0.5, "val_reward_margin": 1}, {"val_loss": 2.0, "val_accuracy": 0.7}],
            {},
            ("val_accuracy", "max", 0.7),
        ),
        ([{"val_x": 1.0}], {"final_metrics": {"metric": "val_x", "goal": "max"}}, ("val_x", "max", 1.0)),
    ],
)
def test_the_best_result_is_found_in_every_shape(tmp_path: Path, val: list, more: dict, expected: tuple) -> None:
    best = best_result(foreign(tmp_path, [], val, **more))
    assert (best.metric, best.goal, best.value) == expected


def test_the_best_results_checkpoint_is_named(tmp_path: Path) -> None:
    saved = {"step": 400, "val_reward": 3.0, "path": "best"}
    assert best_result(foreign(tmp_path, [], [{"step": 400, "val_reward": 3.0}], best_checkpoint=saved)).path == "best"
    assert best_result(foreign(tmp_path, [{"step": 1, "loss": 1}], [])) is None


def test_what_only_sounds_like_a_reference_is_none(tmp_path: Path) -> None:
    names = ("val_random_network_error", "val_tokenizer_loss", "val_coverage", "val_random_policy_coverage")
    found = {panel.key: panel for panel in panels(foreign(tmp_path, [], [dict.fromkeys(names, 1.0)]))}
    assert set(found) == {"random_network_error", "tokenizer_loss", "coverage"}
    assert [curve.label for curve in found["coverage"].curves] == ["validation", "random policy"]


@pytest.mark.parametrize("shape", [PPO, GRPO], ids=lambda shape: shape.name)
def test_an_explorers_reward_comes_first_with_its_terms_and_chance_beside_it(tmp_path: Path, shape: LogShape) -> None:
    make_explorer_run(tmp_path / "run", shape=shape)
    run = RunRecords(tmp_path / "run")
    found = {panel.key: panel for panel in panels(run)}
    assert headline(run) == "reward"
    assert [*found][:6] == [
        "reward", "loss", "reward_memory", "reward_uncertainty", "reward_success", "reward_surprise",
    ]  # fmt: skip
    assert found["loss"].title == "Loss of the world model"
    for key in ("reward", "loss", "contact_rate"):
        assert [curve.label for curve in found[key].curves] == ["training", "validation", "random policy"]
    assert found["loss"].curves[0].column == "avg_loss"  # the world model's; loss is the policy's
    assert [curve.label for curve in found["reward_memory"].curves] == ["training", "validation"]
    assert {"kl", "approx_kl", "entropy", "policy_loss", "value_loss", "explained_variance"} < found.keys()
    assert best_result(run).metric == "val_reward"
    assert goal_of("policy_loss") is goal_of("approx_kl") is goal_of("entropy") is None


def test_the_loss_comes_first_where_nothing_else_decides(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    assert headline(RunRecords(tmp_path / "run")) == "loss"
    assert headline(foreign(tmp_path, [{"step": 1, "loss": 1.0}], [{"step": 1, "val_reward": 1.0}])) == "loss"
    assert headline(foreign(tmp_path, [{"step": 1, "reward": 1.0}], [{"step": 1, "val_reward": 1.0}])) == "reward"


def test_names_tell_what_is_better() -> None:
    assert [goal_of(name) for name in ("val_loss", "reward", "kl", "psnr", "lr")] == ["min", "max", "min", "max", None]
    assert {quantity(name) for name in ("val_loss", "eval_loss", "avg_loss", "loss")} == {"loss"}
