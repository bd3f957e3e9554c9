"""Histories as CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

from f1rl.records.reader import RunRecords


def write_csv(run: RunRecords, folder: Path) -> list[Path]:
    """Write ``train_history.csv`` and ``val_history.csv`` with all their columns into ``folder``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in (("train_history", run.train), ("val_history", run.val)):
        files.append(folder / f"{name}.csv")
        with files[-1].open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.names())
            writer.writerows(table.rows())
    return files
