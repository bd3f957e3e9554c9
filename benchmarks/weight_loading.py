r"""How much host memory loading takes: random weights in F1's published layout, read by a process of its own.

    python -m benchmarks.weight_loading --folder /data/scratch            # 2 GB written, read, deleted
    python -m benchmarks.weight_loading --folder /data/scratch --preset f1  # the full size, 15 GB

One copy of the weights is what the model holds in the end; what the process grew by is given as a multiple of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.full_size import configuration
from f1rl.models.action_expert import ActionExpert
from f1rl.models.config import ModelConfig, WeightsConfig
from f1rl.models.empty import empty_parameters
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import world_model_from_files
from f1rl.models.weights.layouts import LAYOUTS
from f1rl.models.weights.loading import expected_entries

_SHARD = 2**29
"""Bytes of a file, about: one is in memory at a time while they are written."""
PRESETS = ("probe", "mid", "f1")


def sizes(preset: str) -> ModelConfig:
    """Return the full-size configuration, with fewer and narrower layers for ``mid`` and ``probe``."""
    config = configuration("f1", "full")
    if preset == "f1":
        return config
    layers, width, vision = (2, 2048, 4) if preset == "mid" else (1, 512, 1)
    und = replace(config.und, width=width, mlp_width=8 * width, vocab_size=8192)
    und = replace(und, vision=replace(und.vision, layers=vision))
    tokenizer = config.tokenizer if preset == "mid" else replace(config.tokenizer, widths=(32, 32, 64, 64, 128))
    return replace(config, und=und, tokenizer=tokenizer, attention=replace(config.attention, layers=layers))


def write_weights(config: ModelConfig, folder: Path) -> None:
    """Write random weights of all parts, a file after the other."""
    with empty_parameters():
        world = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
        whole = nn.ModuleDict({**dict(world.named_children()), "act": ActionExpert(config)})
    shard: dict[str, torch.Tensor] = {}
    entries = list(expected_entries(LAYOUTS["f1"], whole).items())
    for number, (name, entry) in enumerate(entries, start=1):
        shard[name] = torch.randn(entry.shape) * 0.02
        if sum(tensor.nbytes for tensor in shard.values()) > _SHARD or number == len(entries):
            save_file(shard, folder / f"model-{number:05d}.safetensors")
            shard.clear()


def load(config: ModelConfig, folder: Path) -> dict[str, Any]:
    """Load and return the bytes of the weights, and by how many copies of them this process grew at its peak."""
    config = replace(config, weights=WeightsConfig(str(folder), "f1", None))
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    model, _ = world_model_from_files(config, None, memory_backprop=True)
    size = sum(parameter.nbytes for parameter in model.parameters())
    after = {"peak_copies": _status("VmHWM"), "final_copies": _status("VmRSS")}
    return {"weights_mib": size // 2**20, **{k: round((v - before) / size, 3) for k, v in after.items()}}


def _status(name: str) -> int:
    """Return a size of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def measure(preset: str, folder: Path) -> dict[str, Any]:
    """Write, load in a fresh process, delete."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="f1rl_weights_") as directory:
        write_weights(sizes(preset), Path(directory))
        command = [sys.executable, "-m", "benchmarks.weight_loading", "--preset", preset, "--read", directory]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="mid")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="with room for the files")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)  # the process that loads
    arguments = parser.parse_args()
    found = load(sizes(arguments.preset), arguments.read) if arguments.read else None
    print(json.dumps(found or measure(arguments.preset, arguments.folder)))


if __name__ == "__main__":
    main()
