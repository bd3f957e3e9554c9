"""What goes into the model and what comes out; ``B`` streams, ``T`` steps, ``C`` cameras, ``L`` tokens, ``V`` codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor


@dataclass
class WorldModelInputs:
    """A window of steps; ``a_t`` is the action taken at step ``t``, whose result is to be predicted."""

    image: Tensor
    """``uint8 [B, T, C, 3, H, W]``, what every camera saw before ``a_t``."""
    state: Tensor
    """``float32 [B, T, S]``, padding zero."""
    prev_action: Tensor
    """``float32 [B, T, A]``, ``a_{t-1}``, zero at an episode's first step."""
    action_history: Tensor
    """``float32 [B, T, n_obs, A]``; the last entry is ``a_t`` itself."""
    token_history: Tensor
    """``int64 [B, T, n_obs, L]``; the last entry is the predicted camera's current frame."""
    is_first: Tensor
    """``bool [B, T]``; the memory is cleared before these steps."""
    target: Tensor | None = None
    """``int64 [B, T, L]``, tokens of the next frame; needed for training, unused by ``predict``."""

    def __getitem__(self, rows: Tensor) -> Self:
        """Return the inputs of the streams ``rows``, ``int64 [M]``."""
        return type(self)(**{name: value[rows] for name, value in vars(self).items() if value is not None})

    @classmethod
    def joined(cls, windows: Sequence[Self]) -> Self:
        """Return windows of the same streams, one after another, as one."""
        given = [f.name for f in fields(cls) if getattr(windows[0], f.name) is not None]
        return cls(**{name: torch.cat([getattr(window, name) for window in windows], dim=1) for name in given})

    def to(self, device: torch.device) -> Self:
        """Return the inputs on ``device``."""
        moved = {f.name: value.to(device) for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return type(self)(**moved)


@dataclass
class WorldModelOutput:
    """Predictions for a window."""

    logits: Tensor
    """``float32 [B, T, L, V]``."""
    memory: Tensor
    """``float32 [layers, B, hidden]`` after the last step, with its gradient."""
