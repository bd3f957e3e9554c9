"""The world model of a run: from random numbers, from published weights, or to be filled from a checkpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import lightning
import psutil
import torch

from f1rl.config.schema import Config
from f1rl.errors import CheckpointError
from f1rl.launch.build import training_device
from f1rl.models.f1 import F1Model
from f1rl.models.plan import Plan, Work, plan_memory
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import holds_tokenizer, holds_world_model, world_model_from_files
from f1rl.phases.held_out import world_model_loss
from f1rl.rollout.source import TokenizedEpisode

log = logging.getLogger(__name__)

_SENSE_STEPS = 8
"""Predictions by which loaded weights are judged."""
_SLACK = 0.01
"""Nats per token that rounding may cost a model that does no more than guess."""


def build_world_model(cfg: Config, train_tokenizer: Callable[[], FrameTokenizer], *, resumed: bool) -> F1Model:
    """Return the world model with its tokenizer.

    Args:
        cfg: the configuration.
        train_tokenizer: called where no file and no checkpoint holds the tokenizer.
        resumed: a checkpoint will be loaded into it, which holds all weights; with adapters, all that are trained.

    Raises:
        CheckpointError: ``model.weights`` cannot be had, or do not fit.
    """
    weights, backprop = cfg.model.weights, cfg.bptt.memory_backprop
    if resumed:
        return world_model_to_fill(cfg)
    tokenizer = None if holds_tokenizer(weights) else train_tokenizer()
    lightning.seed_everything(cfg.seed, verbose=False)
    if weights.source is not None or weights.tokenizer is not None:
        model, _ = world_model_from_files(cfg.model, tokenizer, memory_backprop=backprop)
        return model
    return F1Model(cfg.model, tokenizer, memory_backprop=backprop)


def world_model_to_fill(cfg: Config) -> F1Model:
    """Return a world model whose weights a checkpoint will give; with adapters, those that it does not hold are read.

    Raises:
        CheckpointError: the weights that adapters belong to cannot be had.
    """
    config, backprop = cfg.model, cfg.bptt.memory_backprop
    if config.lora.r == 0:
        return F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=backprop)
    tokenizer = None if holds_tokenizer(config.weights) else FrameTokenizer(config.tokenizer)
    model, _ = world_model_from_files(config, tokenizer, memory_backprop=backprop)
    return model


def plan_world_model(cfg: Config) -> tuple[Plan, str]:
    """Return what training the world model will need in each process, and a line that says whether it fits."""
    work = Work(cfg.phase.batch_size, cfg.bptt.length, len(cfg.camera.names), cfg.trainer.precision != "32-true")
    plan = plan_memory(cfg.model, work)
    if training_device(cfg) == "cuda":
        return plan, plan.line(torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory)
    return plan, plan.line("this machine", psutil.virtual_memory().available)


def require_sense(cfg: Config, model: F1Model, episodes: Sequence[TokenizedEpisode]) -> None:
    """Refuse a loaded world model that predicts real frames worse than a guess.

    Raises:
        CheckpointError: its cross-entropy is above that of equal probabilities.
    """
    if not holds_world_model(cfg.model.weights):
        return
    device = training_device(cfg)
    loss = world_model_loss(model.to(device), episodes[0], _SENSE_STEPS, device)
    guess = math.log(cfg.model.tokenizer.codebook_size)
    log.info("the loaded world model's cross-entropy on real frames is %.3f; a guess has %.3f", loss, guess)
    if not loss < guess + _SLACK:
        raise CheckpointError(
            f"the world model from {cfg.model.weights.source} has a cross-entropy of {loss:.2f} nats per token on real "
            f"frames; guessing has {guess:.2f}. Its weights do not fit these pictures: another tokenizer, camera or "
            "step between frames than it was trained with (model.weights.tokenizer, model.obs_img_stride), or another "
            "layout than it is written in (model.weights.layout). With weights of layout pi0 the generation expert is "
            "trained from the start"
        )
