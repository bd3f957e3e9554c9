from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import published_f1
from f1rl.models.config import ModelConfig, WeightsConfig

TENSORS = {
    "f1": published_f1.f1_tensors,
    "pi0": published_f1.pi0_tensors,
    "pi0_base": published_f1.pi0_base_tensors,
}


@pytest.fixture
def published_values(small_values: dict) -> dict:
    """The published arrangement at a tiny size."""
    return published_f1.sizes(copy.deepcopy(small_values))


@pytest.fixture
def config_for(published_values: dict) -> Callable[..., ModelConfig]:
    def make(**weights: str) -> ModelConfig:
        config = ModelConfig.from_dict(published_values)
        return replace(config, weights=WeightsConfig(**{"source": None, "layout": "f1", "tokenizer": None, **weights}))

    return make


@pytest.fixture
def write(published_values: dict, tmp_path: Path) -> Callable[..., tuple[Path, published_f1.Tensors]]:
    """Return a function that writes a checkpoint in a layout, changed by a function, and returns it with its path."""

    def written(layout: str, change: Callable[[published_f1.Tensors], None] = lambda tensors: None):
        tensors = TENSORS[layout](published_values)
        change(tensors)
        path = tmp_path / f"{layout}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return path, tensors

    return written


@pytest.fixture
def var_file(published_values: dict, tmp_path: Path) -> tuple[Path, published_f1.Tensors]:
    tensors, path = published_f1.var_tensors(published_values), tmp_path / "vae.pth"
    torch.save(tensors, path)
    return path, tensors
