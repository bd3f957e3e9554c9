from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from f1rl.config import compose
from f1rl.tools.doctor import software
from f1rl.tools.doctor.child import ask
from f1rl.tools.doctor.probe import JOB
from f1rl.tools.doctor.result import Status

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def test_python() -> None:
    assert software.python().status is Status.OK
    assert software.python((3, 13, 1)).status is Status.FAIL
    assert software.python((3, 10, 9)).detail.endswith("3.11 or 3.12 is needed")


def test_packages_of_the_project() -> None:
    assert software.packages().status is Status.OK


def test_packages_that_are_missing_or_of_another_version() -> None:
    asked = ["nonesuch>=1", "numpy<1", "psutil", 'wandb==0; extra == "wandb"', 'win==1; sys_platform == "win32"']
    result = software.packages(asked)
    assert result.status is Status.FAIL
    first, second = result.detail.split("; ")
    assert first == "nonesuch is missing"
    assert second.startswith("numpy is ")
    assert second.endswith(", not <1")


def test_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert software.configuration(JOB).status is Status.OK
    result = software.configuration(["env=nonesuch"])
    assert result.status is Status.FAIL
    assert "env=nonesuch: the group env has" in result.detail
    monkeypatch.setattr(compose, "__file__", str(tmp_path / "a" / "b" / "compose.py"))
    monkeypatch.setattr(compose, "conf_dir", compose.conf_dir.__wrapped__)  # without what it remembers
    result = software.configuration(JOB)
    assert result.status is Status.FAIL
    assert "the configuration files are missing" in result.detail


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.modules['torch'] = None", "ModuleNotFoundError"),
        (CRASH, "was killed by SIGSEGV"),
        ("import time; time.sleep(600)", "gave no answer within 1 s"),
    ],
)
def test_torch_that_is_missing_crashes_or_hangs(code: str, reason: str, in_children: Callable[[str], None]) -> None:
    in_children(code)
    result = software.torch(ask("f1rl.tools.doctor.probe", "torch", 1.0 if "sleep" in code else 60.0))
    assert result.status is Status.FAIL
    assert reason in result.detail


def test_torch_names_what_it_was_built_for() -> None:
    assert software.torch({"version": "2", "cuda": None, "devices": []}).detail == "2, built for the CPU"
    assert software.torch({"version": "2", "cuda": "12.8", "devices": []}).detail == "2, built for CUDA 12.8"


def test_maniskill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path))
    result = software.maniskill()
    assert result.status is Status.OK
    assert "franka" in result.detail
    assert "downloads" not in result.detail
    (tmp_path / "data" / "ycb").mkdir(parents=True)
    assert software.maniskill().detail.endswith(f"; 1 downloads in {tmp_path}/data")
    assert software.maniskill(robots=tmp_path).status is Status.FAIL


def test_a_missing_planner_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ompl", None)
    monkeypatch.setitem(sys.modules, "toppra", None)
    result = software.ompl()
    assert result.status is Status.NONE
    assert result.detail.startswith("ompl and toppra not installed")


@pytest.mark.parametrize(("code", "reason"), [(CRASH, "was killed by SIGSEGV"), ("import nonesuch", "nonesuch")])
def test_a_planner_that_breaks_when_imported(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ompl", "toppra"):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = software.ompl()
    assert result.status is Status.WARN
    assert reason in result.detail


def test_curobo_is_a_package_and_not_any_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "curobo").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert software.curobo(1).status is Status.NONE
    (tmp_path / "curobo" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)  # forgets what was found there before
    assert software.curobo(0).status is Status.WARN
    assert software.curobo(1).status is Status.OK


def test_wandb_is_asked_where_it_would_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:8080")
    result = software.wandb()
    assert result.status is Status.WARN
    assert result.detail.endswith(", no API key for http://localhost:8080")
    (tmp_path / "netrc").write_text(f"machine localhost:8080 login user password {'0' * 40}\n")
    assert software.wandb().detail.endswith(", with an API key for http://localhost:8080")
    monkeypatch.delenv("WANDB_BASE_URL")
    (tmp_path / "settings").write_text("[default]\nmode = offline\n")
    assert software.wandb().detail.endswith(", mode offline")


def test_a_wandb_that_breaks_when_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb.py").write_text(CRASH)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    result = software.wandb()
    assert result.status is Status.WARN
    assert "was killed by SIGSEGV" in result.detail


def test_a_missing_wandb_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "-packages" not in folder])
    assert software.wandb().status is Status.NONE
