"""``python -m f1rl compare``: several runs in tables, as CSV or as a page."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from f1rl.tools.arguments import Parser
from f1rl.tools.compare.comparison import Comparison, best_text, compare, load, rows
from f1rl.tools.words import number

_COLUMNS, _ROWS = 6, 20  # configurations that a terminal shows side by side, and their differences


def main(words: Sequence[str]) -> int:
    """Compare runs.

    Raises:
        ConfigError: there is no run where one was named.
        UsageError: the words make no sense.
    """
    parser = Parser("compare", "Compare runs; those that differ in nothing but their seed are taken together.")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run, folder of runs, or training_log.json")
    parser.add_argument("--logs", nargs="+", type=Path, default=[], metavar="FILE", help="the same, as an option")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write one HTML page that needs no network")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write one row per run")
    parser.add_argument("--metric", metavar="NAME", help="what to rank by (default: what decides the best checkpoint)")
    parser.add_argument("--clock", metavar="NAME", help="what curves are drawn over: env_step, step or episode")
    options = parser.parse_args(words)
    if not options.runs and not options.logs:
        parser.error("name what to compare, e.g. multirun/ or outputs/*/")
    comparison = compare(load([*options.runs, *options.logs]), options.metric, options.clock)
    console = Console()
    goal = "lowest" if comparison.goal == "min" else "highest"
    console.print(f"{goal} validation {comparison.quantity}; ±: 95 % confidence interval over seeds (Student's t)\n")
    console.print(ranking(comparison))
    if comparison.differences:
        console.print()
        console.print(differences(comparison))
    if options.csv:
        _write_csv(comparison, options.csv)
        print(f"wrote {options.csv}")
    if options.output:
        from f1rl.tools.compare.page import write_page

        print(f"wrote {write_page(comparison, options.output)}")
    return 0


def ranking(comparison: Comparison) -> Table:
    """Return the groups, the best first, for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    at = f"at {(comparison.clock or 'record').replace('_', ' ')}"
    for title in ("#", "configuration", "runs", comparison.quantity, at, "last"):
        table.add_column(title, justify="left" if title == "configuration" else "right", overflow="fold")
    for place, group in enumerate(comparison.groups, 1):
        table.add_row(
            str(place) if group.best else "",
            escape(group.label),
            str(len(group.results)),
            best_text(group),
            _each(result.best_at for result in group.results),
            _each(result.last for result in group.results),
        )
    return table


def differences(comparison: Comparison) -> Table:
    """Return the keys that differ, with their values in the best groups, for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("difference")
    shown = comparison.groups[:_COLUMNS]
    for place, _ in enumerate(shown, 1):
        table.add_column(f"#{place}", overflow="fold")
    listed = list(comparison.differences.items())[:_ROWS]
    for key, values in listed:
        table.add_row(escape(key), *(escape(value) for value in values[: len(shown)]))
    if len(shown) < len(comparison.groups) or len(listed) < len(comparison.differences):
        table.caption_justify = "left"
        table.caption = (
            f"{len(listed)} of {len(comparison.differences)} differences, {len(shown)} of {len(comparison.groups)} "
            "configurations; --csv and --output have all"
        )
    return table


def _write_csv(comparison: Comparison, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = list(rows(comparison))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def _each(values: Iterator[float | None]) -> str:
    """Return one number for equal values, the range of others."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return ""
    return number(known[0]) if known[0] == known[-1] else f"{number(known[0])} to {number(known[-1])}"
