"""Optuna searches with the held-out loss of real processes as its objective; workers share a study."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pytest
import yaml

from f1rl import cli
from f1rl.jobs import local

# Stands in for python -m f1rl: its held-out loss is lowest at a learning rate of 0.002.
PROGRAM = """#!{python}
import json, pathlib, sys, yaml
config = yaml.safe_load(pathlib.Path(sys.argv[-1].partition("=")[2]).read_text())
run = pathlib.Path(config["output_dir"])
run.mkdir(parents=True)
loss = abs(config["phase"]["learning_rate"] - 0.002)
(run / "training_log.json").write_text(json.dumps({{"val_history": [{{"val_loss": loss, "episode": 4}}]}}))
"""


def test_several_searches_work_on_one_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(program))
    monkeypatch.chdir(tmp_path)
    shared = f"hydra.sweeper.storage=sqlite:///{tmp_path / 'study.db'}"
    for folder in ("first", "second"):
        words = ["sweep=search", "env=toy", "hydra.sweeper.n_trials=2", shared, "hydra.sweeper.study_name=rates"]
        assert cli.main(["-m", *words, f"hydra.sweep.dir={folder}"]) == 0
    study = optuna.load_study(study_name="rates", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert len(study.trials) == 4
    for trial in study.trials:
        assert trial.value == pytest.approx(abs(trial.params["phase.learning_rate"] - 0.002))
    best = yaml.safe_load((tmp_path / "second" / "optimization_results.yaml").read_text())
    assert best["best_value"] == pytest.approx(study.best_value)
