"""``training_log.json``: configuration, histories and the best checkpoint in one valid JSON file.

The shapes are those of a family of training programs that share the format, so that one set of tools reads them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from f1rl.records.files import write_json


@dataclass(frozen=True)
class LogShape:
    """Fields that every entry of a kind of training has; entries may have more."""

    name: str
    """Label of the kind."""
    train: tuple[str, ...]
    """Fields of each entry of ``train_history``."""
    val: tuple[str, ...]
    """Fields of each entry of ``val_history``."""
    metric: str
    """Field of ``val_history`` that decides which checkpoint is best."""
    goal: Literal["min", "max"]
    """Whether its lowest or its highest value is best."""


SUPERVISED = LogShape(
    "supervised",
    train=("step", "epoch", "loss", "learning_rate"),
    val=("step", "epoch", "eval_loss"),
    metric="eval_loss",
    goal="min",
)
GRPO = LogShape(
    "grpo",
    train=("step", "epoch", "samples", "loss", "reward", "kl", "lr"),
    val=("step", "epoch", "samples", "val_reward"),
    metric="val_reward",
    goal="max",
)
PPO = LogShape(
    "ppo",
    train=("step", "epoch", "samples", "loss", "reward", "kl", "lr", "policy_loss", "value_loss", "entropy"),
    val=GRPO.val,
    metric=GRPO.metric,
    goal=GRPO.goal,
)
PREFERENCE = LogShape(
    "preference",
    train=("step", "epoch", "loss", "accuracy", "reward_margin"),
    val=("step", "epoch", "val_loss", "val_accuracy", "val_reward_margin"),
    metric="val_accuracy",
    goal="max",
)


def common_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the run's resolved ``config`` with, before it, the names under which the format's readers look.

    They are ``model_path``, ``train_data``, ``val_data``, ``num_epochs``, ``batch_size``, ``learning_rate`` and
    ``gradient_accumulation_steps``.
    """
    phase, environment = config.get("phase", {}), config.get("env", {}).get("id")
    found = {
        "model_path": _start(config),
        "train_data": environment,
        "val_data": f"{environment}, held-out seeds",
        "num_epochs": 1,  # episodes are made as they are needed; none is seen twice
        "batch_size": phase.get("batch_size"),
        "learning_rate": phase.get("learning_rate"),
        "gradient_accumulation_steps": phase.get("accumulate_grad_batches"),
    }
    return {**found, **config}


def _start(config: dict[str, Any]) -> str:
    """Return where the weights of a run come from: a checkpoint of an earlier phase, published ones, or nowhere."""
    phase = config.get("phase", {})
    earlier = (phase.get(key) for key in ("student_checkpoint", "teacher_checkpoint", "teacher_path"))
    published = config.get("model", {}).get("weights", {}).get("source")
    return next(filter(None, (*earlier, published)), "from scratch")


class TrainingLog:
    """Histories of a run, rewritten atomically whenever they are saved."""

    def __init__(
        self, path: Path, config: dict[str, Any], shape: LogShape, state: dict[str, Any] | None = None
    ) -> None:
        """Start empty, or from the ``state`` of a checkpoint.

        Args:
            path: the file.
            config: the configuration to store, see :func:`common_config`.
            shape: fields of the entries, and which validation is best.
            state: what :meth:`state` returned when the checkpoint was saved.
        """
        state = state or {"train_history": [], "val_history": [], "best": None}
        self._path, self._config, self.shape = path, config, shape
        self.train: list[dict[str, Any]] = list(state["train_history"])
        self.val: list[dict[str, Any]] = list(state["val_history"])
        self.best: dict[str, Any] | None = state["best"]

    def state(self) -> dict[str, Any]:
        """Return the histories, for a checkpoint."""
        return {"train_history": list(self.train), "val_history": list(self.val), "best": self.best}

    def add_train(self, entry: dict[str, Any]) -> None:
        """Append to the training history.

        Raises:
            ValueError: the entry lacks a field of the shape.
        """
        _require(entry, self.shape.train, f"train_history of {self.shape.name}")
        self.train.append(entry)

    def add_val(self, entry: dict[str, Any]) -> bool:
        """Append to the validation history and return whether it is the best so far.

        Raises:
            ValueError: the entry lacks a field of the shape.
        """
        _require(entry, self.shape.val, f"val_history of {self.shape.name}")
        self.val.append(entry)
        is_best = self._is_better(entry[self.shape.metric])
        if is_best:
            self.best = dict(entry)
        return is_best

    def note_checkpoint(self, path: Path, env_step: int) -> None:
        """Name ``path`` as the best checkpoint if it holds the weights of the best validation."""
        if self.best is not None and self.best["env_step"] == env_step:
            self.best["path"] = str(path)

    def save(self) -> None:
        """Write the file; it is valid JSON at every moment."""
        best, metric = self.best or {}, self.shape.metric
        final = {"best_metric": best.get(metric), "best_checkpoint": best.get("path")}
        log = {
            "config": self._config,
            "train_history": self.train,
            "val_history": self.val,
            "best_checkpoint": self.best,
            "final_metrics": {**final, "metric": metric, "goal": self.shape.goal},
        }
        write_json(self._path, log)

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        best = self.best[self.shape.metric]
        return value < best if self.shape.goal == "min" else value > best


def _require(entry: dict[str, Any], fields: tuple[str, ...], where: str) -> None:
    missing = [field for field in fields if field not in entry]
    if missing:
        raise ValueError(f"an entry for the {where} lacks {', '.join(missing)}; it has {', '.join(entry)}")
