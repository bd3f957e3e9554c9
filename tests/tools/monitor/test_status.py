"""``python -m f1rl monitor`` as plain text, on runs in every state."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from PIL import Image

from f1rl import cli
from f1rl.records.reader import RunRecords
from f1rl.tools.monitor.charts import draw
from f1rl.tools.monitor.snapshot import Watch
from f1rl.tools.monitor.status_page import bars, status_page
from records_support import episode, make_explorer_run, make_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def page(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["monitor", *words]) == 0
    return capsys.readouterr().out


def dead(directory: Path) -> dict:
    return {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 1.0, "directory": str(directory.resolve())}


def test_the_page_tells_what_the_guide_promises(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/a"), 25).close()
    text = page(capsys, "outputs/a")
    assert "Status: training\nCurrent episode: 25 of 40 (62.5%)\n" in text
    assert "against the ten before)" in text
    assert "Learning rate: 2.50e-02" in text
    assert "Time per episode: 2 s\nRemaining time: 30 s" in text
    assert "val_loss: 4\n" in text
    assert "val_memory_gain: 2.5 ± 0.05" in text
    shown = [line for line in text.splitlines() if line.startswith("Episode ")]
    assert [line.split(":")[0] for line in shown] == [f"Episode {n}" for n in range(16, 26)]
    assert "Best: saved\nSaved episodes: 5, 10, 15, 20, 25" in text
    assert "Health: 50/100, clear problems\n- silence: newest record " in text  # of 1970, and the run goes on
    assert "- learning_rate: the learning rate reached 0.025, above 0.01" in text
    assert max(map(len, text.split("Verdict")[0].splitlines())) <= 80


def test_bars_are_proportional(tmp_path: Path) -> None:
    with make_run(tmp_path / "run", 0) as writer:
        for number, loss in enumerate([8.0, 4.0, 2.0], start=1):
            writer.write(episode(number, avg_loss=loss))
    widths = [line.count("█") for line in bars(Watch(RunRecords(tmp_path / "run")).look(), width=32)]
    assert widths == [32, 16, 8]


def test_an_explorer_is_watched_by_its_reward(capsys: pytest.CaptureFixture[str]) -> None:
    make_explorer_run(Path("outputs/a"))
    text = page(capsys, "outputs/a")
    assert re.search(r"Training reward: [\d.]+ \(\+[\d.]+ against the ten before\)\nEntropy: ", text)
    assert "KL divergence of an update: 0.0" in text
    assert text.index("val_reward: 2") < text.index("val_loss: 3")
    assert "Reward of the last ten:" in text
    drawn = Figure()
    draw(drawn, Watch(RunRecords("outputs/a")))
    assert [axis.get_title() for axis in drawn.axes][::5] == ["Training reward", "Validation reward"]


def test_bars_of_values_below_zero_begin_at_the_lowest() -> None:
    moment = SimpleNamespace(recent=((1, -2.0), (2, 0.0), (3, 2.0)), progress=SimpleNamespace(unit="episode"))
    assert [line.count("█") for line in bars(moment, width=32)] == [1, 16, 32]


def test_the_newest_run_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/old"), status="done", updated=150.0).close()
    make_run(Path("multirun/sweep/1"), status="done", updated=9000.0, name="the newest").close()
    assert "Training monitor: the newest" in page(capsys)
    assert "Training monitor: mine" in page(capsys, "--run-dir", "outputs/old")


def test_a_killed_run_is_shown_as_dead(capsys: pytest.CaptureFixture[str]) -> None:
    """A real process that was killed inside a record."""
    code = "import sys, time; from pathlib import Path; from records_support import make_run; "
    code += "make_run(Path('outputs/killed'), 30)._file.write(b'{\"episode\": 31, \"avg_'); print(); "
    code += "sys.stdout.flush(); time.sleep(600)"
    support = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={"PYTHONPATH": f"{support}:{':'.join(sys.path)}"}
    )
    assert process.stdout.readline() == b"\n"
    assert "Status: training" in page(capsys, "outputs/killed")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    text = page(capsys, "outputs/killed", "--refresh", "60")  # comes back at once: nothing more will happen
    assert "Status: dead (its process is gone without a word" in text
    assert "Current episode: 30 of 40" in text
    assert "- alive: the run is dead" in text
    assert "resume=auto" in text


def test_it_goes_on_until_the_run_is_over(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    writer = make_run(Path("outputs/a"), 10)
    written = iter(range(11, 40))

    def sleep(seconds: float) -> None:
        assert seconds == 0.5
        writer.write(episode(next(written)))
        if next(written) > 16:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    text = page(capsys, "outputs/a", "--refresh", "0.5")
    writer.close()
    counts = [line.split()[2] for line in text.splitlines() if line.startswith("Current episode")]
    assert counts[:4] == ["10", "11", "13", "15"]


def test_report_and_charts(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/a"), 40, status="done").close()
    text = page(capsys, "outputs/a", "--plot", "--save-report")
    assert "wrote outputs/a/report/monitor.txt\nwrote outputs/a/report/monitor.png" in text
    assert Path("outputs/a/report/monitor.txt").read_text().splitlines()[5:] == text.splitlines()[5:-2]
    assert Image.open("outputs/a/report/monitor.png").size == (1500, 800)
    page(capsys, "outputs/a", "--save-report", "here.txt")
    assert Path("here.txt").exists()


def test_charts_without_a_display_are_a_picture_that_is_kept_up_to_date(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    writer, pictures = make_run(Path("outputs/a"), 10), []

    def sleep(seconds: float) -> None:
        pictures.append(Path("outputs/a/report/monitor.png").read_bytes())
        if len(pictures) == 2:
            raise KeyboardInterrupt
        writer.write(episode(40, avg_loss=9.0))

    monkeypatch.setattr("time.sleep", sleep)
    text = page(capsys, "outputs/a", "--mode", "plot")
    writer.close()
    assert "there is no display; outputs/a/report/monitor.png is kept up to date" in text
    assert pictures[0] != pictures[1]


def test_a_run_that_has_just_begun(capsys: pytest.CaptureFixture[str]) -> None:
    make_run(Path("outputs/a"), 0, status="starting").close()
    text = page(capsys, "outputs/a", "--plot")
    assert "Current episode: 0 of 40" in text
    assert "Health: too early to tell" in text


def test_a_log_of_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    Path("log.json").write_text(
        '{"config": {}, "train_history": [{"step": 1, "epoch": 0, "loss": 2.0, "lr": 1e-4}, '
        '{"step": 2, "epoch": 0, "loss": NaN, "lr": 1e-4}], "val_history": []}'
    )
    text = page(capsys, "log.json")
    assert "Current step: 2" in text
    assert "- not_finite: infinite or undefined numbers in the newest records: loss (1x)" in text


def test_what_cannot_be_done_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["monitor"]) == 3
    assert capsys.readouterr().err.startswith("f1rl: there are no runs in outputs/ and multirun/; name one:")
    Path("empty").mkdir()
    assert cli.main(["monitor", "empty"]) == 3
    assert "empty holds no run" in capsys.readouterr().err
    assert cli.main(["monitor", "empty", "--refresh", "0"]) == 2
    assert "--refresh 0: seconds between two looks, above 0" in capsys.readouterr().err
    assert cli.main(["monitor", "a", "--run-dir", "b"]) == 2


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    make_run(Path("outputs/a"), name="[red]\x1b[2Jx").close()
    text = status_page(Watch(RunRecords("outputs/a")).look())
    assert "[red]" in text
    assert "\x1b" not in text
