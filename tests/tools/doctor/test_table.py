from __future__ import annotations

import io
import json
import re
import sys

import pytest

from f1rl.tools.doctor.result import fail, none, ok, warn
from f1rl.tools.doctor.table import as_json, can_run, notice, plain, show, verdict

LONG = "a detail that is far too long for a single line of a terminal, " * 3
GROUPS = {
    "Software": [ok("Python", "3.11"), none("W&B", "not installed", "pip install it")],
    "Machine": [warn("cores", "[bold]1[/bold] of 2", "take\n  more"), fail("disk", LONG, LONG)],
}
JOB = "python -m f1rl"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_a_failure_keeps_the_job_from_running() -> None:
    assert not can_run(GROUPS)
    assert verdict(GROUPS, JOB) == "python -m f1rl cannot run on this machine before this works: disk."
    fine = {"Software": GROUPS["Software"], "Machine": GROUPS["Machine"][:1]}
    assert can_run(fine)
    assert verdict(fine, JOB) == "python -m f1rl can run on this machine."


def test_a_pipe_gets_whole_lines_without_colours() -> None:
    stream = io.StringIO()
    show(GROUPS, JOB, stream)
    text = stream.getvalue()
    assert text == plain(GROUPS, JOB)
    assert "\033" not in text
    lines = text.splitlines()
    assert lines[:4] == [
        "Software",
        "  ok    Python  3.11",
        "  -     W&B     not installed",
        "                -> pip install it",
    ]
    assert "  warn  cores   [bold]1[/bold] of 2" in lines
    assert "                -> take more" in lines
    assert f"  FAIL  disk    {LONG.strip()}" in lines


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_everything_within_its_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    show(GROUPS, JOB, stream)
    text = re.sub(r"\033\[[\d;]*m", "", stream.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert text.split().count("detail") == 6
    assert "[bold]1[/bold] of 2" in text


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    show(GROUPS, JOB, stream)
    assert "\033[1;31mFAIL" in stream.getvalue()


def test_without_rich_the_rows_are_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    stream = Terminal()
    show(GROUPS, JOB, stream)
    assert stream.getvalue() == plain(GROUPS, JOB)


def test_json_says_the_same() -> None:
    told = json.loads(as_json(GROUPS, JOB))
    assert (told["job"], told["can_run"]) == (JOB, False)
    assert [check["status"] for check in told["checks"]] == ["ok", "-", "warn", "FAIL"]
    assert told["checks"][1] == {
        "group": "Software", "name": "W&B", "status": "-", "detail": "not installed", "advice": "pip install it",
    }  # fmt: skip


def test_the_notice_is_gone_afterwards_and_never_in_a_pipe() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with notice("looking", stream):
            seen = stream.getvalue()
        assert seen == ("looking ..." if stream is terminal else "")
    assert terminal.getvalue().endswith("\r\033[K")
    assert pipe.getvalue() == ""
