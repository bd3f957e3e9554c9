"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e_support import ADVERSARY, EXPLORER, TEACHER, TWO_RANKS, Launcher

DUMP_WEIGHTS = """
import os, pathlib
import f1rl.launch.run as run

train = run.run

def train_and_dump(cfg):
    import torch
    from f1rl.launch import training
    fit = training._fit
    def fit_and_dump(cfg, directory, data, module, callbacks):
        fit(cfg, directory, data, module, callbacks)
        torch.save(module.model.state_dict(), pathlib.Path(os.environ["DUMP"]) / os.environ.get("LOCAL_RANK", "0"))
    training._fit = fit_and_dump
    return train(cfg)

run.run = train_and_dump
"""


@pytest.fixture(scope="session")
def tokenizer_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache for the session: the tokenizer is trained by the first run that needs it."""
    return tmp_path_factory.mktemp("tokenizers")


@pytest.fixture
def launcher(tmp_path: Path, tokenizer_cache: Path) -> Launcher:
    """Return a launcher that works in a fresh directory."""
    return Launcher(tmp_path, tokenizer_cache)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path) -> Path:
    """Return the directory ``outputs/teacher_rl`` of a run that came to its end; tests only read it."""
    launcher = Launcher(tmp_path_factory.mktemp("run"), tokenizer_cache)
    result = launcher.run()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "copy last frame" in result.stdout
    assert "checkpoint-24" in result.stdout
    return launcher.directory / "outputs" / "teacher_rl"


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path) -> Path:
    """Return the directory of a run of two ranks, with each rank's final weights in ``weights/``."""
    launcher = Launcher(tmp_path_factory.mktemp("ranks"), tokenizer_cache)
    dump = launcher.directory / "weights"
    dump.mkdir()
    # Python imports sitecustomize in every process: like this each rank leaves its final weights for this test.
    (launcher.directory / "sitecustomize.py").write_text(DUMP_WEIGHTS)
    env = {"PYTHONPATH": f"{launcher.directory}:{os.environ.get('PYTHONPATH', '')}", "DUMP": str(dump)}
    result = launcher.run("output_dir=whole", *TWO_RANKS, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return launcher.directory


@pytest.fixture(scope="session")
def lineage(tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path) -> Path:
    """Return a directory with ``outputs/teacher_rl``, ``student_rl`` and ``adversarial_rl``; tests only read it."""
    launcher = Launcher(tmp_path_factory.mktemp("lineage"), tokenizer_cache)
    for overrides in (
        ("phase=teacher", *TEACHER),
        ("phase=student", *EXPLORER),
        ("phase=adversarial", *EXPLORER, *ADVERSARY),
    ):
        result = launcher.run(*overrides)
        assert result.returncode == 0, result.stdout + result.stderr
    return launcher.directory
