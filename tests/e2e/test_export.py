"""Weights that leave a run and come back: exported, started from, adapted, averaged, resumed, merged."""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file

from e2e_support import EXPLORER, Launcher, validations
from f1rl.checkpoint import load_checkpoint

ADAPTER_CONFIG = "adapter_config.json"
ADAPTED = {f"gen.layers.{i}.self_attn.{letter}_proj" for i in range(3) for letter in "qv"}


def run(launcher: Launcher, *words: str) -> str:
    result = launcher.run("trainer.cpu_threads=1", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def export(launcher: Launcher, *words: str) -> dict[str, torch.Tensor]:
    result = launcher.plain("export", *words)
    assert result.returncode == 0, result.stdout + result.stderr
    return load_file(launcher.directory / words[1] / "model.safetensors")


def test_exported_weights_are_started_from_and_adapted(launcher: Launcher) -> None:
    said = run(launcher, "output_dir=first", "phase.num_episodes=2")
    assert "plan: 2,011,204 parameters" in said
    base = export(launcher, "first", "base")
    words = ("output_dir=second", "phase.num_episodes=2", "phase.learning_rate=1e-9")
    second = launcher.plain("--config", "base/config.yaml", *words)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "weights: " in second.stdout
    ended, began = (validations(launcher.directory / name)[-1] for name in ("first", "second"))
    assert abs(ended["val_loss"] - began["val_loss"]) < 1e-3

    words = (
        "model.weights.source=base",
        "model.lora.r=4",
        "model.lora.base_dtype=bfloat16",
        "model.ema=0.9",
    )
    lengths = ("phase.save_every=4", "phase.num_episodes=8")
    run(launcher, *words, *lengths, "output_dir=whole")
    run(launcher, *words, *lengths, "output_dir=half", "resume=whole/checkpoint-4")
    whole, half = (load_checkpoint(launcher.directory / name / "checkpoint-8") for name in ("whole", "half"))
    assert {name.rsplit(".lora_")[0] for name in whole.model if name.startswith("gen.")} == ADAPTED
    assert not any(name.startswith(("vlm.", "tokenizer.")) for name in whole.model)
    mean, again = (saved.training["module"]["ema"]["mean"] for saved in (whole, half))
    assert all(torch.equal(value, half.model[name]) for name, value in whole.model.items())
    assert all(torch.equal(value, again[name]) for name, value in mean.items())

    settings = json.loads((launcher.directory / "whole" / "checkpoint-8" / "peft_adapter" / ADAPTER_CONFIG).read_text())
    assert (settings["r"], settings["base_model_name_or_path"]) == (4, "base")
    assert set(settings["target_modules"]) == ADAPTED

    merged = export(launcher, "whole", "merged", "--ema")
    assert merged.keys() == base.keys()
    changed = {name for name in merged if not torch.equal(merged[name], base[name])}
    assert {name.removesuffix(".weight") for name in changed if name.startswith(("gen.", "vlm."))} == ADAPTED
    assert torch.equal(merged["frames.head.weight"], mean["frames.head.weight"])
    assert not torch.equal(merged["frames.head.weight"], whole.model["frames.head.weight"])

    student = ("phase=student", *EXPLORER, "phase.num_episodes=4", "phase.teacher_path=whole", "output_dir=student")
    run(launcher, *words, *student)
    explorer = load_checkpoint(launcher.directory / "student" / "checkpoint-4")
    names = {name.removeprefix("world.") for name in explorer.model if name.startswith("world.")}
    assert names == whole.model.keys()
    assert explorer.training["module"]["ema"].keys() == {"explorer"}
