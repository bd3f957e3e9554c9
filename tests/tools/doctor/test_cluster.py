from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from f1rl.tools.doctor import cluster
from f1rl.tools.doctor.result import Status

Put = Callable[[str, str], None]


@pytest.fixture
def slurm(command: Put) -> Put:
    """Commands that answer like SLURM's own, to be replaced by others."""
    command("sbatch", "echo slurm-wlm 22.05.8")
    command("scontrol", "echo 'Slurmctld(primary) at head is UP'")
    command("sinfo", "echo 'debug (2)'; echo 'gpu (4)'")
    return command


def test_without_slurm_the_row_is_quiet(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cluster.slurm().status is Status.NONE


def test_a_part_of_slurm_is_not_enough(command: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command("sbatch", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # without the system's own, which may have SLURM
    result = cluster.slurm()
    assert result.status is Status.WARN
    assert result.detail == "scontrol and sinfo not found"


def test_a_cluster_that_answers(slurm: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: object())
    result = cluster.slurm()
    assert result.status is Status.OK
    assert result.detail == "slurm-wlm 22.05.8; partitions (nodes): debug (2), gpu (4)"
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    result = cluster.slurm()
    assert result.status is Status.WARN
    assert "submitit is not installed" in result.detail


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        ("scontrol", "sleep 600", "scontrol ping gave no answer within 0.5 s"),
        ("sinfo", "sleep 600 & wait", "gave no answer within 0.5 s"),
        ("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1", "exit code 1: Unable to contact slurm"),
        ("scontrol", "echo 'Slurmctld(primary) at head is DOWN'; echo '*****'; exit 1", "at head is DOWN"),
        ("scontrol", "echo 'Slurmctld(primary) at head is DOWN'", "at head is DOWN"),
    ],
)
def test_a_cluster_that_does_not_answer(name: str, script: str, reason: str, slurm: Put) -> None:
    slurm(name, script)
    result = cluster.slurm(deadline=0.5)
    assert result.status is Status.WARN
    assert reason in result.detail
