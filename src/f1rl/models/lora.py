"""Low-rank adapters (LoRA, Hu et al. 2021; QLoRA, Dettmers et al. 2023) by ``peft``, on the experts of a model.

Only the adapters and the modules that the configuration names are trained; everything else keeps the values that a file
gave it, which checkpoints then need not repeat.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from f1rl.errors import ConfigError
from f1rl.models.config import LoraConfig, ModelConfig

if TYPE_CHECKING:
    import peft

ADAPTER = "default"
"""Name that peft gives to the only adapter."""
FINGERPRINT = "base_fingerprint"
"""Buffer with a digest of the weights that an adapter belongs to."""
_SAMPLES = 64
"""Values of each tensor that the digest reads."""


def adapted_names(model: nn.Module, config: LoraConfig) -> list[str]:
    """Return the names of the linear layers of ``model`` that get an adapter.

    Raises:
        ConfigError: a key names something that the model does not have.
    """
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.split(".")[0] in config.parts
    ]
    endings = sorted({name.rpartition(".")[2] for name in linear})
    for target in config.target_modules:
        if target not in endings:
            raise ConfigError(
                f"model.lora.target_modules names {target}, which no layer of {', '.join(config.parts)} ends with; "
                f"there are {', '.join(endings)}"
            )
    children = [name for name, _ in model.named_children()]
    for module in config.modules_to_save:
        if module not in children or module == "tokenizer":
            allowed = ", ".join(name for name in children if name != "tokenizer")
            raise ConfigError(f"model.lora.modules_to_save names {module}, which is none of: {allowed}")
    return [name for name in linear if name.rpartition(".")[2] in config.target_modules]


def add_adapters(model: nn.Module, config: LoraConfig, given: Collection[str]) -> None:
    """Give ``model`` adapters, in place, and freeze all that is not to be trained.

    Args:
        model: with its weights loaded.
        config: which layers, and how.
        given: names of the tensors that files gave it; a checkpoint need not hold those that stay frozen.

    Raises:
        ConfigError: the configuration names something that the model does not have, or 4-bit weights need a package
            that is missing.
    """
    import peft  # here, because it takes most of a second that runs without adapters need not wait

    names = adapted_names(model, config)
    fingerprint = digest({name: tensor for name, tensor in model.state_dict().items() if name in given})
    if config.load_in_4bit:
        _quantise(model, config.modules_to_save)
    peft.inject_adapter_in_model(_peft_config(config, names), model, adapter_name=ADAPTER)
    for name, parameter in model.named_parameters():
        in_full = name.split(".")[0] in config.modules_to_save
        parameter.requires_grad_(in_full or ".lora_" in name)
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # peft makes an adapter in the precision of its base
    model.register_buffer(FINGERPRINT, fingerprint)
    model.elsewhere = frozen_names(model, given)


def _peft_config(config: LoraConfig, names: Collection[str]) -> peft.LoraConfig:
    import peft

    return peft.LoraConfig(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(names),
        bias="none",
    )


def frozen_names(model: nn.Module, given: Collection[str]) -> frozenset[str]:
    """Return the names in the state of ``model`` that are frozen and came from files."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    state = model.state_dict()
    return frozenset(name for name in state if name not in trained and name.replace(".base_layer.", ".") in given)


def digest(tensors: dict[str, Tensor]) -> Tensor:
    """Return ``uint8 [16]`` that names, shapes and sampled values of ``tensors`` decide, in whatever precision."""
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].detach().flatten()
        chosen = flat[:: max(1, len(flat) // _SAMPLES)][:_SAMPLES].to("cpu", torch.bfloat16).contiguous()
        hasher.update(f"{name} {tuple(tensors[name].shape)}".encode() + chosen.view(torch.uint8).numpy().tobytes())
    return torch.frombuffer(bytearray(hasher.digest()[:16]), dtype=torch.uint8)


@torch.no_grad()
def merge_adapters(model: nn.Module) -> None:
    """Add the adapters to the weights that they belong to, and remove them, in place."""
    for name in _adapted_layers(model):
        layer = model.get_submodule(name)
        layer.merge(safe_merge=True)
        model.set_submodule(name, layer.get_base_layer())
    if hasattr(model, FINGERPRINT):
        delattr(model, FINGERPRINT)
    model.elsewhere = frozenset()


def _adapted_layers(model: nn.Module) -> list[str]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]


def write_peft(config: ModelConfig, state: Mapping[str, Tensor], folder: Path) -> None:
    """Write the adapters in the ``state`` of a world model as peft does, with their settings and their base's name.

    Args:
        config: that they were made by.
        state: names with or without the ``world.`` of an agent.
        folder: receives ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        OSError: the file system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    adapters = {name.removeprefix("world."): tensor for name, tensor in state.items() if ".lora_" in name}
    settings = _peft_config(config.lora, sorted({name.partition(".lora_")[0] for name in adapters}))
    settings.base_model_name_or_path = config.weights.source
    settings.save_pretrained(folder)
    named = {
        f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": tensor.detach().contiguous()
        for name, tensor in adapters.items()
    }
    (folder / "adapter_model.safetensors").write_bytes(save(named, {"format": "pt"}))


def save_adapter(model: nn.Module, config: ModelConfig, folder: Path) -> None:
    """Write the adapters of ``model`` as peft does, and the modules trained in full beside them.

    Args:
        model: with adapters.
        config: that it was made by.
        folder: receives what :func:`write_peft` writes, and ``modules.safetensors``.
    """
    trained = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    write_peft(config, trained, folder)
    modules = {name: tensor for name, tensor in trained.items() if ".lora_" not in name}
    save_file(modules, folder / "modules.safetensors")


def _quantise(model: nn.Module, but: Collection[str]) -> None:
    """Replace the experts' linear layers by ones with 4-bit weights, which are rounded when they first go to a device.

    Raises:
        ConfigError: ``bitsandbytes`` is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            "model.lora.load_in_4bit=true needs the package bitsandbytes: pip install -e '.[qlora]', or set it to false"
        )
    import bitsandbytes

    for name, old in list(model.named_modules()):
        part = name.split(".")[0]
        if not isinstance(old, nn.Linear) or part not in ("vlm", "gen") or part in but:
            continue
        new = bitsandbytes.nn.Linear4bit(
            old.in_features, old.out_features, bias=old.bias is not None, compute_dtype=torch.bfloat16, quant_type="nf4"
        )
        new.weight = bitsandbytes.nn.Params4bit(old.weight.detach(), requires_grad=False, quant_type="nf4")
        if old.bias is not None:
            new.bias = old.bias
        model.set_submodule(name, new)
    model.is_loaded_in_4bit = True  # peft looks for this
