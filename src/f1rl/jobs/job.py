"""A job is one run of a sweep or a submission; its outcome is how it ended, told truthfully."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from f1rl.launch.outcome import Noted

COMPLETED = "COMPLETED"
"""The state of a job that did all it was to do. SLURM's words are used everywhere: FAILED, CANCELLED, TIMEOUT, ..."""


@dataclass(frozen=True)
class Job:
    """A run to be started elsewhere."""

    name: str
    """Label within its sweep, e.g. ``2_bptt=16,seed=1``."""
    config: Mapping[str, Any]
    """The resolved configuration."""
    swept: Mapping[str, str] = field(default_factory=dict)
    """Keys and values in which the jobs of the sweep differ."""

    @property
    def run_dir(self) -> Path:
        """Where the run writes."""
        return Path(self.config["output_dir"])

    def write_config(self, folder: Path) -> Path:
        """Write the configuration into ``folder``, for ``python -m f1rl --config=FILE``, and return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump(dict(self.config), sort_keys=False))
        return path


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    job: Job
    state: str
    exit_code: int
    """Of the training process; 0 if it did not end by itself."""
    seconds: float
    log: Path | None
    """Where its messages are; None if they went to the terminal."""
    id: str = ""
    """Of the SLURM job."""
    noted: Noted | None = None
    """What the first process that failed has noted."""

    @property
    def is_good(self) -> bool:
        """Whether the job completed."""
        return self.state == COMPLETED

    @property
    def results(self) -> dict[str, Any]:
        """The last held-out evaluation of the run; empty if there is none."""
        path = self.job.run_dir / "training_log.json"
        history = json.loads(path.read_text())["val_history"] if path.exists() else []
        return history[-1] if history else {}

    @property
    def reason(self) -> str:
        """Why the job did not complete, in one line, as far as anything on disk tells; empty if it did."""
        if self.is_good:
            return ""
        if self.noted:
            return self.noted.why
        run = self.job.run_dir / "run.json"
        said = (json.loads(run.read_text()).get("error") or "") if run.exists() else ""
        return (said or _last_words(self.log)).partition("\n")[0]


def _last_words(log: Path | None) -> str:
    """Return the last line of a log in which a training process says why it ended."""
    if log is None or not log.exists():
        return ""
    said = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("f1rl: ")]
    return said[-1].removeprefix("f1rl: ") if said else ""
