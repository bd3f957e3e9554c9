"""Checkpoints: whole or not there, strict when read, replaced and pruned without a gap."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from f1rl.checkpoint import (
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    load_model_weights,
    prune_checkpoints,
    save_checkpoint,
)
from f1rl.errors import CheckpointError


def _checkpoint(value: float = 1.0) -> Checkpoint:
    return Checkpoint({"weight": torch.full((2, 2), value)}, {"clocks": {"episode": 1}}, {"train_history": []})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint())
    assert sorted(p.name for p in path.iterdir()) == ["metrics.pt", "model.pt", "training_state.pt"]
    loaded = load_checkpoint(path)
    assert torch.equal(loaded.model["weight"], torch.ones(2, 2))
    assert loaded.training["clocks"] == {"episode": 1}


def test_a_missing_checkpoint_is_named_with_those_that_exist(tmp_path: Path) -> None:
    save_checkpoint(checkpoint_path(tmp_path, 200), _checkpoint())
    with pytest.raises(CheckpointError, match=r"checkpoint-300.*checkpoint-200"):
        load_checkpoint(checkpoint_path(tmp_path, 300))


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint())
    (path / "metrics.pt").unlink()
    with pytest.raises(CheckpointError, match=r"metrics\.pt is missing"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.pt", "training_state.pt", "metrics.pt"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint())
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load_checkpoint(path)


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    path.mkdir()
    for name in ("model.pt", "training_state.pt", "metrics.pt"):
        torch.save({"epoch": 3}, path / name)
    with pytest.raises(CheckpointError, match="not a checkpoint of this program"):
        load_checkpoint(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint())
    torch.save({"path": Path("/tmp")}, path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model\.pt cannot be read"):
        load_checkpoint(path)


def test_weights_of_another_model_are_refused_by_name() -> None:
    model = torch.nn.Linear(2, 2)
    state = {"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"missing: bias(.|\n)*unknown: extra(.|\n)*weight: shape \(3, 2\)"):
        load_model_weights(model, state, Path("checkpoint-1"))


def test_replacing_a_checkpoint_leaves_one(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint(1.0))
    save_checkpoint(path, _checkpoint(2.0))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-200"]
    assert load_checkpoint(path).model["weight"][0, 0] == 2.0


def test_a_replacement_killed_halfway_loses_nothing(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 200)
    save_checkpoint(path, _checkpoint())
    path.rename(tmp_path / ".checkpoint-200.old")
    assert list_checkpoints(tmp_path) == [path]


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    for episode in (100, 200, 300, 1000):
        save_checkpoint(checkpoint_path(tmp_path, episode), _checkpoint())
    save_checkpoint(tmp_path / "checkpoint-50-best", _checkpoint())  # the best until checkpoint-100 was
    prune_checkpoints(tmp_path, keep=2, protected={"checkpoint-100"})
    assert not (tmp_path / "checkpoint-50-best").exists()
    assert [p.name for p in list_checkpoints(tmp_path)] == ["checkpoint-100", "checkpoint-300", "checkpoint-1000"]
