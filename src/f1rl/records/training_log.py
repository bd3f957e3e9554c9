"""``training_log.json``: configuration, histories and the best checkpoint in one valid JSON file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from f1rl.records.files import write_json


class TrainingLog:
    """Histories of a run, rewritten atomically whenever they are saved."""

    def __init__(self, path: Path, config: dict[str, Any], metric: str, state: dict[str, Any] | None = None) -> None:
        """Start empty, or from the ``state`` of a checkpoint.

        Args:
            path: the file.
            config: the resolved configuration.
            metric: validation metric that decides which checkpoint is best; lower is better.
            state: what :meth:`state` returned when the checkpoint was saved.
        """
        state = state or {"train_history": [], "val_history": [], "best": None}
        self._path, self._config, self._metric = path, config, metric
        self.train: list[dict[str, Any]] = list(state["train_history"])
        self.val: list[dict[str, Any]] = list(state["val_history"])
        self.best: dict[str, Any] | None = state["best"]

    def state(self) -> dict[str, Any]:
        """Return the histories, for a checkpoint."""
        return {"train_history": list(self.train), "val_history": list(self.val), "best": self.best}

    def add_train(self, entry: dict[str, Any]) -> None:
        """Append to the training history."""
        self.train.append(entry)

    def add_val(self, entry: dict[str, Any]) -> bool:
        """Append to the validation history and return whether it is the best so far."""
        self.val.append(entry)
        value = entry[self._metric]
        is_best = math.isfinite(value) and (self.best is None or value < self.best[self._metric])
        if is_best:
            self.best = dict(entry)
        return is_best

    def note_checkpoint(self, path: Path, env_step: int) -> None:
        """Name ``path`` as the best checkpoint if it holds the weights of the best validation."""
        if self.best is not None and self.best["env_step"] == env_step:
            self.best["path"] = str(path)

    def save(self) -> None:
        """Write the file; it is valid JSON at every moment."""
        best = self.best or {}
        log = {
            "config": self._config,
            "train_history": self.train,
            "val_history": self.val,
            "best_checkpoint": self.best,
            "final_metrics": {"best_metric": best.get(self._metric), "best_checkpoint": best.get("path")},
        }
        write_json(self._path, log)
