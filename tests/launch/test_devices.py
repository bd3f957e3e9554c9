"""The rule from a rank to its physical GPU."""

from __future__ import annotations

import pytest

from f1rl.launch.devices import get_physical_gpu_id, setup_sapien_gpu


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, None),
        ({"CUDA_VISIBLE_DEVICES": "3"}, 3),
        ({"CUDA_VISIBLE_DEVICES": " 4, 6", "LOCAL_RANK": "1"}, 6),
        ({"CUDA_VISIBLE_DEVICES": "4,6", "LOCAL_RANK": "2"}, 4),
        ({"CUDA_VISIBLE_DEVICES": "4,6", "LOCAL_RANK": "0", "SLURM_LOCALID": "1"}, 6),
        ({"CUDA_VISIBLE_DEVICES": "GPU-5ebe9f43-ac33-420b"}, None),
        ({"CUDA_VISIBLE_DEVICES": "MIG-GPU-5ebe9f43"}, None),
    ],
)
def test_the_physical_device_of_a_rank(environment: dict[str, str], expected: int | None) -> None:
    assert get_physical_gpu_id(environment) == expected


def test_binding_sets_all_three_variables_and_respects_the_launchers() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "2,5", "LOCAL_RANK": "1", "EGL_DEVICE_ID": "0"}
    assert setup_sapien_gpu(environment=environment) == 5
    assert environment["VK_DEVICE_INDEX"] == environment["SAPIEN_DEVICE_INDEX"] == "5"
    assert environment["EGL_DEVICE_ID"] == "0"
    untouched: dict[str, str] = {}
    assert setup_sapien_gpu(environment=untouched) is None
    assert untouched == {}
