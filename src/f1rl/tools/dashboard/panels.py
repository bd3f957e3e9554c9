"""What the dashboard shows: sections of panels, by the names under which :mod:`f1rl.views` logs. Nothing is imported.

A panel whose metrics a project's runs do not log stays empty, so that one dashboard serves all phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from f1rl.views.tables import BESIDE_CHANCE, SAMPLES, SCORES

Kind = Literal["curves", "seeds", "gallery", "table", "parallel", "importance"]
"""``seeds``: curves, a group's runs as their mean and spread; ``parallel``: from settings to a result."""


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    metrics: tuple[str, ...]
    """As they are logged; a ``*`` stands for anything."""
    kind: Kind = "curves"
    clock: str = "env_step"
    """What curves are drawn over."""
    settings: tuple[str, ...] = ()
    """Keys of the configuration that ``parallel`` coordinates begin with."""


@dataclass(frozen=True)
class Section:
    """Panels of one subject."""

    title: str
    panels: tuple[Panel, ...]


_SETTINGS = (
    "phase.learning_rate",
    "phase.memory_lr_ratio",
    "phase.batch_size",
    "bptt.length",
    "model.n_obs_img_steps",
    "model.memory.hidden",
    "seed",
)


def _beside_chance(name: str) -> tuple[str, str]:
    return f"eval/{name}", f"eval/random_policy_{name}"


def _update(title: str, *names: str) -> Panel:
    return Panel(title, tuple(f"explorer/{name}" for name in names), clock="optimizer_step")


HEALTH = Section(
    "Health",
    (
        Panel("Health (0 to 100)", ("health/score",)),
        Panel("Loss: training and held out", ("train/avg_loss", "eval/loss")),
        Panel("Gradient norm before clipping", ("train/grad_norm",), clock="optimizer_step"),
        Panel("Learning rate", ("train/lr",), clock="optimizer_step"),
        Panel("Attempts per episode (2: a worker was replaced)", ("env/attempts",), clock="episode"),
    ),
)
WORLD_MODEL = Section(
    "World model, on held-out episodes",
    (
        Panel("Loss (nats per token)", ("eval/loss", "eval/copy_last_loss", "eval/unigram_loss")),
        Panel("Token accuracy", ("eval/accuracy", "eval/copy_last_accuracy", "eval/unigram_accuracy")),
        Panel("PSNR (dB); the tokenizer's is the ceiling", ("eval/psnr", "eval/psnr_copy_last", "eval/psnr_tokenizer")),
        Panel("Loss by scale", ("eval/loss_scale_*",)),
        Panel("Action sensitivity (nats per token)", ("eval/action_sensitivity",)),
        Panel("Memory gain (nats per token)", ("eval/memory_gain",)),
        Panel("Scores of the newest evaluation", (SCORES,), "table"),
        Panel("Newest predictions", (SAMPLES,), "table"),
        Panel("Predicted and true", ("media/sample",), "gallery"),
        Panel("Head, true wrist, predicted wrist", ("media/video",), "gallery"),
    ),
)
EXPLORER = Section(
    "Explorer",
    (
        Panel("Reward of an episode", ("env/episode_reward", *_beside_chance("reward"))),
        Panel(
            "Terms of the reward", ("explorer/reward_memory", "explorer/reward_uncertainty", "explorer/reward_success")
        ),
        Panel("Loss of the world model on what is found", ("train/avg_loss", *_beside_chance("loss"))),
        _update("Entropy (nats per action entry)", "entropy"),
        _update("Policy loss", "policy_loss"),
        _update("Value loss", "value_loss"),
        _update("Explained variance", "explained_variance"),
        _update("KL divergence: of an update, from the reference", "approx_kl", "kl"),
        _update("Share of clipped ratios", "clip_fraction"),
        Panel("Distance of the memories", ("explorer/memory_distance",)),
        Panel("Voxels visited, held out", _beside_chance("voxels")),
        Panel("Contact rate, held out", _beside_chance("contact_rate")),
        Panel("Object displacement, held out", _beside_chance("object_displacement")),
        Panel("Newest evaluation beside random actions", (BESIDE_CHANCE,), "table"),
    ),
)
ADVERSARY = Section(
    "Adversary",
    (
        Panel("Surprise that the explorer finds", ("adversary/reward_surprise",)),
        Panel("World model: loss on what is found now, and was at first", ("eval/loss", "eval/explorer_loss")),
        Panel("World model: loss of its updates", ("adversary/wm_loss",), clock="optimizer_step"),
        Panel("Entropy of its predictions (nats per token)", ("explorer/wm_entropy",)),
    ),
)
THROUGHPUT = Section(
    "Throughput",
    (
        Panel("Environment steps per second", ("time/env_steps_per_s",)),
        Panel("Shares of the time", ("time/*_share",)),
        Panel("Training time (s)", ("time/wall_time",)),
        Panel("Steps of an episode", ("env/length",), clock="episode"),
        Panel("Seconds of an evaluation", ("eval/seconds",)),
    ),
)
SWEEP = Section(
    "Sweep",
    (
        Panel("Held-out loss by settings", ("eval/loss",), "parallel", settings=_SETTINGS),
        Panel("Settings that decide the held-out loss", ("eval/loss",), "importance"),
        Panel("Held-out loss by group: mean and deviation", ("eval/loss",), "seeds"),
        Panel("Held-out reward by settings", ("eval/reward",), "parallel", settings=_SETTINGS),
        Panel("Settings that decide the held-out reward", ("eval/reward",), "importance"),
        Panel("Held-out reward by group: mean and deviation", ("eval/reward",), "seeds"),
    ),
)
SECTIONS = (HEALTH, WORLD_MODEL, EXPLORER, ADVERSARY, THROUGHPUT, SWEEP)
"""From top to bottom."""
