"""A run that trains adapters: small checkpoints, an exact resume, a merge that another run starts from."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from e2e_support import Launcher, validations
from f1rl.checkpoint import load_checkpoint


def test_adapters_are_trained_saved_resumed_and_merged(launcher: Launcher) -> None:
    first = launcher.run("output_dir=first", "phase.num_episodes=4")
    assert first.returncode == 0, first.stdout + first.stderr
    assert launcher.plain("export", "first", "base").returncode == 0
    base = load_file(launcher.directory / "base" / "model.safetensors")

    words = ("model.weights.source=base", "model.lora.r=4", "trainer.cpu_threads=1", "phase.save_every=8")
    whole = launcher.run(*words, "phase.num_episodes=16", "output_dir=whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    for episodes in (8, 16):
        parted = launcher.run(*words, f"phase.num_episodes={episodes}", "output_dir=parted", "resume=auto",
                              "phase.lr_schedule=constant")  # fmt: skip
        assert parted.returncode == 0, parted.stdout + parted.stderr
    saved = load_checkpoint(launcher.directory / "whole" / "checkpoint-16").model
    assert not any(name.startswith(("vlm.", "tokenizer.")) for name in saved)
    assert {name.rsplit(".lora_")[0] for name in saved if name.startswith("gen.")} == {
        f"gen.layers.{i}.self_attn.{letter}_proj" for i in range(3) for letter in "qv"
    }

    assert launcher.plain("export", "whole", "merged").returncode == 0
    merged = load_file(launcher.directory / "merged" / "model.safetensors")
    assert merged.keys() == base.keys()
    changed = {name for name in merged if not torch.equal(merged[name], base[name])}
    assert {name for name in changed if name.startswith("gen.")} == {
        f"gen.layers.{i}.self_attn.{letter}_proj.weight" for i in range(3) for letter in "qv"
    }
    words = ("output_dir=last", "phase.num_episodes=2", "phase.learning_rate=1e-9")
    last = launcher.plain("--config", "merged/config.yaml", *words)
    assert last.returncode == 0, last.stdout + last.stderr
    ended, began = (validations(launcher.directory / run)[-1] for run in ("whole", "last"))
    assert abs(ended["val_loss"] - began["val_loss"]) < 1e-3
