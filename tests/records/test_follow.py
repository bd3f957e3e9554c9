"""Reading a JSON-lines file that somebody else writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from f1rl.records import follow
from f1rl.records.follow import JsonlFollower


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def read(follower: JsonlFollower) -> list[dict]:
    return [record for records in follower.read() for record in records]


def test_only_what_is_new_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = JsonlFollower(path)
    assert read(follower) == []  # not there yet
    append(path, '{"n": 1}\n{"n": 2}\n')
    assert read(follower) == [{"n": 1}, {"n": 2}]
    path.write_bytes(b"\0" * 8 + path.read_bytes()[8:])  # what lies behind is not looked at again, but for the mark
    monkeypatch.setattr(follow, "_MARK", 0)
    append(path, '{"n": 3}\n')
    assert read(follower) == [{"n": 3}]
    assert read(follower) == []


def test_a_torn_line_is_read_once_it_is_whole(path: Path) -> None:
    follower = JsonlFollower(path)
    append(path, '{"n": 1}\n{"n": 2, "lo')
    assert read(follower) == [{"n": 1}]
    assert follower.torn
    append(path, 'ss": 0.5}\n')
    assert read(follower) == [{"n": 2, "loss": 0.5}]
    assert not follower.torn


def test_a_whole_record_does_not_wait_for_its_newline(path: Path) -> None:
    follower = JsonlFollower(path)
    append(path, '{"n": 1}')
    assert read(follower) == [{"n": 1}]
    append(path, '\n{"n": 2}\n')
    assert read(follower) == [{"n": 2}]
    assert follower.damaged == 0


@pytest.mark.parametrize("again", ['{"n": 2, "again": 1}\n', '{"n": 2, "again": 1}\n{"n": 3}\n{"n": 4}\n'])
def test_a_file_that_was_cut_and_written_anew_is_noticed(path: Path, again: str) -> None:
    follower = JsonlFollower(path)
    append(path, '{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    assert len(read(follower)) == 3
    assert not follower.was_cut()
    path.write_text('{"n": 1}\n' + again)
    assert follower.was_cut()
    assert read(follower)[:2] == [{"n": 1}, {"n": 2, "again": 1}]


def test_damaged_lines_are_counted_and_left_out(path: Path) -> None:
    path.write_text('{"n": 1}\nnonsense\n\n[2]\n{"n": NaN}\n{"n": 3}\n')
    follower = JsonlFollower(path)
    records = read(follower)
    assert [record["n"] for record in records][::2] == [1, 3]
    assert records[1]["n"] != records[1]["n"]
    assert follower.damaged == 2


def test_blocks_may_end_anywhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_BLOCK", 64)
    expected = [{"n": n, "text": "x" * (n % 150)} for n in range(300)]
    path.write_text("".join(json.dumps(record) + "\n" for record in expected))
    assert read(JsonlFollower(path)) == expected
