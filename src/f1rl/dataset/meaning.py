"""What the numbers of a dataset mean: ``meta/f1rl.json``, and whether that is what a run expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f1rl.dataset.layout import MEANING
from f1rl.errors import DatasetError
from f1rl.records.differences import differences, table
from f1rl.records.files import write_json
from f1rl_envs.spec import EnvSpec

FORMAT = 1
"""Raised when an older dataset can no longer be read."""

_SPEC = ("name", "cameras", "resolution", "max_steps", "control_freq", "action_mask", "state_mask", "grippers")
"""Parts of an environment's spec that a reader needs."""

_FREE = ("task", "max_steps", "render_device", "randomization")
"""Parts of an environment's configuration that may differ: they decide what happens, not what a number means."""


@dataclass(frozen=True)
class Meaning:
    """The environment that a dataset was recorded from."""

    env: Mapping[str, Any]
    """Its configuration, as :func:`f1rl_envs.registry.make` takes it."""
    spec: EnvSpec
    """What its arrays look like."""

    @property
    def task(self) -> str:
        """Task in words, as the format wants one for every episode."""
        return str(self.env.get("task") or self.env["id"])

    @property
    def robot(self) -> str:
        """Name of the robot."""
        arms = self.env.get("embodiment", {"arms": [self.env["id"]]})["arms"]
        return "-".join(arms)

    def _essence(self) -> dict[str, Any]:
        """Return what must be equal for the numbers to mean the same."""
        env = {key: value for key, value in self.env.items() if key not in _FREE}
        spec = {key: getattr(self.spec, key) for key in _SPEC if key not in ("name", "max_steps")}
        for key in ("state_mask", "action_mask"):
            spec[key] = [place for place, real in enumerate(spec[key]) if real]
        return {"env": env, "spec": spec}

    def save(self, root: Path) -> None:
        """Write ``meta/f1rl.json`` of the dataset at ``root``."""
        spec = {key: getattr(self.spec, key) for key in _SPEC}
        write_json(root / MEANING, {"format": FORMAT, "env": dict(self.env), "spec": spec})

    def require(self, expected: Meaning, root: Path) -> None:
        """Refuse a dataset whose numbers mean something else.

        Raises:
            DatasetError: with a table of what differs.
        """
        differing = differences(self._essence(), expected._essence())
        if differing:
            raise DatasetError(
                f"{root} was recorded from another environment:\n{table(differing, 'in the dataset', 'in this run')}\n"
                "Give these keys the dataset's values, or use another dataset (rollout.datasets, rollout.record.path)"
            )


def load_meaning(root: Path, text: str) -> Meaning:
    """Return the meaning of the dataset at ``root`` from the ``text`` of its ``meta/f1rl.json``.

    Raises:
        DatasetError: it was written by another version.
        ValueError, KeyError, TypeError: it is damaged.
    """
    saved = json.loads(text)
    if saved["format"] != FORMAT:
        raise DatasetError(
            f"{root / MEANING} has format {saved['format']}; this program reads {FORMAT}. Record it again"
        )
    spec = {key: saved["spec"][key] for key in _SPEC}
    spec = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items()}
    return Meaning(saved["env"], EnvSpec(**spec))
