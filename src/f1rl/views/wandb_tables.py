"""The tables of held-out evaluations as W&B has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from f1rl.views.news import CLOCKS, MediaFile
from f1rl.views.tables import (
    BESIDE_CHANCE,
    CHANCE_COLUMNS,
    SAMPLE,
    SAMPLE_COLUMNS,
    SAMPLES,
    SCORE_COLUMNS,
    SCORES,
    chance_rows,
    newest_samples,
    score_rows,
)


class EvaluationTables:
    """Scores come with an evaluation's row; pictures once those up to its episode are drawn, which takes longer."""

    def __init__(self, wandb: ModuleType) -> None:
        """Make tables by ``wandb``, which only this process imports."""
        self._wandb = wandb
        self._samples: list[MediaFile] = []
        self._waiting: dict[str, Any] | None = None  # clocks and number of an evaluation without pictures

    def scores(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables of numbers that go with ``row``; none if it is no evaluation."""
        if "eval/number" not in row:
            return {}
        found = {SCORES: (SCORE_COLUMNS, score_rows(row)), BESIDE_CHANCE: (CHANCE_COLUMNS, chance_rows(row))}
        return {
            name: self._wandb.Table(columns=list(titles), data=rows) for name, (titles, rows) in found.items() if rows
        }

    def pictures(
        self, rows: Sequence[Mapping[str, Any]], files: Sequence[MediaFile], *, last: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield rows of the tables of pictures that are ready.

        Args:
            rows: what was logged since the last call.
            files: pictures and videos that came since then.
            last: nothing more will come.
        """
        self._samples += [file for file in files if file.name == SAMPLE]
        for row in rows:
            if "eval/number" in row:
                yield from self._take()
                self._waiting = {key: row[key] for key in (*CLOCKS, "eval/number") if key in row}
        newest = max((file.clocks["episode"] for file in self._samples), default=0)
        if last or (self._waiting is not None and newest >= self._waiting["episode"]):
            yield from self._take()

    def _take(self) -> Iterator[dict[str, Any]]:
        waiting, self._waiting = self._waiting, None
        shown = newest_samples(self._samples, waiting["episode"]) if waiting else []
        if shown:
            lines = [[f.clocks["episode"], f.clocks["env_step"], self._wandb.Image(str(f.path))] for f in shown]
            yield {**waiting, SAMPLES: self._wandb.Table(columns=list(SAMPLE_COLUMNS), data=lines)}
