"""Save everything that a run needs to go on: at a cadence, at the end, and when it is asked to stop."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from f1rl.callbacks.clock import ClockCallback
from f1rl.callbacks.episodes import EpisodeRecords
from f1rl.checkpoint import Beside, Checkpoint, checkpoint_path, own_state, prune_checkpoints, save_checkpoint
from f1rl.errors import F1RLError
from f1rl.ranks import Ranks
from f1rl.records.training_log import TrainingLog

log = logging.getLogger(__name__)


class CheckpointCallback(lightning.Callback):
    """Writer of ``checkpoint-{episode}/``; the last callback, so that it saves what all others have done."""

    def __init__(
        self,
        run_dir: Path,
        clock: ClockCallback,
        records: EpisodeRecords,
        history: TrainingLog,
        identity: dict[str, Any],
        ranks: Ranks,
        *,
        every: int,
        keep: int,
        stop_requested: Callable[[], str | None],
        stop: Callable[[str, str], F1RLError],
        position: dict | None,
        beside: Beside | None = None,
    ) -> None:
        """Save every ``every`` episodes and keep the newest ``keep``, and the best.

        Args:
            run_dir: run directory.
            clock: clocks to save.
            records: unfinished sums and the length of the JSONL file to save.
            history: histories to save.
            identity: configuration, phase and versions; stored as they are.
            ranks: all training processes, each of which has its own streams; the first writes.
            every: cadence in episodes.
            keep: how many to keep.
            stop_requested: name of the signal that asks the run to stop, or None.
            stop: returns the error to raise when it does, given that name and where the run stopped.
            position: of the data stream in the checkpoint that the run goes on from; None at its beginning.
            beside: writes more files into each checkpoint.
        """
        self._run_dir, self._clock, self._records, self._history = run_dir, clock, records, history
        self._identity, self._every, self._keep = identity, every, keep
        self._stop_requested, self._stop = stop_requested, stop
        self._position, self._ranks, self._beside = position, ranks, beside
        self._saved_step = clock.clocks.env_step if position else -1

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Save after an update if it is time; save and stop if a signal asked for it, on whichever rank.

        Raises:
            F1RLError: what ``stop`` returned, after saving, when a stop was requested.
        """
        self._position = batch.position
        if not self._clock.updated:
            return
        answers = self._ranks.gather((self._stop_requested(), self._is_best()))
        signal = next((name for name, _ in answers if name), None)
        if signal or self._clock.crossed(self._every) or any(best for _, best in answers):
            self.save(module)
        if signal:
            raise self._stop(
                signal,
                f"after episode {self._clock.clocks.episode}; the state is saved in "
                f"{checkpoint_path(self._run_dir, self._clock.clocks.episode)}. Go on with the same command and "
                "resume=auto",
            )

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save the final state."""
        if any(self._ranks.gather(self._saved_step != self._clock.clocks.env_step or self._is_best())):
            self.save(module)

    def _is_best(self) -> bool:
        """Whether the weights of this moment are those of the best validation, and not yet saved."""
        best = self._history.best
        return best is not None and best["env_step"] == self._clock.clocks.env_step and "path" not in best

    def _keep_best(self, path: Path) -> None:
        """Rename the best checkpoint if ``path``, of the same episode but later weights, would replace it."""
        best = self._history.best
        if best is not None and best.get("path") == str(path) and best["env_step"] != self._clock.clocks.env_step:
            kept = path.with_name(f"{path.name}-best")
            path.rename(kept)
            best["path"] = str(kept)

    def save(self, module: lightning.LightningModule) -> None:
        """Write the checkpoint of this moment and delete those that are too old; to be called on all ranks."""
        clocks = self._clock.clocks
        self._saved_step = clocks.env_step
        first, *others = self._ranks.gather(self._own_state(module))
        if self._ranks.is_first:
            self._write(module, {**first, "module": module.training_state(), "others": others})
        self._ranks.gather(None)  # nobody goes on, or away, before the files are there

    def _own_state(self, module: lightning.LightningModule) -> dict[str, Any]:
        """Return what only this rank knows."""
        return {
            "position": self._position,
            "records": self._records.state(),
            "random": random_state(),
            "module": module.rank_state(),
        }

    def _write(self, module: lightning.LightningModule, state: dict[str, Any]) -> None:
        clocks = self._clock.clocks
        path = checkpoint_path(self._run_dir, clocks.episode)
        self._keep_best(path)
        self._history.note_checkpoint(path, clocks.env_step)
        training = {
            **self._identity,
            "clocks": clocks.as_dict(),
            "segment": self._clock.segment,
            **state,
        }
        save_checkpoint(path, Checkpoint(own_state(module.model), training, self._history.state()), self._beside)
        self._history.save()
        best = (self._history.best or {}).get("path")
        prune_checkpoints(self._run_dir, self._keep, {path.name, Path(best).name if best else path.name})
        log.info("saved %s", path)


def random_state() -> dict[str, Any]:
    """Return the states of all global random generators as plain structures."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, python_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), python_gauss],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, python_gauss = state["python"]
    random.setstate((version, tuple(internal), python_gauss))
