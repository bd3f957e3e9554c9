"""What a world model will need, worked out before any of it is allocated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch

from f1rl.models.config import ModelConfig
from f1rl.models.empty import empty_parameters
from f1rl.models.experts import prompt_tokens
from f1rl.models.f1 import F1Model
from f1rl.models.lora import adapted_names
from f1rl.models.tokenizer import FrameTokenizer

_FLOAT = 4
_HALF = 2
_ADAMW = 2
"""Running means that AdamW keeps of each trained parameter."""


@dataclass(frozen=True)
class Work:
    """What a training process does at once."""

    batch: int
    """``B`` streams."""
    steps: int
    """``T`` steps of a window."""
    cameras: int
    mixed_precision: bool
    """Activations in 16 bits."""


@dataclass(frozen=True)
class Plan:
    """Parameters, and bytes by what they are for; of one training process."""

    parameters: int
    trained: int
    weights: int
    gradients: int
    optimizer: int
    """AdamW's two running means, and the mean weights of ``model.ema``."""
    activations: int
    """Kept for the backward pass of one window; an estimate that counts the large tensors of every layer."""
    cache: int
    """Keys and values of the window's prefixes, and those that ``model.prefix_cache`` keeps."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.cache

    def line(self, device: str, available: int) -> str:
        """Return the plan in a line, and whether it fits a device with ``available`` bytes."""
        kinds = ("weights", "gradients", "optimizer", "activations", "cache")
        parts = ", ".join(f"{kind} {size(getattr(self, kind))}" for kind in kinds)
        verdict = "fits" if self.total <= available else "does NOT fit"
        return (
            f"plan: {self.parameters:,} parameters, {self.trained:,} trained; {parts}; {size(self.total)} of "
            f"{size(available)} on {device}: {verdict}"
        )

    def as_dict(self) -> dict[str, int]:
        """Return all numbers, for the records."""
        return {**asdict(self), "total": self.total}


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"


def plan_memory(config: ModelConfig, work: Work) -> Plan:
    """Return what training the world model will need.

    Raises:
        ConfigError: ``model.lora`` names something that the model does not have.
    """
    with empty_parameters(), torch.random.fork_rng(devices=[]):
        plain = replace(config, prompt=replace(config.prompt, tokenizer=None))  # its tokenizer may need a network
        model = F1Model(plain, FrameTokenizer(config.tokenizer), memory_backprop=True)
    parameters = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = _FLOAT * parameters
    if config.lora.r > 0:
        layers = [model.get_submodule(name) for name in adapted_names(model, config.lora)]
        adapters = config.lora.r * sum(layer.in_features + layer.out_features for layer in layers)
        in_full = _count(model, config.lora.modules_to_save)
        frozen = _count(model, [part for part in ("vlm", "gen") if part not in config.lora.modules_to_save])
        parameters, trained = parameters + adapters, adapters + in_full
        weights = _FLOAT * (parameters - frozen) + int(frozen * _frozen_bytes(config))
    means = _ADAMW + (config.ema is not None)
    return Plan(
        parameters=parameters,
        trained=trained,
        weights=weights,
        gradients=_FLOAT * trained,
        optimizer=_FLOAT * means * trained,
        activations=_activations(config, work),
        cache=_cache(config, work),
    )


def _count(model: F1Model, names: object) -> int:
    return sum(p.numel() for name, p in model.named_parameters() if name.split(".")[0] in names)


def _frozen_bytes(config: ModelConfig) -> float:
    """Return the bytes of a frozen parameter; of 4-bit ones a little more than half of one, with their scales."""
    if config.lora.load_in_4bit:
        return 0.57
    return _HALF if config.lora.base_dtype == "bfloat16" else _FLOAT


def _tokens(config: ModelConfig, cameras: int) -> tuple[int, int, int]:
    """Return the tokens of a step: understanding, past frames, and suffix."""
    vision, length = config.und.vision, config.tokenizer.num_tokens
    text = len(prompt_tokens(replace(config.prompt, tokenizer=None)))
    pictures = cameras * (vision.image_size // vision.patch_size) ** 2
    past = length - 1 if config.gen.history_side is None else config.gen.history_side**2
    return pictures + text, past, 2 + config.n_obs_img_steps + length


def _activations(config: ModelConfig, work: Work) -> int:
    und, past, suffix = _tokens(config, work.cameras)
    attention, lora = config.attention, config.lora
    kind, count = (_HALF if work.mixed_precision else _FLOAT), work.batch * work.steps
    heads = (2 * attention.heads + 2 * attention.kv_heads) * attention.head_dim

    def layer(width: int, inner: int) -> int:
        # In float32: the stream twice, both norms and what they scale; then projections, attention, feed-forward part.
        return 6 * width * _FLOAT + (heads + width + 4 * inner) * kind

    stacks = [(past + suffix, attention.layers, config.gen.width, layer(config.gen.width, config.gen.mlp_width))]
    frozen = lora.r > 0 and "vlm" not in (*lora.modules_to_save, *lora.parts)
    if not frozen or config.und_sees_history:  # its outputs depend on trained tokens, so gradients pass through it
        stacks.append((und, attention.layers, config.und.width, layer(config.und.width, config.und.mlp_width)))
    if not frozen:
        vision = config.und.vision
        tokens = work.cameras * (vision.image_size // vision.patch_size) ** 2
        one = 6 * vision.width * _FLOAT + (5 * vision.width + 2 * vision.mlp_width) * kind
        stacks.append((tokens, vision.layers, vision.width, one))
    if config.activation_checkpointing:  # the inputs of all layers, and what the one keeps that is being run again
        total = sum(n * layers * width * _FLOAT for n, layers, width, _ in stacks) + max(
            n * one for n, *_, one in stacks
        )
    else:
        total = sum(n * layers * one for n, layers, _, one in stacks)
    predictions = 2 * config.tokenizer.num_tokens * config.tokenizer.codebook_size * _FLOAT
    return count * (total + predictions)


def _cache(config: ModelConfig, work: Work) -> int:
    und, past, _ = _tokens(config, work.cameras)
    attention = config.attention
    token = 2 * attention.layers * attention.kv_heads * attention.head_dim * (_HALF if work.mixed_precision else _FLOAT)
    return work.batch * work.steps * (und + past) * token + config.prefix_cache * und * token
