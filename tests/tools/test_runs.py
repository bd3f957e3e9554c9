"""``python -m f1rl runs``."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from f1rl import cli
from f1rl.records.reader import RunRecords
from f1rl.tools.runs import describe, table
from records_support import make_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict]:
    assert cli.main(["runs", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_runs_are_listed_with_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/going_on")).close()
    make_run(Path("outputs/ended"), 40, status="done", updated=50.0, parents=["outputs/old/checkpoint-8"]).close()
    killed = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 1.0}
    make_run(
        Path("multirun/sweep/0_seed=1"), process={**killed, "directory": str(Path("multirun/sweep/0_seed=1").resolve())}
    )
    rows = {row["path"]: row for row in listed(capsys)}
    assert [row["status"] for row in rows.values()].count("dead") == 1
    assert rows["outputs/going_on"]["status"] == "training"
    assert rows["multirun/sweep/0_seed=1"]["status"] == "dead"
    ended = rows["outputs/ended"]
    assert (ended["status"], ended["done"], ended["total"], ended["best"]) == ("done", 40, 40, 4.0)
    assert cli.main(["runs"]) == 0
    text = capsys.readouterr().out
    assert "eval_loss 4" in text
    assert "old/checkpoint-8" in text
    assert "10/40, 60 s left" in text


def test_a_narrow_terminal_shows_parents_below_their_run() -> None:
    make_run(Path("outputs/child"), 40, status="done", parents=["outputs/old/checkpoint-8"]).close()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table([describe(RunRecords("outputs/child"))], 200.0, is_wide=False))
    text = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert text[1].startswith("outputs/child done teacher 40/40 eval_loss 4")
    assert text[2] == "from old/checkpoint-8"


def test_fifty_runs_and_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        make_run(Path(f"outputs/{number:02d}"), 5, status="done", updated=1000.0 + number).close()
    assert [row["path"] for row in listed(capsys, "outputs")] == [f"outputs/{n:02d}" for n in range(49, -1, -1)]


def test_markup_in_names_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/[red]x")).close()
    assert cli.main(["runs"]) == 0
    assert "outputs/[red]x" in capsys.readouterr().out


def test_nothing_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs"]) == 0
    assert capsys.readouterr().out.startswith("no runs in outputs/ and multirun/; python -m f1rl ")
    assert listed(capsys) == []
    assert cli.main(["runs", "nowhere"]) == 3
    assert capsys.readouterr().err == "f1rl: there is no folder nowhere\n"
    assert cli.main(["runs", "--jsn"]) == 2
    assert "unrecognized arguments: --jsn; see python -m f1rl runs --help" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["runs"], ["report", "outputs/a", "--html", "--csv"], ["compare", "outputs"]])
def test_looking_at_runs_loads_nothing_heavy(words: list[str]) -> None:
    make_run(Path("outputs/a")).close()
    code = "import sys; from f1rl.cli import main; main(sys.argv[1:]); "
    code += "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    heavy = {"torch", "lightning", "mani_skill", "sapien", "pandas", "matplotlib", "hydra", "omegaconf", "gymnasium"}
    assert not heavy & set(result.stderr.split())


def test_a_reader_that_has_enough_is_no_error() -> None:
    for number in range(20):
        make_run(Path(f"outputs/{number}"), 1, parents=["x" * 10_000]).close()  # more than fits into a pipe
    command = f"{sys.executable} -m f1rl runs --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (result.stdout.split(), result.stderr) == (["[", "0"], "")
