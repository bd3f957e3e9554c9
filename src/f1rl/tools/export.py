"""``python -m f1rl export CHECKPOINT FOLDER``: a run's weights as safetensors that load back, here and elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from f1rl.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
from f1rl.errors import CheckpointError, UsageError
from f1rl.models.weights.export import fits_published, name_map, published_tensors
from f1rl.models.weights.layouts import LAYOUTS

_WORLD, _ACT = "world.", "explorer.published."
"""Where the phases with an explorer keep the world model, and F1's action expert."""


def main(words: Sequence[str]) -> int:
    """Export one checkpoint; return the exit code.

    Raises:
        UsageError: the words make no sense, or the folder is not empty.
        CheckpointError: the checkpoint cannot be read, or not be written in the layout.
    """
    options = _parse(words)
    path = _checkpoint_path(options.checkpoint)
    checkpoint, folder = load_checkpoint(path), options.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; give another")
    state, left_out = whole_model(checkpoint)
    tensors = state
    if options.layout != "f1rl":
        tensors, unnamed = published_tensors(LAYOUTS[options.layout], state)
        left_out += unnamed
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", "layout": options.layout, "checkpoint": path.name}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", metadata)
    config = starting_config(checkpoint.training["config"], folder, options.layout)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if fits_published(state):
        names = name_map(LAYOUTS["f1"], list(state))
        (folder / "names.json").write_text(json.dumps(names, indent=2) + "\n")
    _report(folder, options.layout, tensors, left_out)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m f1rl export", description=__doc__, exit_on_error=False)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint, or a run whose newest one is meant")
    parser.add_argument("folder", type=Path, help="new folder that receives the files")
    parser.add_argument("--layout", choices=("f1rl", "f1"), default="f1rl", help="names of the tensors")
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error}; see python -m f1rl export --help") from error


def _checkpoint_path(given: Path) -> Path:
    if not (given / "run.json").exists():
        return given
    found = list_checkpoints(given)
    if not found:
        raise CheckpointError(f"the run {given} has no checkpoint yet")
    return found[-1]


def whole_model(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of world model and published action expert under our names, and those of neither.

    A teacher's checkpoint is a world model; the later phases keep an explorer beside theirs.
    """
    state = checkpoint.model
    if not any(name.startswith(_WORLD) for name in state):
        return dict(state), []
    kept, left_out = {}, []
    for name, tensor in state.items():
        if name.startswith(_WORLD):
            kept[name.removeprefix(_WORLD)] = tensor
        elif name.startswith(_ACT):
            kept[f"act.{name.removeprefix(_ACT)}"] = tensor
        else:
            left_out.append(name)
    return kept, left_out


def starting_config(config: dict[str, Any], folder: Path, layout: str) -> dict[str, Any]:
    """Return the configuration of a teacher's run that begins with the exported weights."""
    model = {**config["model"], "weights": {"source": str(folder.resolve()), "layout": layout, "tokenizer": None}}
    return {**config, "model": model, "resume": None, "overwrite": False}


def _report(folder: Path, layout: str, tensors: dict[str, torch.Tensor], left_out: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    console.print(f"{len(tensors)} tensors, {size:,} bytes, in {folder / 'model.safetensors'} (layout {layout})")
    if left_out:
        parts = sorted({name.split(".")[0] for name in left_out})
        console.print(f"left out, because the layout has no place for them: {len(left_out)} of {', '.join(parts)}")
    console.print(f"start from them: python -m f1rl --config {folder / 'config.yaml'} output_dir=...")
