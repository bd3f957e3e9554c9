"""What only memory can know is predicted with memory, and not without."""

from __future__ import annotations

import math

import pytest

from e2e_support import Launcher, validations

# An episode shows one of four colours in its first picture and again in its eighth; everything between is grey, and the
# picture history reaches back four steps. Pictures of five tokens make the colour a good part of the loss.
CUE = (
    "env.variant=cue",
    "env.max_steps=8",
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
COLOUR = math.log(4) / 8  # nats at the coarsest scale that guessing the colour costs, spread over the eight steps


def final(launcher: Launcher, output: str, *overrides: str) -> dict[str, float]:
    result = launcher.run(f"output_dir={output}", *CUE, *overrides)
    assert result.returncode == 0, result.stdout + result.stderr
    return validations(launcher.directory / output)[-1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cue_of_the_first_frame_is_predicted_with_memory_and_not_without(launcher: Launcher) -> None:
    """Both runs make 400 updates of 128 steps; one carries the memory through an episode, one starts at every step."""
    with_memory = final(launcher, "with", "bptt=8", "phase.batch_size=16")
    without = final(launcher, "without", "bptt=off", "phase.batch_size=128")

    assert without["val_loss_scale_1"] > 0.9 * COLOUR
    assert with_memory["val_loss_scale_1"] < 0.75 * COLOUR
    assert with_memory["val_memory_gain"] > 2 * with_memory["val_memory_gain_stderr"]
