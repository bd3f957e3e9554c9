"""The rule from a rank to its physical GPU, in Python and as SLURM's task prolog."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from f1rl.errors import EnvironmentFailure
from f1rl.launch.devices import VARIABLES, get_physical_gpu_id, render_device, setup_sapien_gpu

CASES = [
    ({}, None),
    ({"CUDA_VISIBLE_DEVICES": ""}, None),
    ({"CUDA_VISIBLE_DEVICES": "-1"}, None),
    ({"CUDA_VISIBLE_DEVICES": "3"}, 3),
    ({"CUDA_VISIBLE_DEVICES": "10,11", "SLURM_LOCALID": "1"}, 11),
    ({"CUDA_VISIBLE_DEVICES": " 4, 6", "LOCAL_RANK": "1"}, 6),
    ({"CUDA_VISIBLE_DEVICES": "4,-1,6", "LOCAL_RANK": "1"}, 4),  # CUDA sees nothing beyond -1
    ({"CUDA_VISIBLE_DEVICES": "4,6", "LOCAL_RANK": "2"}, 4),  # more ranks than devices take turns
    ({"CUDA_VISIBLE_DEVICES": "4,6", "LOCAL_RANK": "1", "SLURM_LOCALID": "0"}, 6),  # torchrun in a SLURM job
    ({"CUDA_VISIBLE_DEVICES": "GPU-5ebe9f43-ac33-420b"}, None),
    ({"CUDA_VISIBLE_DEVICES": "MIG-GPU-5ebe9f43,MIG-GPU-5ebe9f44", "SLURM_LOCALID": "1"}, None),
]


@pytest.mark.parametrize(
    ("environment", "expected"), [*CASES, ({"CUDA_VISIBLE_DEVICES": "4,6", "SUBMITIT_LOCAL_LOCALID": "1"}, 6)]
)
def test_the_physical_device_of_a_rank(environment: dict[str, str], expected: int | None) -> None:
    assert get_physical_gpu_id(environment=environment) == expected


@pytest.mark.parametrize(("environment", "expected"), CASES)
def test_the_task_prolog_is_the_same_rule(repository: Path, environment: dict[str, str], expected: int | None) -> None:
    script = repository / "launchers" / "task_prolog.sh"
    env = {"PATH": os.environ["PATH"], **environment}
    said = subprocess.run([script], env=env, capture_output=True, text=True, check=True).stdout
    exports = [] if expected is None else [f"export {name}={expected}" for name in VARIABLES]
    assert said.splitlines() == exports


def test_a_handle_of_a_library_gives_the_rank() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "4,6", "LOCAL_RANK": "0"}
    assert get_physical_gpu_id(SimpleNamespace(local_process_index=1), environment) == 6


def test_binding_sets_all_three_variables_and_respects_the_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sapien", raising=False)  # other tests of this process use it
    environment = {"CUDA_VISIBLE_DEVICES": "2,5", "LOCAL_RANK": "1", "EGL_DEVICE_ID": "0"}
    assert setup_sapien_gpu(environment=environment) == 5
    assert environment["VK_DEVICE_INDEX"] == environment["SAPIEN_DEVICE_INDEX"] == "5"
    assert environment["EGL_DEVICE_ID"] == "0"
    untouched: dict[str, str] = {}
    assert setup_sapien_gpu(environment=untouched) is None
    assert untouched == {}


def test_the_renderer_gets_the_place_of_its_device_among_the_visible_ones() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "2,5", "LOCAL_RANK": "1"}
    assert render_device("auto", environment) == "auto:1"
    assert render_device("cpu", environment) == "cpu"
    assert render_device("cuda:0", environment) == "cuda:0"
    assert render_device("auto", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b", "LOCAL_RANK": "1"}) == "auto:1"
    assert render_device("auto", {}) == "auto"


def test_binding_after_sapien_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sapien", sys)
    environment = {"CUDA_VISIBLE_DEVICES": "2"}
    with pytest.raises(EnvironmentFailure, match=r"SAPIEN was imported before this rank was bound to GPU 2"):
        setup_sapien_gpu(environment=environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": "2"}
    bound = environment | dict.fromkeys(VARIABLES, "2")
    assert setup_sapien_gpu(environment=bound) == 2  # a second run of the same process
