"""Recurrent memory over the steps of an episode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from f1rl.models.config import MemoryConfig

_LONGEST = 50
"""Steps that the slowest units remember from the start: an episode of the guides."""


class Memory(nn.Module):
    """A GRU that is cleared where an episode begins; the only part that must run step by step.

    Args:
        config: sizes; when it is disabled, the memory is cleared before *every* step, so that the network without a
            past has the same weights and cost.
        input_dim: width of a step's features.
    """

    def __init__(self, config: MemoryConfig, input_dim: int) -> None:
        super().__init__()
        self.config = config
        self.gru = nn.GRU(input_dim, config.hidden, config.num_layers)
        self._spread_time_scales()

    @torch.no_grad()
    def _spread_time_scales(self) -> None:
        """Start the units with time scales from a step to an episode (chrono initialisation, Tallec & Ollivier 2018).

        The update gate of a plain GRU starts at one half: after seven steps a hundredth is left of the memory and of
        its gradient, and nothing farther back is ever learned.
        """
        hidden = self.config.hidden
        for layer in range(self.config.num_layers):
            scales = torch.empty(hidden).uniform_(1.0, _LONGEST - 1.0)
            getattr(self.gru, f"bias_ih_l{layer}")[hidden : 2 * hidden] = scales.log()
            getattr(self.gru, f"bias_hh_l{layer}")[hidden : 2 * hidden] = 0.0

    def initial(self, batch_size: int, device: torch.device | str) -> Tensor:
        """Return the memory before a first step: zeros ``float32 [layers, B, hidden]``."""
        return torch.zeros(self.config.num_layers, batch_size, self.config.hidden, device=device)

    def check(self, memory: Tensor | None, batch_size: int) -> None:
        """Raise ``ValueError`` unless ``memory`` is ``[layers, B, hidden]``."""
        expected = [self.config.num_layers, batch_size, self.config.hidden]
        if not isinstance(memory, Tensor):
            raise ValueError(f"memory is {memory!r}; start an episode with initial_memory({batch_size}, device)")
        if list(memory.shape) != expected:
            raise ValueError(
                f"memory has shape {list(memory.shape)}, expected [layers, B, hidden] = {expected}; it belongs to "
                "another batch size or to a model with other model.memory sizes"
            )

    def forward(self, features: Tensor, is_first: Tensor, memory: Tensor, *, backprop: bool) -> tuple[Tensor, Tensor]:
        """Scan over a window.

        Args:
            features: ``float32 [B, T, input_dim]``.
            is_first: ``bool [B, T]``, steps before which a stream's memory is cleared.
            memory: ``float32 [layers, B, hidden]``.
            backprop: whether gradients flow from a step to the steps before it.

        Returns:
            The top layer ``[B, T, hidden]`` after each step, and the memory ``[layers, B, hidden]`` after the last.
        """
        cleared = is_first if self.config.enabled else torch.ones_like(is_first)
        tops = []
        for t in range(features.shape[1]):
            # A masked fill, not a product: a non-finite memory does not survive its episode.
            memory = (memory if backprop else memory.detach()).masked_fill(cleared[:, t, None], 0.0)
            with torch.autocast(memory.device.type, enabled=False):  # an episode's sum of small changes
                top, memory = self.gru(features[None, :, t].float().contiguous(), memory)
            tops.append(top[0])
        return torch.stack(tops, dim=1), memory
