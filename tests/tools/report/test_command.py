"""``python -m f1rl report``: text, tables and pictures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from f1rl import cli
from f1rl.records.process import this_process
from records_support import make_explorer_run, make_run

GRPO = {
    "config": {"model_path": "some/model", "batch_size": 1, "learning_rate": 1e-05},
    "train_history": [
        {"step": 10 * n, "epoch": 1, "samples": 40 * n, "loss": 0.5 / n, "reward": 2.0 + n, "kl": 0.01 * n, "lr": 1e-05}
        for n in range(1, 16)
    ],
    "val_history": [
        {"step": 50 * n, "epoch": 1, "samples": 200 * n, "val_reward": 2.0 + n, "val_format": 0.9} for n in (1, 2, 3)
    ],
    "best_checkpoint": {"step": 150, "epoch": 1, "samples": 600, "val_reward": 5.0, "path": "outputs/grpo/best"},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_run(tmp_path / "run").close()
    return tmp_path / "run"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "grpo" / "training_log.json"
    path.parent.mkdir()
    path.write_text(json.dumps(GRPO))
    return path


def report(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main(["report", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_the_summary_of_another_programs_log_is_that_of_the_guide(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "=" * 60
    assert report(capsys, "--log", log, "--no-plot").splitlines() == [
        rule, "Training Summary", rule, "",
        "Configuration:",
        "  Model: some/model", f"  Output: {log.parent}", "  Batch Size: 1", "  Learning Rate: 1.00e-05", "",
        "Training History: 15 entries",
        "  Final Step: 150", "  Final Epoch: 1", "  Final Samples: 600",
        "  Final loss: 0.0333", "  Final reward: 17.0000", "  Final kl: 0.1500", "  Final lr: 1.00e-05", "",
        "Validation History: 3 entries",
        "  Final Val Step: 150", "  Final Val Epoch: 1", "  Final Val Samples: 600",
        "  val_reward: 5.0000", "  val_format: 0.9000", "",
        "Best Checkpoint:",
        "  Step: 150", "  Epoch: 1", "  val_reward: 5.0000", "  Path: outputs/grpo/best",
        rule,
    ]  # fmt: skip


def test_the_summary_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = report(capsys, run)
    for line in ("Run: mine", "  Status: training", "  Progress: episode 10 of 40", "  Learning Rate: 3.00e-04"):
        assert f"{line}\n" in text
    assert "  Final avg_loss: 4.0196\n" in text
    assert f"  Path: {run}/checkpoint-10\n" in text
    assert not (run / "report").exists()


def test_pictures_are_drawn_for_every_quantity(log: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, "--log", log, "--output", log.parent / "plots")
    names = {path.name for path in (log.parent / "plots").iterdir()}
    assert names == {f"{name}_curve.png" for name in ("loss", "reward", "kl", "lr", "format")}
    assert "wrote" in report(capsys, run, "--plots")
    names = {path.name for path in (run / "report").iterdir()}
    assert {"loss_curve.png", "lr_curve.png", "memory_gain_curve.png", "env_steps_per_s_curve.png"} <= names
    picture = Image.open(run / "report" / "loss_curve.png").convert("RGB")
    assert len(picture.getcolors(2**24)) > 20  # not blank
    report(capsys, "--log", log, "--output", log.parent / "none", "--no-plot")
    assert not (log.parent / "none").exists()


def test_tables_hold_every_column_and_record(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, run, "--export-csv", "--output", run / "exports")
    with (run / "exports" / "train_history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["episode"] for row in rows] == [str(n) for n in range(1, 11)]
    assert float(rows[-1]["avg_loss"]) == pytest.approx(4.0196, abs=1e-4)
    with (run / "exports" / "val_history.csv").open(newline="") as file:
        assert [row["val_loss"] for row in csv.DictReader(file)] == ["4.5", "4.0"]
    assert not list((run / "exports").glob("*.png"))


def _only_begun(run: Path) -> None:
    for name in ("episode_metrics.jsonl", "training_log.json", "config.yaml"):
        (run / name).unlink()


def _killed(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    info["process"] = {**this_process(run), "started": 1.0}
    (run / "run.json").write_text(json.dumps(info))
    with (run / "episode_metrics.jsonl").open("a") as file:
        file.write('{"episode": 11, "avg_lo')


def _records_only(run: Path) -> None:
    for name in ("run.json", "training_log.json", "config.yaml"):
        (run / name).unlink()


@pytest.mark.parametrize("state", [_only_begun, _killed, _records_only], ids=lambda state: state.__name__)
def test_every_part_works_on_what_is_there(state: object, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state(run)
    text = report(capsys, run, "--plots", "--csv", "--html")
    assert ("Status: dead" in text) == (state is _killed)
    assert (run / "report" / "report.html").stat().st_size > 1e6


def test_a_copy_elsewhere(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(run, tmp_path / "moved")
    assert "Status: unknown (was training on" in report(capsys, tmp_path / "moved")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "name one run: a run directory or a training_log.json; see python -m f1rl report --help"),
        (["nowhere"], 3, "there is no nowhere; python -m f1rl runs lists"),
        (["{run}/checkpoint-5"], 3, "holds no run (no run.json, episode_metrics.jsonl or training_log.json)"),
        (["{run}", "--clock", "hours"], 2, "--clock hours: mine can be drawn over env_step, step, episode only"),
    ],
)
def test_what_cannot_be_done_is_explained(
    words: list[str], code: int, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", *(word.format(run=run) for word in words)]) == code
    assert message in capsys.readouterr().err


def test_reward_kl_and_entropy_of_an_explorer_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_explorer_run(tmp_path / "run")
    text = report(capsys, tmp_path / "run", "--plots")
    assert "  val_reward: 2.0000\n" in text.split("Best Checkpoint")[1]
    for name in ("reward", "reward_memory", "kl", "approx_kl", "entropy", "value_loss"):
        assert Image.open(tmp_path / "run" / "report" / f"{name}_curve.png").width > 500
