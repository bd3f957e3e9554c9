"""Optuna searches with the held-out loss of real processes as its objective; searches share a study."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from f1rl import cli

# Stands in for the training processes: the held-out loss is lowest at a learning rate of 0.002.
PROGRAM = """#!{python}
import json, pathlib, sys, yaml
config = yaml.safe_load(pathlib.Path(sys.argv[-1].partition("=")[2]).read_text())
run = pathlib.Path(config["output_dir"])
run.mkdir(parents=True)
loss = abs(config["phase"]["learning_rate"] - 0.002)
(run / "training_log.json").write_text(json.dumps({{"val_history": [{{"val_loss": loss, "episode": 4}}]}}))
"""


def test_searches_that_start_together_work_on_one_study(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.executable = {str(program)!r}")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    words = ["sweep=search", "env=toy", "hydra.sweeper.n_trials=3", f"hydra.sweeper.storage={storage}"]
    command = [sys.executable, "-m", "f1rl", "-m", *words, "hydra.sweeper.study_name=rates"]
    searches = [subprocess.Popen(command, cwd=tmp_path, env=env) for _ in range(3)]
    assert [search.wait(timeout=300) for search in searches] == [0, 0, 0]

    trials = optuna.load_study(study_name="rates", storage=storage).trials
    assert [(trial.number, trial.state.name) for trial in trials] == [(number, "COMPLETE") for number in range(9)]
    folders = list((tmp_path / "multirun").iterdir())
    tables = [list(csv.DictReader((folder / "summary.csv").open())) for folder in folders]
    assert [len(table) for table in tables] == [3, 3, 3]
    rates = {trial.params["phase.learning_rate"]: trial.value for trial in trials}
    found = {float(row["phase.learning_rate"]): float(row["val_loss"]) for table in tables for row in table}
    assert found == pytest.approx(rates, rel=1e-4)
    assert len(found) == 9
    assert all((folder / "multirun.yaml").exists() for folder in folders)
    best = [yaml.safe_load((folder / "optimization_results.yaml").read_text())["best_value"] for folder in folders]
    assert min(best) == pytest.approx(min(rates.values()))


def test_a_storage_that_cannot_be_used_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["-m", "sweep=search", "env=toy", "hydra.sweeper.storage=nonsense"]) == 3
    assert "hydra.sweeper.storage=nonsense cannot be used: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
