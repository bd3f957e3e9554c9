"""The table of results: coloured and wrapped in a terminal, one line each in a pipe, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from f1rl.tools.doctor.result import Result, Status

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Groups = Mapping[str, Sequence[Result]]

STYLES = {Status.OK: "green", Status.NONE: "dim", Status.WARN: "yellow", Status.FAIL: "bold red"}


@contextmanager
def notice(text: str, stream: TextIO) -> Iterator[None]:
    """Show ``text`` for as long as the block runs, where somebody can see it."""
    if stream.isatty():
        stream.write(f"{text} ...")
        stream.flush()
    try:
        yield
    finally:
        if stream.isatty():
            stream.write("\r\033[K")  # erase the line
            stream.flush()


def can_run(groups: Groups) -> bool:
    """Return whether nothing failed that the main job needs."""
    return not _failed(groups)


def verdict(groups: Groups, job: str) -> str:
    """Return one sentence: whether ``job``, a command, can run here."""
    if can_run(groups):
        return f"{job} can run on this machine."
    return f"{job} cannot run on this machine before this works: {', '.join(_failed(groups))}."


def as_json(groups: Groups, job: str) -> str:
    """Return everything as JSON: ``job``, ``can_run``, and ``checks`` with group, name, status, detail and advice."""
    checks = [{"group": group, **asdict(result)} for group, results in groups.items() for result in results]
    return json.dumps({"job": job, "can_run": can_run(groups), "checks": checks}, indent=2)


def show(groups: Groups, job: str, stream: TextIO) -> None:
    """Print the table and the verdict to ``stream``."""
    if stream.isatty():
        _show_in_terminal(groups, job, stream)
    else:
        stream.write(plain(groups, job))


def plain(groups: Groups, job: str) -> str:
    """Return the table without colours, with nothing cut off or wrapped: for pipes, and where ``rich`` is missing."""
    width = _name_width(groups)
    lines = []
    for group, results in groups.items():
        lines.append(group)
        for result in results:
            lines.append(f"  {result.status:<4}  {result.name:<{width}}  {_one_line(result.detail)}")
            if result.advice:
                lines.append(f"{'':{width + 10}}-> {_one_line(result.advice)}")
        lines.append("")
    return "\n".join([*lines, verdict(groups, job), ""])


def _show_in_terminal(groups: Groups, job: str, stream: TextIO) -> None:
    try:
        from rich.console import Console, Group
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # a row says so; that must not keep the rows from being seen
        stream.write(plain(groups, job))
        return
    console = Console(file=stream, highlight=False)
    arrow = "→ " if console.encoding.startswith("utf") else "-> "
    width = _name_width(groups)
    for group, results in groups.items():
        table = Table(box=None, show_header=False, padding=(0, 0, 0, 2), pad_edge=True)
        table.add_column(min_width=max(map(len, Status)), no_wrap=True)
        table.add_column(min_width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for result in results:
            quiet = "dim" if result.status is Status.NONE else ""
            lines = [Text(_one_line(result.detail), quiet)]
            if result.advice:
                lines.append(_hanging(arrow, Text(_one_line(result.advice), quiet)))
            table.add_row(Text(result.status, STYLES[result.status]), Text(result.name, quiet), Group(*lines))
        console.print(Text(group, "bold"), table, "", sep="\n")
    console.print(Text(verdict(groups, job), "bold green" if can_run(groups) else "bold red"))


def _hanging(mark: str, text: Text) -> Table:
    """Return ``text`` after ``mark``, with its further lines below its first."""
    from rich.table import Table

    grid = Table.grid()
    grid.add_row(f"[cyan]{mark}[/]", text)
    return grid


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _failed(groups: Groups) -> list[str]:
    return [result.name for results in groups.values() for result in results if result.status is Status.FAIL]


def _name_width(groups: Groups) -> int:
    return max(len(result.name) for results in groups.values() for result in results)
