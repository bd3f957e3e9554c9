"""Multi-scale residual vector quantiser of VAR (Tian et al. 2024, https://arxiv.org/abs/2404.02905, algorithms 1, 2).

Written out instead of taking ``vector_quantize_pytorch.HierarchicalVQ``, whose encoder gives the same tokens (a test
holds them together), because that class updates and expires its codebook once per scale: with one codebook for all
scales, the codes of the finest scale look dead while the coarsest is counted. Here all scales of a batch make one
update, the loss of every scale reaches the smoothing convolutions, and token maps can be fed scale by scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_DECAY = 0.99
"""Of the running code statistics; one update per batch."""
_DEAD = 0.15
"""A code used less often than this, as a part of the average code's use, is replaced by a vector of the batch."""


@dataclass
class QuantizerOutput:
    """Result of a training pass."""

    latent: Tensor
    """``float32 [N, D, g, g]``, quantised; its gradient goes straight through to the input."""
    tokens: Tensor
    """``int64 [N, L]``."""
    loss: Tensor
    """Scalar: distance of the running sum to the input after every scale, averaged, with the commitment part."""


def _exact(tensor: Tensor) -> torch.autocast:
    """Return a context without mixed precision: rounding would choose other codes than those that were trained."""
    return torch.autocast(tensor.device.type, enabled=False)


