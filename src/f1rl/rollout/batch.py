"""The batch that a training step sees: ``B`` streams, ``T`` steps, aligned histories."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from f1rl.rollout.source import TokenizedEpisode


@dataclass
class WindowBatch:
    """Windows of ``B`` episode streams.

    Alignment: ``token_history[:, :, i]`` was seen before ``action_history[:, :, i]`` and the frame after it is
    ``token_history[:, :, i + 1]``; the last action is ``a_t`` and its outcome is ``target``.
    """

    image: torch.Tensor
    """``uint8 [B, T, C, 3, H, W]``: the pictures of step ``t``."""
    state: torch.Tensor
    """``float32 [B, T, S]``."""
    prev_action: torch.Tensor
    """``float32 [B, T, A]``: ``a_{t-1}``, zero at an episode's first step."""
    action_history: torch.Tensor
    """``float32 [B, T, n_obs, A]``: the last entry is ``a_t``; zero before the episode."""
    token_history: torch.Tensor
    """``int64 [B, T, n_obs, L]``: the last entry is frame ``t``; the first frame is repeated before the episode."""
    target: torch.Tensor
    """``int64 [B, T, L]``: tokens of frame ``t + 1``."""
    is_first: torch.Tensor
    """``bool [B, T]``: the memory is zero before this step."""
    valid: torch.Tensor
    """``bool [B, T]``: false marks padding, which no loss or metric may count."""
    episode: torch.Tensor
    """``int64 [B, T]``: episode number of each step, -1 in padding."""
    finished: list[TokenizedEpisode]
    """Episodes whose last step is in this batch."""
    position: dict
    """Where the stream stands after this batch; what a checkpoint stores."""

    @classmethod
    def allocate(cls, *, batch: int, window: int, image_shape: tuple[int, ...], n_obs: int, num_tokens: int,
                 action_dim: int, state_dim: int) -> WindowBatch:  # fmt: skip
        """Return a batch of zeros to be filled in place."""
        lead = (batch, window)
        return cls(
            image=torch.zeros(*lead, *image_shape, dtype=torch.uint8),
            state=torch.zeros(*lead, state_dim),
            prev_action=torch.zeros(*lead, action_dim),
            action_history=torch.zeros(*lead, n_obs, action_dim),
            token_history=torch.zeros(*lead, n_obs, num_tokens, dtype=torch.int64),
            target=torch.zeros(*lead, num_tokens, dtype=torch.int64),
            is_first=torch.zeros(lead, dtype=torch.bool),
            valid=torch.zeros(lead, dtype=torch.bool),
            episode=torch.full(lead, -1, dtype=torch.int64),
            finished=[],
            position={},
        )

    @property
    def num_steps(self) -> int:
        """Number of real (not padded) environment steps."""
        return int(self.valid.sum())

    @property
    def num_decisions(self) -> int:
        """Number of decisions; each of the random actions is one."""
        return self.num_steps

    def to(self, device: torch.device | str) -> WindowBatch:
        """Return the batch with its tensors on ``device``; what is not a tensor is shared."""
        values = (getattr(self, f.name) for f in fields(self))
        return WindowBatch(*(v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v for v in values))
