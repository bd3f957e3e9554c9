"""The terminal dashboard, drawn and in a real terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from f1rl import cli
from f1rl.records.files import write_json
from f1rl.records.reader import RunRecords
from f1rl.tools.monitor import machine
from f1rl.tools.monitor.dashboard import dashboard, spark
from f1rl.tools.monitor.machine import Gpu, Machine
from f1rl.tools.monitor.snapshot import Watch
from records_support import episode, make_explorer_run, make_run


def drawn(run: Path, width: int, height: int) -> str:
    console = Console(width=width, height=height, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        console.print(dashboard(Watch(RunRecords(run)).look(), width, height))
    return console.export_text()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    with make_run(directory, 20) as writer:
        for number in range(21, 30):
            writer.write(episode(number, timestamp=time.time() + number))
    workers = [{"worker": 0, "stage": "step", "episode": 31, "restarts": 2, "rss_mb": 612.0}]
    write_json(directory / "live.json", {"updated": time.time(), "workers": workers})
    return directory


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_everything_has_its_place(run: Path, width: int, height: int) -> None:
    text = drawn(run, width, height)
    lines = text.splitlines()
    assert len(lines) == height
    assert max(map(len, lines)) == width
    for part in (
        "Training",
        "Held-out",
        "Health",
        "Machine",
        "Workers",
        "29/40 episodes",
        "learning_rate",
        "copy last",
    ):
        assert part in text, part
    worker = next(line for line in lines if " step " in line and "612" in line)
    assert worker.split("│")[-2 if width == 80 else -4].split() == ["0", "step", "31", "2", "612"]
    assert ("→ lower phase.learning_rate" in text) == (width == 140)
    assert ("waiting" in text and "Checkpoints" in text) == (width == 140)


def test_a_gpu_is_shown_where_there_is_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu("NVIDIA", utilisation=87.0, used=31.0, total=80.0, temperature=64.0)
    monkeypatch.setattr("f1rl.tools.monitor.snapshot.look", lambda: Machine(50.0, 8, 10.0, 64.0, (gpu,)))
    text = drawn(run, 140, 40)
    assert "87 %" in text
    assert "31/80 GiB 64 °C" in text


def test_a_machine_without_a_driver_is_no_error() -> None:
    moment = machine.look()
    assert moment.total > moment.used > 0
    assert isinstance(moment.gpus, tuple)


def test_an_explorers_reward_comes_first(tmp_path: Path) -> None:
    make_explorer_run(tmp_path / "run")
    text = drawn(tmp_path / "run", 80, 24)
    reward, last, change, loss = (text.index(word) for word in ("│ reward", "last ten", "change", "│ loss"))
    assert reward < last < change < loss
    assert "entropy" in text
    assert "KL of an update" in text


def test_dead_runs_and_alarms_are_red(run: Path) -> None:
    info = RunRecords(run).info
    write_json(run / "run.json", {**info, "process": {**info["process"], "pid": 2**22 + 1}})
    text = drawn(run, 140, 40)
    assert "dead (its process is gone" in text
    assert "● alive the run is dead" in text
    assert "the run goes on" not in text


def test_markup_in_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    make_run(tmp_path / "run", name="[red]x[/]").close()
    assert "[red]x[/]" in drawn(tmp_path / "run", 80, 24)


def test_an_empty_run_has_a_dashboard(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 0, status="starting").close()
    text = drawn(tmp_path / "run", 80, 24)
    assert "no records yet" in text
    assert "too early to tell" in text


def test_a_pipe_gets_one_picture(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["monitor", str(run), "--dashboard"]) == 0
    assert capsys.readouterr().out.count("29/40") == 1


def test_sparks() -> None:
    assert spark([1.0, 2.0, 3.0]) == "▁▅█"
    assert spark([1.0, 1.0]) == "▁▁"


class Terminal:
    """A real terminal of a given size that runs the dashboard."""

    def __init__(self, socket: str, run: Path, width: int, height: int) -> None:
        self._tmux = ["tmux", "-L", socket]
        command = f"{sys.executable} -m f1rl monitor {run} --dashboard --refresh 0.2; echo left with $?; sleep 600"
        subprocess.run(
            [*self._tmux, "-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), command],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            check=True,
        )

    def text(self) -> str:
        return subprocess.run([*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout

    def wait_for(self, is_there: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + 120
        while not is_there(text := self.text()):
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def press(self, key: str) -> None:
        subprocess.run([*self._tmux, "send-keys", key], check=True)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False)


@pytest.fixture
def terminal(run: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        assert not os.environ.get("CI"), "continuous integration needs tmux; scripts/setup.sh installs it"
        pytest.skip("there is no tmux; make setup installs it where it may")
    made = Terminal(f"f1rl-test-{os.getpid()}", run, 80, 24)
    yield made
    made.close()


def test_it_lives_in_a_real_terminal(terminal: Terminal, run: Path) -> None:
    text = terminal.wait_for(lambda text: "29/40 episodes" in text)
    assert max(map(len, text.splitlines())) == 80
    with (run / "episode_metrics.jsonl").open("a") as file:
        file.write('{"episode": 33, "avg_loss": 7.125, "timestamp": 1e9}\n{"episode": 34, "avg_')
    terminal.wait_for(lambda text: "33/40 episodes" in text and "7.125" in text)
    terminal.press("C-c")
    text = terminal.wait_for(lambda text: "left with" in text)
    assert "left with 0" in text
    assert "Traceback" not in text
