"""Turns pictures into tokens and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers.models.autoencoders.vae import Decoder, Encoder
from torch import Tensor, nn

from f1rl.models.config import TokenizerConfig
from f1rl.models.quantizer import MultiScaleQuantizer


def normalise_images(image: Tensor, size: int) -> Tensor:
    """Return ``uint8 [N, 3, H, W]`` as ``float32 [N, 3, size, size]`` in [-1, 1]; the only place where this happens.

    Raises:
        ValueError: if the pictures are not ``uint8``: a float picture has been normalised before.
    """
    if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"pictures must be uint8 [N, 3, H, W], got {image.dtype} {list(image.shape)}")
    scaled = image.float().div_(127.5).sub_(1.0)
    if scaled.shape[-2:] != (size, size):
        scaled = F.interpolate(scaled, size=(size, size), mode="bilinear", antialias=True)
    return scaled


@dataclass
class TokenizerOutput:
    """Result of a training pass of the tokenizer."""

    reconstruction: Tensor
    """``float32 [N, 3, s, s]`` in about [-1, 1], before clamping."""
    tokens: Tensor
    """``int64 [N, L]``."""
    losses: dict[str, Tensor]
    """Weighted scalars; their sum is minimised."""


class FrameTokenizer(nn.Module):
    """Autoencoder with a multi-scale residual codebook (VAR's VQ-VAE), for one picture at a time."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        channels, dim, levels = 3 * config.patch**2, config.codebook_dim, len(config.widths)
        attn = "Attn" if config.attention else ""
        self.encoder = Encoder(
            in_channels=channels,
            out_channels=dim,
            down_block_types=("DownEncoderBlock2D",) * (levels - 1) + (f"{attn}DownEncoderBlock2D",),
            block_out_channels=config.widths,
            layers_per_block=config.res_blocks,
            norm_num_groups=config.norm_groups,
            double_z=False,
            mid_block_add_attention=config.attention,
        )
        self.decoder = Decoder(
            in_channels=dim,
            out_channels=channels,
            up_block_types=(f"{attn}UpDecoderBlock2D",) + ("UpDecoderBlock2D",) * (levels - 1),
            block_out_channels=config.widths,
            layers_per_block=config.res_blocks,
            norm_num_groups=config.norm_groups,
            mid_block_add_attention=config.attention,
        )
        self.quant_conv = nn.Conv2d(dim, dim, 3, padding=1)
        self.post_quant_conv = nn.Conv2d(dim, dim, 3, padding=1)
        self.quantizer = MultiScaleQuantizer(
            config.scales,
            config.codebook_size,
            dim,
            phi_count=config.phi_count,
            phi_ratio=config.phi_ratio,
            commitment=config.commitment,
        )
        step = config.downsample
        self.linear_in = nn.Conv2d(3, dim, step, stride=step) if config.linear_path else None
        self.linear_out = nn.ConvTranspose2d(dim, 3, step, stride=step) if config.linear_path else None

    @property
    def num_tokens(self) -> int:
        """Tokens ``L`` of one picture."""
        return self.config.num_tokens

    @property
    def codebook_size(self) -> int:
        """Codes ``V``."""
        return self.config.codebook_size

    @property
    def scales(self) -> tuple[int, ...]:
        """Sides of the token maps, coarse to fine."""
        return self.config.scales

    def forward(self, image: Tensor) -> TokenizerOutput:
        """Reconstruct ``image uint8 [N, 3, H, W]`` with gradients, for training."""
        pixels = normalise_images(image, self.config.image_size)
        quantised = self.quantizer(self._to_latent(pixels))
        reconstruction = self._to_pixels(quantised.latent)
        error = reconstruction - pixels
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        losses = {
            "l1": error.abs().mean(),
            "edges": self.config.edge_loss * edges,
            "codes": quantised.loss,
        }
        return TokenizerOutput(reconstruction, quantised.tokens, losses)

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Return the tokens ``int64 [N, L]`` of ``image uint8 [N, 3, H, W]``."""
        return self.quantizer.encode(self._to_latent(normalise_images(image, self.config.image_size)))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Return pictures ``uint8 [N, 3, s, s]`` of ``tokens int64 [N, L]``."""
        pixels = self._to_pixels(self.latent(tokens))
        return pixels.clamp(-1.0, 1.0).add(1.0).mul(127.5).round().to(torch.uint8)

    def latent(self, tokens: Tensor) -> Tensor:
        """Return the quantised latent ``float32 [N, D, g, g]`` of all scales of ``tokens [N, L]``.

        Raises:
            ValueError: if the number of tokens is not ``L``.
        """
        if tokens.shape[1] != self.num_tokens:
            raise ValueError(f"a picture has {self.num_tokens} tokens, got {tokens.shape[1]}")
        *_, last = self.quantizer.partial_latents(tokens)
        return last

    def scale_inputs(self, tokens: Tensor) -> Tensor:
        """Return what a next-scale predictor is fed for scales 2..K, given the coarser scales' true tokens.

        The input of scale k + 1 is the sum of scales 1..k, area-pooled to its size (VAR, ``idxBl_to_var_input``).

        Args:
            tokens: ``int64 [N, L]``.

        Returns:
            ``float32 [N, L - 1, D]``.
        """
        coarser = tokens[:, : self.num_tokens - self.scales[-1] ** 2]
        none = self.quantizer.codebook.weight.new_zeros(len(tokens), 0, self.config.codebook_dim)
        parts = [self._pooled(total, k) for k, total in enumerate(self.quantizer.partial_latents(coarser), start=1)]
        return torch.cat([none, *parts], dim=1)

    def next_scale_input(self, tokens: Tensor) -> Tensor:
        """Return the input ``float32 [N, p * p, D]`` of scale k + 1, given ``tokens`` of the first k < K scales."""
        totals = list(self.quantizer.partial_latents(tokens))
        return self._pooled(totals[-1], len(totals))

    def pooled_scales(self, latent: Tensor) -> Tensor:
        """Return ``latent [N, D, g, g]`` area-pooled to every scale, as ``[N, L, D]``."""
        return torch.cat([self._pooled(latent, index) for index in range(len(self.scales))], dim=1)

    def _pooled(self, latent: Tensor, index: int) -> Tensor:
        return F.adaptive_avg_pool2d(latent, self.scales[index]).flatten(2).transpose(1, 2)

    def _to_latent(self, pixels: Tensor) -> Tensor:
        latent = self.quant_conv(self.encoder(F.pixel_unshuffle(pixels, self.config.patch)))
        return latent if self.linear_in is None else latent + self.linear_in(pixels)

    def _to_pixels(self, latent: Tensor) -> Tensor:
        pixels = F.pixel_shuffle(self.decoder(self.post_quant_conv(latent)), self.config.patch)
        return pixels if self.linear_out is None else pixels + self.linear_out(latent)
