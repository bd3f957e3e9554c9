from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from f1rl import cli
from f1rl.tools.doctor.command import attempt
from f1rl.tools.doctor.result import Status


@pytest.mark.sim
@pytest.mark.slow
def test_a_machine_that_passes_these_tests_can_run_the_main_job(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "f1rl", "doctor", "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["can_run"] is True
    assert told["job"] == "python -m f1rl phase=teacher env=franka"
    status = {check["name"]: check["status"] for check in told["checks"]}
    assert {status[name] for name in ("Python", "packages", "torch", "Vulkan", "picture", "environment")} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_broken_machine_is_told_and_fails(
    in_children: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nonexistent")
    in_children("import sys; sys.modules['torch'] = None")
    assert cli.main(["doctor"]) == 4
    shown = capsys.readouterr().out
    assert shown.endswith("phase=teacher env=franka cannot run on this machine before this works: torch, Vulkan.\n")
    assert "not tried: Vulkan comes first" in shown


def test_a_check_that_breaks_is_a_failed_row() -> None:
    def broken(number: int) -> None:
        raise ZeroDivisionError(f"{number} by 0")

    result = attempt("disk", broken, 3)
    assert (result.name, result.status) == ("disk", Status.FAIL)
    assert result.detail == "the check itself failed: ZeroDivisionError: 3 by 0"


def test_other_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", "env=toy"]) == 2
    assert "'env=toy' means nothing to doctor" in capsys.readouterr().err
