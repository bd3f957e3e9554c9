"""A run's weights, exported, are where another run begins."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from e2e_support import Launcher, validations
from f1rl.checkpoint import load_checkpoint


def test_a_run_that_starts_from_exported_weights_begins_as_good_as_the_other_ended(launcher: Launcher) -> None:
    first = launcher.run("output_dir=first", "phase.num_episodes=4")
    assert first.returncode == 0, first.stdout + first.stderr
    exported = launcher.plain("export", "first", "weights")
    assert exported.returncode == 0, exported.stdout + exported.stderr
    words = ("output_dir=second", "phase.num_episodes=2", "phase.learning_rate=1e-9")
    second = launcher.plain("--config", "weights/config.yaml", *words)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "weights: " in second.stdout
    ended, began = (validations(launcher.directory / run)[-1] for run in ("first", "second"))
    assert abs(ended["val_loss"] - began["val_loss"]) < 1e-3


def test_mean_weights_are_kept_evaluated_resumed_and_exported(launcher: Launcher) -> None:
    words = ("phase.num_episodes=16", "phase.save_every=8", "model.ema=0.9", "trainer.cpu_threads=1")
    whole = launcher.run(*words, "output_dir=whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    half = launcher.run(*words, "output_dir=half", "resume=whole/checkpoint-8")
    assert half.returncode == 0, half.stdout + half.stderr
    runs = [launcher.directory / name for name in ("whole", "half")]
    assert validations(runs[0])[-1]["val_loss"] == validations(runs[1])[-1]["val_loss"]
    saved, resumed = (load_checkpoint(run / "checkpoint-16") for run in runs)
    mean = saved.training["module"]["ema"]["mean"]
    assert all(torch.equal(value, resumed.training["module"]["ema"]["mean"][name]) for name, value in mean.items())
    exported = launcher.plain("export", "whole", "weights", "--ema")
    assert exported.returncode == 0, exported.stdout + exported.stderr
    tensors = load_file(launcher.directory / "weights" / "model.safetensors")
    assert all(torch.equal(tensors[name], value) for name, value in mean.items())
    assert any(not torch.equal(tensors[name], saved.model[name]) for name in mean)
