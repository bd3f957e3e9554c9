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
