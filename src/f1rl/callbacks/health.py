"""The health of a run, judged at each evaluation and written into its records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from f1rl.health.evidence import Facts, evidence_of
from f1rl.health.of_run import config_facts
from f1rl.health.score import judge
from f1rl.records.follow import JsonlFollower
from f1rl.records.run_file import RunFile
from f1rl.records.table import MetricTable


class HealthJudge:
    """Judge by the records on disk, of which only the new ones are read each time."""

    def __init__(
        self, episodes: Path, run_file: RunFile, config: Mapping[str, Any], restarts: Callable[[], int]
    ) -> None:
        """Follow the run.

        Args:
            episodes: its ``episode_metrics.jsonl``, whole before the first call.
            run_file: also takes the newest result.
            config: resolved configuration.
            restarts: workers that were replaced in this segment.
        """
        self._follower, self._train = JsonlFollower(episodes), MetricTable()
        self._file, self._restarts = run_file, restarts
        self._facts = config_facts(config)
        self._total = config["phase"]["num_episodes"]

    def __call__(self, evaluations: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the score and its reasons as plain values, and write them into ``run.json``.

        Args:
            evaluations: the whole ``val_history``; the last entry is the one that the result belongs to.
        """
        for records in self._follower.read():
            self._train.extend(records)
        val = MetricTable()
        val.extend(evaluations)
        share = min(evaluations[-1]["episode"] / self._total, 1.0)
        facts = Facts(**self._facts, share=share, status="training", restarts=self._restarts())
        health = judge(evidence_of(self._train, val, facts)).as_record()
        self._file.update(health=health)
        return health
