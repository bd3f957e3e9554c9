from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from benchmarks import noise

from f1rl.models.config import ModelConfig
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs
from f1rl.models.tokenizer import FrameTokenizer

TINY = Path(__file__).parents[2] / "conf" / "model" / "tiny.yaml"


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """One thread: models this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_values() -> dict:
    return yaml.safe_load(TINY.read_text())


@pytest.fixture
def small_values(tiny_values: dict) -> dict:
    """The tiny preset with its widths cut down: the same code in a fraction of the time."""
    values = copy.deepcopy(tiny_values)
    values["image_size"] = 32
    values["tokenizer"] |= {
        "image_size": 32,
        "patch": 4,
        "widths": [16, 16],
        "norm_groups": 8,
        "scales": [1, 2, 4],
        "codebook_size": 32,
        "codebook_dim": 8,
        "phi_count": 3,
    }
    values["attention"] |= {"layers": 2, "heads": 2, "head_dim": 8, "init_std": 0.1}
    values["und"] |= {"width": 24, "mlp_width": 32}
    values["und"]["vision"] |= {"image_size": 32, "patch_size": 16, "width": 16, "mlp_width": 16, "heads": 2}
    values["gen"] |= {"width": 16, "mlp_width": 24, "history_side": 2}
    values["act"] |= {"width": 16, "mlp_width": 24, "chunk": 3, "denoising_steps": 2}
    values["memory"] |= {"hidden": 12, "num_layers": 2}
    return values


@pytest.fixture
def make_model(small_values: dict):
    def make(memory_backprop: bool = True, **changes) -> F1Model:
        values = copy.deepcopy(small_values)
        for key, value in changes.items():
            *parents, last = key.split("__")
            section = values
            for parent in parents:
                section = section[parent]
            section[last] = value
        config = ModelConfig.from_dict(values)
        torch.manual_seed(0)
        return F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=memory_backprop)

    return make


@pytest.fixture
def random_inputs():
    def make(model: F1Model, batch: int, steps: int, cameras: int = 2) -> WorldModelInputs:
        return noise.random_inputs(model.config, batch, steps, cameras)

    return make
