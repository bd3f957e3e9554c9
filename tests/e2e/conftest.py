"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e_support import Launcher


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
