"""What only memory can know is predicted with memory, and not without: ``python -m benchmarks.memory``, some minutes.

An episode of the toy environment shows one of four colours in its first picture and again in its eighth; everything
between is grey, and the picture history reaches back four steps. Both runs make 400 updates of 128 steps: one carries
the memory through an episode, one starts at every step.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import describe

# Pictures of five tokens make the colour a good part of the loss.
CUE = (
    "env=toy",
    "env.variant=cue",
    "env.max_steps=8",
    "env.scene_reset_interval=3",
    "camera=wrist",
    "camera.resolution=32",
    "model.image_size=32",
    "model.und.vision.image_size=32",
    "model.tokenizer.image_size=32",
    "model.tokenizer.patch=16",
    "model.prompt.text=look",
    "model.attention.layers=2",
    "model.tokenizer.scales=[1,2]",
    "model.gen.history_side=2",
    "phase.tokenizer.num_episodes=20",
    "phase.tokenizer.steps=150",
    "phase.tokenizer.batch_size=32",
    "phase.num_episodes=6400",
    "phase.learning_rate=1e-3",
    "phase.memory_lr_ratio=1",
    "phase.warmup_steps=10",
    "phase.lr_schedule=constant",
    "phase.val_every=100000",
    "phase.val_episodes=32",
    "phase.save_every=100000",
    "phase.sample_every=100000",
    "phase.video_every=100000",
)
COLOUR = math.log(4) / 8
"""Nats at the coarsest scale that guessing the colour costs, spread over the eight steps."""
KINDS = {"with memory": ("bptt=8", "phase.batch_size=16"), "without": ("bptt=off", "phase.batch_size=128")}


def final(run: Path, overrides: tuple[str, ...]) -> dict[str, float]:
    """Train and return the last held-out evaluation."""
    words = [sys.executable, "-m", "f1rl", *CUE, f"output_dir={run}", *overrides]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return json.loads((run / "training_log.json").read_text())["val_history"][-1]


def main() -> None:
    """Train both and print."""
    print(describe())
    print(f"guessing the colour costs {COLOUR:.4f} nats at the coarsest scale")
    with tempfile.TemporaryDirectory(prefix="f1rl_bench_") as directory:
        for kind, overrides in KINDS.items():
            found = final(Path(directory) / kind.replace(" ", "_"), overrides)
            loss, gain, error = (found[f"val_{name}"] for name in ("loss_scale_1", "memory_gain", "memory_gain_stderr"))
            print(f"{kind:<12} loss at the coarsest scale {loss:.4f}, memory gain {gain:+.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
