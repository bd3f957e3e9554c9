"""``live.json``, written beside training."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from f1rl.records.heartbeat import Heartbeat
from f1rl.records.reader import RunRecords
from records_support import make_run


def test_it_beats_until_it_is_closed(tmp_path: Path) -> None:
    calls, enough = [], threading.Event()

    def collect() -> dict:
        calls.append(len(calls))
        if len(calls) == 2:
            raise ValueError("a worker went away")
        if len(calls) > 3:
            enough.set()
        return {"workers": [{"worker": 0, "restarts": len(calls)}]}

    beat = Heartbeat(tmp_path / "live.json", collect, every=0.01)
    assert enough.wait(30)
    said = json.loads((tmp_path / "live.json").read_text())
    assert said["workers"][0]["restarts"] in (3, len(calls) - 1, len(calls))
    beat.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "live.json").mkdir()
    beat = Heartbeat(tmp_path / "live.json", dict, every=0.01)
    beat._thread.join(30)
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_the_reader_follows_it(tmp_path: Path) -> None:
    make_run(tmp_path / "run").close()
    run = RunRecords(tmp_path / "run")
    assert run.live == {}
    (tmp_path / "run" / "live.json").write_text('{"updated": 5000.0, "workers": []}')
    assert run.refresh()
    assert run.live["updated"] == run.status().last_seen == 5000.0
    (tmp_path / "run" / "live.json").unlink()
    run.refresh()
    assert run.live == {}