class MultiScaleQuantizer(nn.Module):
    """Turns a latent grid into token maps of rising size, each coding what the coarser ones left.

    Args:
        scales: sides of the token maps, coarse to fine; the last is the side ``g`` of the latent grid.
        codebook_size: codes ``V`` shared by all scales.
        dim: channels ``D`` of the latent.
        phi_count: smoothing convolutions, shared by neighbouring scales.
        phi_ratio: weight of the convolution against the identity.
        commitment: weight of the part of the loss that moves the encoder.
    """

    code_use: Tensor
    code_sum: Tensor

    def __init__(
        self,
        scales: Sequence[int],
        codebook_size: int,
        dim: int,
        *,
        phi_count: int,
        phi_ratio: float,
        commitment: float,
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.phi_ratio = phi_ratio
        self.commitment = commitment
        self.codebook = nn.Embedding(codebook_size, dim)
        # The codes follow running means of what they stand for, not a gradient.
        self.codebook.weight.requires_grad_(False)
        self.phi = nn.ModuleList([nn.Conv2d(dim, dim, 3, padding=1) for _ in range(phi_count)])
        self._phi_of = [self._phi_index(index) for index in range(len(self.scales))]
        self.register_buffer("code_use", torch.ones(codebook_size))
        self.register_buffer("code_sum", self.codebook.weight.detach().clone())

    def forward(self, latent: Tensor) -> QuantizerOutput:
        """Quantise ``latent [N, D, g, g]`` with gradients; in training mode, also move the codebook."""
        fixed = latent.detach()
        total = torch.zeros_like(fixed)
        loss = latent.new_zeros(())
        vectors, tokens = [], []
        for index, side in enumerate(self.scales):
            vectors.append(self._pool(fixed - total.detach(), side))
            tokens.append(self.nearest(vectors[-1]))
            total = total + self.spread(tokens[-1], index)
            loss = loss + F.mse_loss(total, fixed) + self.commitment * F.mse_loss(latent, total.detach())
        if self.training:
            self._update(torch.cat([v.flatten(0, 1) for v in vectors]), torch.cat([t.flatten() for t in tokens]))
        straight = latent + (total - latent).detach()
        return QuantizerOutput(straight, torch.cat(tokens, dim=1), loss / len(self.scales))

    @torch.no_grad()
    def encode(self, latent: Tensor) -> Tensor:
        """Return the tokens ``int64 [N, L]`` of ``latent [N, D, g, g]``."""
        rest, tokens = latent, []
        for index, side in enumerate(self.scales):
            tokens.append(self.nearest(self._pool(rest, side)))
            rest = rest - self.spread(tokens[-1], index)
        return torch.cat(tokens, dim=1)

    def partial_latents(self, tokens: Tensor) -> Iterator[Tensor]:
        """Yield the running sum ``[N, D, g, g]`` after each whole scale contained in ``tokens [N, <= L]``.

        Raises:
            ValueError: if the number of tokens is not that of the first k scales for any k.
        """
        total, begin = torch.zeros(()), 0
        for index, side in enumerate(self.scales):
            if begin == tokens.shape[1]:
                return
            part = tokens[:, begin : begin + side * side]
            if part.shape[1] != side * side:
                break
            total = total.to(part.device) + self.spread(part, index)
            begin += side * side
            yield total
        if begin != tokens.shape[1]:
            raise ValueError(f"{tokens.shape[1]} tokens are not the maps of the first scales of {self.scales}")

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the index ``[...]`` of the code nearest to each of ``vectors [..., D]``."""
        codes = self.codebook.weight
        with _exact(codes):
            # |v - c|^2 without |v|^2, which is the same for all codes.
            return (codes.square().sum(1) - 2 * vectors @ codes.T).argmin(-1)

    def spread(self, tokens: Tensor, index: int) -> Tensor:
        """Return what the map ``tokens [N, p * p]`` of scale ``index`` adds to the latent ``[N, D, g, g]``."""
        side, grid = self.scales[index], self.scales[-1]
        codes = self.codebook(tokens).transpose(1, 2).unflatten(2, (side, side))
        if side != grid:
            codes = F.interpolate(codes, size=(grid, grid), mode="bicubic")
        with _exact(codes):
            return codes.lerp(self.phi[self._phi_of[index]](codes), self.phi_ratio)

    def _phi_index(self, index: int) -> int:
        """Return which convolution scale ``index`` takes: that of the nearest tick of VAR's PhiPartiallyShared."""
        count, last = len(self.phi), max(len(self.scales) - 1, 1)
        edge = 1 / 3 / count if count == 4 else 1 / 2 / count
        ticks = torch.linspace(edge, 1 - edge, count, dtype=torch.float64)
        return int((ticks - index / last).abs().argmin())

    @staticmethod
    def _pool(latent: Tensor, side: int) -> Tensor:
        return F.adaptive_avg_pool2d(latent, side).flatten(2).transpose(1, 2)

    @torch.no_grad()
    def start_codebook(self, latent: Tensor) -> None:
        """Take codes from the residuals of ``latent [N, D, g, g]``, the coarser scales coded by their exact means."""
        total, vectors = torch.zeros_like(latent), []
        for side in self.scales:
            vectors.append(self._pool(latent - total, side))
            exact = vectors[-1].transpose(1, 2).unflatten(2, (side, side))
            total = total + F.interpolate(exact, size=latent.shape[2:], mode="bicubic")
        every = torch.cat([v.flatten(0, 1) for v in vectors[:-1]] + [self._pool(latent, self.scales[-1]).flatten(0, 1)])
        chosen = torch.randint(len(every), (self.codebook.num_embeddings,))
        self.codebook.weight.copy_(every[chosen])
        self.code_sum.copy_(self.codebook.weight)
        self.code_use.fill_(1.0)

    def take_codebook(self) -> None:
        """Start the running statistics anew from the codebook, whose weights were loaded without them."""
        self.code_sum = self.codebook.weight.detach().float().clone()
        self.code_use = torch.ones(len(self.code_sum))

    def _update(self, vectors: Tensor, tokens: Tensor) -> None:
        """Move each code to the running mean of its vectors (van den Oord et al. 2017, appendix A.1)."""
        vectors = vectors.detach()
        use = torch.bincount(tokens, minlength=len(self.code_use)).to(vectors.dtype)
        total = torch.zeros_like(self.code_sum).index_add_(0, tokens, vectors)
        # The batch's counts are scaled to a mean of one per code, so that thresholds do not depend on its size.
        scale = len(use) / len(tokens)
        self.code_use.lerp_(use * scale, 1 - _DECAY)
        self.code_sum.lerp_(total * scale, 1 - _DECAY)
        dead = self.code_use < _DEAD
        fresh = vectors[torch.randint(len(vectors), (len(use),), device=vectors.device)]
        self.code_sum[dead] = fresh[dead]
        self.code_use[dead] = 1.0
        self.codebook.weight.copy_(self.code_sum / self.code_use[:, None])
