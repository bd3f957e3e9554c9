"""``training_log.json`` in the shapes that the guides' snippets read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from f1rl.records.training_log import GRPO, PPO, PREFERENCE, SUPERVISED, LogShape, TrainingLog, common_config


def validation(env_step: int, loss: float) -> dict[str, float]:
    return {"step": env_step // 10, "epoch": 0, "episode": env_step // 50, "env_step": env_step, "eval_loss": loss}


def entry(fields: tuple[str, ...], value: float) -> dict[str, float]:
    return {"env_step": 100, **dict.fromkeys(fields, value)}


def test_the_best_checkpoint_is_the_one_with_the_lowest_loss(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "training_log.json", {"seed": 0}, SUPERVISED)
    for env_step, loss in ((100, 3.0), (200, 2.0), (300, 2.5)):
        log.add_val(validation(env_step, loss))
        log.note_checkpoint(tmp_path / f"checkpoint-{env_step}", env_step)
    log.add_train({"step": 10, "epoch": 0, "loss": 2.2, "learning_rate": 1e-3})
    log.save()

    written = json.loads((tmp_path / "training_log.json").read_text())
    assert written["config"] == {"seed": 0}
    assert written["best_checkpoint"]["eval_loss"] == 2.0
    path = written["best_checkpoint"]["path"]
    assert path.endswith("checkpoint-200")
    final = {"best_metric": 2.0, "best_checkpoint": path, "metric": "eval_loss", "goal": "min"}
    assert written["final_metrics"] == final
    assert written["train_history"][-1]["loss"] == 2.2


def test_a_log_goes_on_from_a_checkpoints_state(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path / "training_log.json", {}, SUPERVISED)
    first.add_train({"step": 1, "epoch": 0, "loss": 3.0, "learning_rate": 1e-3})
    first.add_val(validation(100, 2.0))
    state = json.loads(json.dumps(first.state()))

    second = TrainingLog(tmp_path / "training_log.json", {}, SUPERVISED, state)
    assert not second.add_val(validation(200, 2.1))
    assert second.add_val(validation(300, 1.9))
    assert [e["loss"] for e in second.train] == [3.0]
    assert len(second.val) == 3


@pytest.mark.parametrize("shape", [SUPERVISED, GRPO, PPO, PREFERENCE], ids=lambda shape: shape.name)
def test_each_shape_has_its_fields_and_its_own_best(shape: LogShape, tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "training_log.json", {}, shape)
    log.add_train(entry(shape.train, 0.5))
    with pytest.raises(ValueError, match=rf"train_history of {shape.name} lacks {shape.train[-1]}; it has"):
        log.add_train(entry(shape.train[:-1], 0.5))
    with pytest.raises(ValueError, match=f"val_history of {shape.name} lacks epoch"):
        log.add_val({"step": 1, shape.metric: 1.0})
    verdicts = [log.add_val(entry(shape.val, value)) for value in (2.0, float("nan"), 1.0, 3.0)]
    assert verdicts == ([True, False, True, False] if shape.goal == "min" else [True, False, False, True])
    log.save()
    assert json.loads((tmp_path / "training_log.json").read_text())["val_history"][1][shape.metric] is None


def test_the_configuration_has_the_names_that_readers_of_the_format_look_for() -> None:
    tree = {"phase": {"batch_size": 4, "learning_rate": 0.1}, "env": {"id": "toy"}, "output_dir": "outputs/a"}
    config = common_config(tree)
    assert (config["batch_size"], config["learning_rate"], config["train_data"]) == (4, 0.1, "toy")
    assert config["model_path"] == "from scratch"
    assert tree.items() <= config.items()
