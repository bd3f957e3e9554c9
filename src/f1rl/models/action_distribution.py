"""Stochastic policies whose densities can be computed again later, for the very action that was taken.

Both act on the ``D`` real entries of an action; padding never enters a density. What is stored with an action is what
its density needs: the value before squashing, or the whole chain of denoising steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def squash_log_slope(latent: Tensor) -> Tensor:
    """Return ``log d tanh(u) / du`` of ``latent`` ``u``, entry by entry; exact also where the slope rounds to zero."""
    return 2 * (math.log(2) - latent - F.softplus(-2 * latent))


def gaussian_log_prob(value: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the log-density of independent normal entries, entry by entry."""
    return -0.5 * ((value - mean) * (-log_std).exp()).square() - log_std - _LOG_SQRT_2PI


@dataclass(frozen=True)
class SquashedGaussian:
    """Independent normals squashed to (-1, 1) by a hyperbolic tangent (Haarnoja et al. 2018, appendix C)."""

    mean: Tensor
    """``float32 [..., D]``, before squashing."""
    log_std: Tensor
    """``float32 [..., D]``."""

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return a latent ``[..., D]``, with the gradient of its mean and spread; ``tanh`` of it is the action."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + self.log_std.exp() * noise

    def log_prob(self, latent: Tensor) -> Tensor:
        """Return the log-density ``[...]`` of the action ``tanh(latent)``, in nats, summed over its entries."""
        return (gaussian_log_prob(latent, self.mean, self.log_std) - squash_log_slope(latent)).sum(-1)

    def entropy(self, generator: torch.Generator | None = None) -> Tensor:
        """Return an estimate of the entropy ``[...]`` in nats per entry, with gradient.

        The normal's part is exact; how much the tangent squeezes it is estimated from one sample.
        """
        gaussian = self.log_std + 0.5 + _LOG_SQRT_2PI
        return (gaussian + squash_log_slope(self.sample(generator))).mean(-1)


Velocity = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From points ``[K, ..., D]`` and their times ``[K]`` in [0, 1) to the flow's velocity and the noise's log-scale there,
both ``[K, ..., D]``."""


@dataclass(frozen=True)
class StochasticFlow:
    """A flow-matching policy sampled as a Markov chain of Gaussian steps (ReinFlow; Zhang et al. 2025, section 4).

    Euler's method moves noise along the learned velocity in ``K`` steps; noise added at each step turns the move into
    a Gaussian transition. The density of the stored chain is then the product of its transitions, exactly, while that
    of the final action alone would be an integral over all chains that lead to it.
    """

    velocity: Velocity
    steps: int
    """``K``, denoising steps."""

    def sample(self, shape: tuple[int, ...], generator: torch.Generator | None = None, **kind: object) -> Tensor:
        """Return a chain ``[K + 1, *shape]`` from noise to the latent; ``tanh`` of its last entry is the action.

        Args:
            shape: of one latent, ``(..., D)``.
            generator: of the noise.
            **kind: ``device`` and ``dtype``.
        """
        chain = [torch.randn(shape, generator=generator, **kind)]
        for k in range(self.steps):
            mean, log_std = self._transitions(chain[-1][None], torch.tensor([k / self.steps], **kind))
            chain.append(mean[0] + log_std[0].exp() * torch.randn(shape, generator=generator, **kind))
        return torch.stack(chain)

    def log_prob(self, chain: Tensor) -> Tensor:
        """Return the log-density ``[...]`` of ``chain [K + 1, ..., D]`` in nats; see :meth:`density`."""
        return self.density(chain)[0]

    def entropy(self, chain: Tensor) -> Tensor:
        """Return the entropy rate ``[...]`` of the chain's transitions; see :meth:`density`."""
        return self.density(chain)[1]

    def density(self, chain: Tensor) -> tuple[Tensor, Tensor]:
        """Return how likely a chain is and how free its policy, with gradients, from one look at all its steps.

        Args:
            chain: ``[K + 1, ..., D]``.

        Returns:
            The log-density ``[...]`` in nats, and the entropy rate ``[...]`` of its transitions in nats per entry and
            step.

        Raises:
            ValueError: if the chain has another number of steps.
        """
        if len(chain) != self.steps + 1:
            raise ValueError(f"the chain has {len(chain) - 1} steps, the policy takes {self.steps}")
        times = torch.arange(self.steps, device=chain.device, dtype=chain.dtype) / self.steps
        mean, log_std = self._transitions(chain[:-1], times)
        start = gaussian_log_prob(chain[0], torch.zeros_like(chain[0]), torch.zeros_like(chain[0])).sum(-1)
        log_prob = start + gaussian_log_prob(chain[1:], mean, log_std).sum(-1).sum(0)
        return log_prob, (log_std + 0.5 + _LOG_SQRT_2PI).mean(-1).mean(0)

    def _transitions(self, points: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        velocity, log_std = self.velocity(points, times)
        return points + velocity / self.steps, log_std
