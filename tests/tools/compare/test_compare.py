"""``python -m f1rl compare``: what belongs together, what differs, what is best."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser_support import Visit
from f1rl import cli
from f1rl.errors import ConfigError
from f1rl.records.training_log import GRPO, PPO
from f1rl.tools.compare.comparison import compare, load
from f1rl.tools.compare.page import write_page
from records_support import make_explorer_run, make_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two configurations with three seeds each, and one with one."""
    for lr, losses in ((1e-3, (3.0, 3.2, 3.4)), (1e-4, (4.0, 4.1, 4.2)), (1e-2, (9.0,))):
        for seed, loss in enumerate(losses):
            make_run(tmp_path / "multirun" / f"lr={lr},seed={seed}", loss=loss, seed=seed, lr=lr, status="done").close()
    return tmp_path / "multirun"


def grpo(tmp_path: Path, name: str, reward: float) -> Path:
    val = [{"step": 10 * n, "epoch": 1, "samples": n, "val_reward": reward + n} for n in (1, 2)]
    path = tmp_path / name / "training_log.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"config": {"beta": reward}, "train_history": [], "val_history": val}))
    return path


def test_seeds_are_taken_together_and_ranked(sweep: Path) -> None:
    comparison = compare(load([sweep]))
    assert [(group.label, len(group.results)) for group in comparison.groups] == [
        ("phase.learning_rate=0.001", 3),
        ("phase.learning_rate=0.0001", 3),
        ("phase.learning_rate=0.01", 1),
    ]
    mean, half = comparison.groups[0].best
    assert mean == pytest.approx(3.2)
    assert half == pytest.approx(4.302653 * 0.2 / 3**0.5)
    assert comparison.groups[2].best[1] != comparison.groups[2].best[1]  # one run has no interval
    assert list(comparison.differences) == ["phase.learning_rate"]
    assert (comparison.quantity, comparison.goal, comparison.clock) == ("loss", "min", "env_step")


def test_what_is_learned_from_sets_runs_apart_and_how_fast_does_not(tmp_path: Path) -> None:
    changes = {
        "here": "",
        "on_a_cluster": "launcher:\n  partition: gpu\nrollout:\n  num_workers: 4\nmodel:\n  compile: true\n",
        "recorded": "rollout:\n  datasets: [data/a]\n",
    }
    for name, lines in changes.items():
        make_run(tmp_path / name, id=name).close()
        file = tmp_path / name / "config.yaml"
        file.write_text(file.read_text() + lines)
    comparison = compare(load([tmp_path]))
    assert sorted(len(group.results) for group in comparison.groups) == [1, 2]
    assert list(comparison.differences) == ["rollout.datasets"]


def test_the_tables_of_the_terminal(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert cli.main(["compare", str(sweep), "--csv", str(tmp_path / "runs.csv")]) == 0
    text = capsys.readouterr().out
    assert "95 % confidence interval over seeds" in text
    assert "3.2 ± 0.4968" in text
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "1", "1", "2", "2", "2", "3"]
    assert rows[0]["best_loss"] == "3.0"
    assert {row["phase.learning_rate"] for row in rows} == {"0.001", "0.0001", "0.01"}


def test_a_copy_is_no_second_seed(sweep: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "copies" / "x", id="lr=0.01,seed=0").close()
    assert len(load([sweep, sweep, tmp_path / "copies"])) == 7


def test_logs_of_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [grpo(tmp_path, "worse", 1.0), grpo(tmp_path, "better", 2.0)]
    comparison = compare(load(logs))
    assert [group.label for group in comparison.groups] == ["beta=2.0", "beta=1.0"]
    assert [group.best[0] for group in comparison.groups] == [4.0, 3.0]
    assert cli.main(["compare", "--logs", *map(str, logs), "--output", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()


def test_runs_of_different_kinds_stand_side_by_side(sweep: Path, tmp_path: Path) -> None:
    comparison = compare(load([sweep, grpo(tmp_path, "other", 1.0)]))
    assert comparison.groups[-1].best is None
    assert comparison.clock == "step"
    assert compare(load([sweep, tmp_path / "other"]), metric="val_reward").groups[0].label == "other"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name what to compare"),
        (["{sweep}", "--metric", "beauty"], "--metric beauty: no run validates it; there are copy"),
        (["{sweep}", "--clock", "hours"], "--clock hours: all of these runs have env_step, step, episode"),
    ],
)
def test_what_cannot_be_done_is_explained(
    words: list[str], message: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", *(word.format(sweep=sweep) for word in words)]) == 2
    assert message.removesuffix(" copy") in capsys.readouterr().err


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no runs in .*; python -m f1rl runs"):
        load([tmp_path])


def test_the_page_draws_every_configuration(sweep: Path, tmp_path: Path, browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    make_run(sweep / "odd", name=hostile, loss=5.0).close()
    (sweep / "odd" / "config.yaml").write_text(json.dumps({"note": hostile, "phase": {"learning_rate": hostile}}))
    assert cli.main(["compare", str(sweep), "--output", str(tmp_path / "page.html")]) == 0
    visit = Visit(browser, (tmp_path / "page.html").as_uri())
    assert visit.page.locator("h2").all_inner_texts() == ["Ranking", "Curves", "Differences", "Runs"]
    assert visit.draw_all() >= 3
    drawn = visit.page.evaluate(
        "document.getElementById('figure-loss-val').data.map(t => [t.fill || 'line', t.legendgroup])"
    )
    assert [kind for kind, _ in drawn].count("toself") == 2  # bands around the means of three seeds
    assert len({group for _, group in drawn}) == 4
    assert visit.page.locator("#runs tbody tr").count() == 8
    assert visit.page.locator("img").count() == 0
    assert visit.complaints == []


def test_explorers_are_ranked_by_their_reward(browser: Browser, tmp_path: Path) -> None:
    for shape in (PPO, GRPO):
        make_explorer_run(tmp_path / shape.name, shape=shape)
    comparison = compare(load([tmp_path]))
    assert (comparison.quantity, comparison.goal) == ("reward", "max")
    visit = Visit(browser, write_page(comparison, tmp_path / "comparison.html").as_uri())
    titles = visit.page.locator(".card h3").all_inner_texts()
    assert titles[0] == "Reward, validation"
    assert {"Entropy of the policy, training", "KL divergence, training"} <= set(titles)
    assert visit.complaints == []
