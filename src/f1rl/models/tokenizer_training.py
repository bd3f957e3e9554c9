"""Fits the tokenizer to a set of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from f1rl.models.tokenizer import FrameTokenizer, normalise_images

_START_IMAGES = 1024
"""Pictures from which principal components and first codes are taken."""
_WARM_UP = 20
"""Steps over which the learning rate rises."""
_MAX_NORM = 1.0
"""Gradients are clipped to this norm."""


def fit_tokenizer(
    tokenizer: FrameTokenizer,
    images: Tensor,
    *,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
    on_step: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    """Train ``tokenizer`` on ``images``; the same seed gives the same weights on the same machine.

    Args:
        tokenizer: changed in place, left in evaluation mode.
        images: ``uint8 [N, 3, H, W]`` on any device; batches are moved to the tokenizer's.
        steps: optimiser steps.
        batch_size: pictures a step.
        lr: peak learning rate; it warms up and then falls along a cosine.
        seed: of the batches, the first codes and the replacement of unused ones.
        on_step: called after every step with its number from 0 and its metrics; an exception it raises ends the fit.

    Returns:
        ``psnr`` in dB, ``l1``, ``used_codes`` and ``perplexity`` over (at most 1024 of) the pictures.

    Raises:
        ValueError: if there are no pictures or ``steps`` or ``batch_size`` is below 1.
    """
    if len(images) == 0 or steps < 1 or batch_size < 1:
        raise ValueError(f"cannot fit {steps} steps of {batch_size} pictures to {len(images)} pictures")
    device = next(tokenizer.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        start = images[torch.randint(len(images), (min(len(images), _START_IMAGES),))].to(device)
        start_tokenizer(tokenizer, start)
        tokenizer.train()
        optimizer = torch.optim.AdamW(
            [p for p in tokenizer.parameters() if p.requires_grad], lr=lr, betas=(0.9, 0.99), weight_decay=0.0
        )
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * _schedule(step, steps)
            batch = images[torch.randint(len(images), (batch_size,))].to(device)
            on_step(step, _train_step(tokenizer, optimizer, batch))
        tokenizer.eval()
        return tokenizer_metrics(tokenizer, start)


@torch.no_grad()
def start_tokenizer(tokenizer: FrameTokenizer, images: Tensor) -> None:
    """Start the linear path at the principal components of ``images`` and the codebook at their latents.

    The networks beside a linear path start at zero output: whatever they learn improves on the principal components.
    """
    config = tokenizer.config
    if tokenizer.linear_in is not None and tokenizer.linear_out is not None:
        pixels = normalise_images(images, config.image_size)
        patches = F.unfold(pixels, config.downsample, stride=config.downsample).transpose(1, 2).flatten(0, 1)
        mean = patches.mean(0)
        covariance = (patches - mean).T @ (patches - mean) / len(patches)
        _, vectors = torch.linalg.eigh(covariance)
        components = vectors[:, -config.codebook_dim :].T  # [D, 3 * downsample^2], orthonormal
        scale = ((patches - mean) @ components.T).std()
        shape = tokenizer.linear_in.weight.shape
        tokenizer.linear_in.weight.copy_((components / scale).view(shape))
        tokenizer.linear_in.bias.copy_(-(components @ mean) / scale)
        tokenizer.linear_out.weight.copy_((components * scale).view(shape))
        # One bias per colour channel is all a transposed convolution has.
        tokenizer.linear_out.bias.copy_(mean.view(3, -1).mean(1))
        for layer in (tokenizer.quant_conv, tokenizer.decoder.conv_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    tokenizer.quantizer.start_codebook(tokenizer._to_latent(normalise_images(images, config.image_size)))


@torch.no_grad()
def tokenizer_metrics(tokenizer: FrameTokenizer, images: Tensor) -> dict[str, float]:
    """Return ``psnr`` (dB, mean over pictures), ``l1``, ``used_codes`` and ``perplexity`` on ``images uint8``."""
    tokens = tokenizer.encode(images)
    size = tokenizer.config.image_size
    error = (normalise_images(tokenizer.decode(tokens), size) - normalise_images(images, size)) / 2
    psnr = -10 * error.square().mean((1, 2, 3)).clamp_min(1e-10).log10()
    use = torch.bincount(tokens.flatten(), minlength=tokenizer.config.codebook_size).float()
    return {
        "psnr": psnr.mean().item(),
        "l1": error.abs().mean().item(),
        "used_codes": (use > 0).sum().item(),
        "perplexity": torch.special.entr(use / use.sum()).sum().exp().item(),
    }


def _train_step(tokenizer: FrameTokenizer, optimizer: torch.optim.Optimizer, images: Tensor) -> dict[str, float]:
    output = tokenizer(images)
    loss = torch.stack(list(output.losses.values())).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(tokenizer.parameters(), _MAX_NORM)
    optimizer.step()
    return {"loss": loss.item(), **{name: value.item() for name, value in output.losses.items()}}


def _schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate at ``step`` (from 0) of ``steps``."""
    warm = min(1.0, (step + 1) / _WARM_UP)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
