"""Append-only records: whole lines, cut where a resumed run goes on, intact on a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl.errors import EnvironmentFailure
from f1rl.records.follow import JsonlFollower
from f1rl.records.jsonl import JsonlWriter


def read_jsonl(path: Path) -> list[dict]:
    return [record for records in JsonlFollower(path).read() for record in records]


def test_records_come_back_in_order_and_not_a_number_becomes_null(tmp_path: Path) -> None:
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"episode": 1, "loss": float("nan")})
        writer.write({"episode": 2, "loss": 0.5})
    assert read_jsonl(tmp_path / "a.jsonl") == [{"episode": 1, "loss": None}, {"episode": 2, "loss": 0.5}]


def test_a_resumed_writer_moves_what_lies_beyond_the_checkpoint_aside(tmp_path: Path) -> None:
    path, aside = tmp_path / "a.jsonl", tmp_path / "logs" / "superseded_1.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"episode": 1})
        keep = writer.size
        writer.write({"episode": 2})
    with path.open("ab") as file:
        file.write(b'{"episode": 3, "torn')

    with JsonlWriter(path, keep_bytes=keep, superseded=aside) as writer:
        writer.write({"episode": 2, "again": True})

    assert read_jsonl(path) == [{"episode": 1}, {"episode": 2, "again": True}]
    assert read_jsonl(aside) == [{"episode": 2}]


def _fill(writer: JsonlWriter) -> None:
    for number in range(10_000):
        writer.write({"episode": number, "padding": "x" * 100})


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root to be mounted")
def test_a_full_disk_is_one_clear_error_and_tears_no_line(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let root mount a tmpfs: {mounted.stderr.decode().strip()}")
    try:
        writer = JsonlWriter(small / "a.jsonl")
        with pytest.raises(EnvironmentFailure, match=r"No space left.*resume=auto"):
            _fill(writer)
        writer.close()
        records = read_jsonl(small / "a.jsonl")
        assert (small / "a.jsonl").read_bytes().endswith(b"}\n")
        assert [r["episode"] for r in records] == list(range(len(records)))
        assert len(records) > 100
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_reader_never_sees_half_a_json_file(tmp_path: Path) -> None:
    """Kill a process that rewrites a file without pause; whatever it leaves is whole."""
    path = tmp_path / "log.json"
    code = (
        "import sys; from pathlib import Path; from f1rl.records.files import write_json\n"
        "n = 0\n"
        "while True:\n"
        "    write_json(Path(sys.argv[1]), {'n': n, 'history': list(range(20000))}); n += 1\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(5):
            process.stdout.readline()
    finally:
        process.kill()
        process.wait()
    assert json.loads(path.read_text())["history"][-1] == 19999
