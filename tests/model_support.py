"""What tests of the model share: the presets, and how much a forward pass keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import yaml

from f1rl.models.config import ModelConfig
from f1rl.models.f1 import F1Model
from f1rl.models.interface import WorldModelInputs

PRESET_FOLDER = Path(__file__).parents[1] / "conf" / "model"


def read_preset(name: str) -> ModelConfig:
    """Return a preset of ``conf/model``, with a prompt that needs no network."""
    config = ModelConfig.from_dict(yaml.safe_load((PRESET_FOLDER / f"{name}.yaml").read_text()))
    return replace(config, prompt=replace(config.prompt, tokenizer=None))


def kept_for_the_gradient(model: F1Model, inputs: WorldModelInputs) -> int:
    """Return the bytes of the tensors that the backward pass will need, parameters aside."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model.train()(inputs, model.initial_memory(inputs.state.shape[0], "cpu"))
    assert output.logits.requires_grad
    return sum(size for pointer, size in storages.items() if pointer not in parameters)
