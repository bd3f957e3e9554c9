"""``python -m f1rl export CHECKPOINT FOLDER``: a run's weights as safetensors that load back, here and elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from f1rl.checkpoint import Checkpoint, load_checkpoint, load_model_weights, named_checkpoint
from f1rl.config.compose import compose
from f1rl.errors import CheckpointError, UsageError
from f1rl.models.config import ModelConfig
from f1rl.models.f1 import F1Model
from f1rl.models.lora import merge_adapters, save_adapter
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import holds_tokenizer, world_model_from_files
from f1rl.models.weights.export import fits_published, name_map, published_tensors
from f1rl.models.weights.layouts import LAYOUTS
from f1rl.typed import to_tree

_WORLD, _ACT = "world.", "explorer.published."
"""Where the phases with an explorer keep the world model, and F1's action expert."""


def main(words: Sequence[str]) -> int:
    """Export one checkpoint; return the exit code.

    Raises:
        UsageError: the words make no sense, or the folder is not empty.
        CheckpointError: the checkpoint cannot be read, or not be written in the layout.
    """
    options = _parse(words)
    path = named_checkpoint(options.checkpoint)
    checkpoint, folder = load_checkpoint(path), options.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; give another")
    if options.ema:
        _take_mean(checkpoint, path)
    world, act, left_out = _parts(checkpoint)
    config = ModelConfig.from_dict(checkpoint.training["config"]["model"])
    if options.adapter:
        return _export_adapter(config, world, path, folder)
    if config.lora.r > 0:
        adapted = _adapted_model(config, world, path)
        merge_adapters(adapted)
        world = adapted.state_dict()
    _export_whole(checkpoint.training["config"], {**world, **act}, left_out, options.layout, folder)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m f1rl export", description=__doc__, exit_on_error=False)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, or a run whose newest one is meant")
    parser.add_argument("folder", type=Path, help="new folder that receives the files")
    parser.add_argument("--layout", choices=("f1rl", "f1"), default="f1rl", help="names of the tensors")
    parser.add_argument("--ema", action="store_true", help="the running mean of the weights (model.ema)")
    parser.add_argument("--adapter", action="store_true", help="adapters by themselves instead of merged (model.lora)")
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error}; see python -m f1rl export --help") from error


def _take_mean(checkpoint: Checkpoint, path: Path) -> None:
    """Put the running mean of the trained weights in their place."""
    saved = checkpoint.training["module"].get("ema")
    if not saved:
        raise CheckpointError(f"{path} has no running mean of the weights: its run had model.ema=null")
    parts = {"": saved} if "mean" in saved else {f"{name}.": part for name, part in saved.items()}
    for prefix, part in parts.items():  # a teacher is one part, an agent has several
        checkpoint.model.update({f"{prefix}{name}": mean for name, mean in part["mean"].items()})


def _parts(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """Return the tensors of the world model and of F1's action expert under our names, and the names of neither.

    A teacher's checkpoint is a world model; the later phases keep an explorer beside theirs.
    """
    state = checkpoint.model
    if not any(name.startswith(_WORLD) for name in state):
        return dict(state), {}, []
    world = {name.removeprefix(_WORLD): tensor for name, tensor in state.items() if name.startswith(_WORLD)}
    act = {f"act.{name.removeprefix(_ACT)}": tensor for name, tensor in state.items() if name.startswith(_ACT)}
    return world, act, [name for name in state if not name.startswith((_WORLD, _ACT))]


def _adapted_model(config: ModelConfig, state: dict[str, Tensor], path: Path) -> F1Model:
    """Return the model that a run with adapters trained: its files, and on top what the checkpoint holds.

    Raises:
        CheckpointError: the files cannot be had, or are not those of the run.
    """
    exact = replace(config.lora, base_dtype="float32", load_in_4bit=False)
    config = replace(config, lora=exact)
    tokenizer = None if holds_tokenizer(config.weights) else FrameTokenizer(config.tokenizer)
    model, _ = world_model_from_files(config, tokenizer, memory_backprop=True)
    load_model_weights(model, state, path)
    return model


def _export_adapter(config: ModelConfig, state: dict[str, Tensor], path: Path, folder: Path) -> int:
    if config.lora.r == 0:
        raise CheckpointError(f"{path} has no adapters: its run had model.lora.r=0")
    save_adapter(_adapted_model(config, state, path), config, folder)
    source = config.weights.source
    Console(highlight=False, soft_wrap=True).print(
        f"adapters of {source} in {folder / 'adapter_model.safetensors'} (peft), the modules trained in full in "
        f"{folder / 'modules.safetensors'}"
    )
    return 0


def _export_whole(
    config: dict[str, Any], state: dict[str, Tensor], left_out: list[str], layout: str, folder: Path
) -> None:
    tensors = state
    if layout != "f1rl":
        tensors, unnamed = published_tensors(LAYOUTS[layout], state)
        left_out = [*left_out, *unnamed]
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / "model.safetensors", {"format": "pt", "layout": layout})
    start = yaml.safe_dump(_starting_config(config, folder, layout), sort_keys=False)
    (folder / "config.yaml").write_text(start)
    if fits_published(state):
        names = name_map(LAYOUTS["f1"], list(state))
        (folder / "names.json").write_text(json.dumps(names, indent=2) + "\n")
    _report(folder, layout, tensors, left_out)


def _starting_config(config: dict[str, Any], folder: Path, layout: str) -> dict[str, Any]:
    """Return the configuration of a teacher that begins with the exported weights and trains all of them.

    The later phases start from checkpoints, not from weights.
    """
    phase = config["phase"]["name"]
    if phase != "teacher":
        teacher = to_tree(compose(["phase=teacher"]))
        own = {"name": config["name"].replace(phase, "teacher"), "output_dir": teacher["output_dir"]}
        config = {**config, "phase": teacher["phase"], **own}
    weights = {"source": str(folder.resolve()), "layout": layout, "tokenizer": None}
    model = {**config["model"], "weights": weights, "lora": {**config["model"]["lora"], "r": 0}}
    return {**config, "model": model, "resume": None, "overwrite": False}


def _report(folder: Path, layout: str, tensors: dict[str, Tensor], left_out: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    console.print(f"{len(tensors)} tensors, {size:,} bytes, in {folder / 'model.safetensors'} (layout {layout})")
    if left_out:
        parts = sorted({name.split(".")[0] for name in left_out})
        console.print(f"left out, because the layout has no place for them: {len(left_out)} of {', '.join(parts)}")
    console.print(f"start from them: python -m f1rl --config {folder / 'config.yaml'} output_dir=...")
