"""What ``N`` streams saw and did lately, kept up to date step by step.

The same histories as those that :mod:`f1rl.rollout.windows` cuts out of finished episodes, for episodes that are
still being played.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Histories:
    """The newest frames and actions of ``N`` streams, as far back as a model looks."""

    def __init__(self, num_streams: int, n_obs: int, stride: int, num_tokens: int, action_dim: int) -> None:
        """Make room for ``num_streams`` streams.

        Args:
            num_streams: ``N``.
            n_obs: entries of a history.
            stride: steps between two of them (``obs_img_stride``).
            num_tokens: ``L``.
            action_dim: ``A``.
        """
        depth = (n_obs - 1) * stride + 1
        self._stride = stride
        self._tokens = torch.zeros(num_streams, depth, num_tokens, dtype=torch.int64)
        self._actions = torch.zeros(num_streams, depth, action_dim)
        self.is_first = torch.ones(num_streams, dtype=torch.bool)
        """``bool [N]``: nothing was done yet."""

    def begin(self, rows: Tensor, tokens: Tensor) -> None:
        """Start the streams ``rows int64 [M]`` anew with first frames ``tokens int64 [M, L]``."""
        self._tokens[rows] = tokens[:, None]
        self._actions[rows] = 0.0
        self.is_first[rows] = True

    def append(self, action: Tensor, tokens: Tensor) -> None:
        """Take in one step of all streams: ``action float32 [N, A]`` led to frames ``tokens int64 [N, L]``."""
        self._actions = torch.cat([self._actions[:, 1:], action[:, None]], dim=1)
        self._tokens = torch.cat([self._tokens[:, 1:], tokens[:, None]], dim=1)
        self.is_first = torch.zeros_like(self.is_first)

    @property
    def tokens(self) -> Tensor:
        """``int64 [N, n_obs, L]``; the last entry is the current frame, the first frame stands for those before it."""
        return self._tokens[:, :: self._stride]

    @property
    def prev_action(self) -> Tensor:
        """``float32 [N, A]``, the newest action; zero at an episode's first step."""
        return self._actions[:, -1]

    @property
    def actions(self) -> Tensor:
        """``float32 [N, n_obs, A]``, ending with the newest action; zeros stand for those before an episode's first."""
        return self._actions[:, :: self._stride]
