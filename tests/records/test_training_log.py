"""``training_log.json`` in the shape that the guides' snippets read."""

from __future__ import annotations

import json
from pathlib import Path

from f1rl.records.training_log import TrainingLog


def _validation(env_step: int, loss: float) -> dict[str, float]:
    return {"step": env_step // 10, "episode": env_step // 50, "env_step": env_step, "val_loss": loss}


def test_the_best_checkpoint_is_the_one_with_the_lowest_loss(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "training_log.json", {"seed": 0}, "val_loss")
    for env_step, loss in ((100, 3.0), (200, 2.0), (300, 2.5)):
        log.add_val(_validation(env_step, loss))
        log.note_checkpoint(tmp_path / f"checkpoint-{env_step}", env_step)
    log.add_train({"step": 10, "loss": 2.2})
    log.save()

    written = json.loads((tmp_path / "training_log.json").read_text())
    assert written["config"] == {"seed": 0}
    assert written["best_checkpoint"]["val_loss"] == 2.0
    assert written["best_checkpoint"]["path"].endswith("checkpoint-200")
    assert written["final_metrics"] == {"best_metric": 2.0, "best_checkpoint": written["best_checkpoint"]["path"]}
    assert written["train_history"][-1]["loss"] == 2.2


def test_a_log_goes_on_from_a_checkpoints_state(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path / "training_log.json", {}, "val_loss")
    first.add_train({"step": 1, "loss": 3.0})
    first.add_val(_validation(100, 2.0))
    state = json.loads(json.dumps(first.state()))

    second = TrainingLog(tmp_path / "training_log.json", {}, "val_loss", state)
    assert not second.add_val(_validation(200, 2.1))
    assert second.add_val(_validation(300, 1.9))
    assert second.train == [{"step": 1, "loss": 3.0}]
    assert len(second.val) == 3
