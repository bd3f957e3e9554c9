"""What the scripts of the local cluster say; that the cluster works is seen by all tests in ``e2e/slurm``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def run(repository: Path, script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [repository / "launchers" / "local_slurm" / script, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_help_lists_the_options(repository: Path) -> None:
    done = run(repository, "up.sh", "--help")
    assert done.returncode == 0
    assert all(f"--{option} N " in done.stdout for option in ("nodes", "gpus", "cpus", "memory", "port"))
    assert "set -u" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "up.sh DIR [options]"),
        (["DIR", "--nodes", "two"], "--nodes needs a whole number; got 'two'"),
        (["DIR", "--nodes", "0"], "--nodes must be at least 1"),
        (["DIR", "--node", "2"], "unknown option '--node'; up.sh --help lists them"),
    ],
)
def test_mistakes_are_told(repository: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = run(repository, "up.sh", *(str(tmp_path / "cluster") if word == "DIR" else word for word in words))
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "cluster").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="the scripts work for root only")
def test_stopping_what_is_not_there_is_no_error(repository: Path, tmp_path: Path) -> None:
    done = run(repository, "down.sh", tmp_path)
    assert done.returncode == 0
    assert "nothing to stop" in done.stdout
    assert list(tmp_path.iterdir()) == []
