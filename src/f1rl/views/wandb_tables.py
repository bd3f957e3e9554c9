"""The tables of held-out evaluations as W&B has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from f1rl.views.news import CLOCKS, MediaFile
from f1rl.views.tables import SAMPLE_COLUMNS, SAMPLES, SCORE_COLUMNS, SCORES, newest_samples, score_rows


class EvaluationTables:
    """Scores come with an evaluation's row; pictures once those up to its episode are drawn, which takes longer."""

    def __init__(self, wandb: ModuleType) -> None:
        """Make tables by ``wandb``, which only this process imports."""
        self._wandb = wandb
        self._samples: list[MediaFile] = []
        self._waiting: dict[str, Any] | None = None  # clocks and number of an evaluation without pictures

    def scores(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the table of scores that goes with ``row``; none if it is no evaluation, or nothing predicts."""
        lines = score_rows(row) if "eval/number" in row else []
        return {SCORES: self._wandb.Table(columns=list(SCORE_COLUMNS), data=lines)} if lines else {}

    def pictures(
        self, rows: Sequence[Mapping[str, Any]], files: Sequence[MediaFile], *, last: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield rows of the tables of pictures that are ready.

        Args:
            rows: what was logged since the last call.
            files: pictures and videos that came since then.
            last: nothing more will come.
        """
        self._samples = newest_samples([*self._samples, *files])
        for row in rows:
            if "eval/number" in row:
                yield from self._take()
                self._waiting = {key: row[key] for key in (*CLOCKS, "eval/number") if key in row}
        newest = max((file.clocks["episode"] for file in self._samples), default=0)
        if last or (self._waiting is not None and newest >= self._waiting["episode"]):
            yield from self._take()

    def _take(self) -> Iterator[dict[str, Any]]:
        if self._waiting is not None and self._samples:
            lines = [[file.clocks[clock] for clock in SAMPLE_COLUMNS[:2]] for file in self._samples]
            lines = [
                [*line, self._wandb.Image(str(file.path))] for line, file in zip(lines, self._samples, strict=True)
            ]
            yield {**self._waiting, SAMPLES: self._wandb.Table(columns=list(SAMPLE_COLUMNS), data=lines)}
        self._waiting = None
