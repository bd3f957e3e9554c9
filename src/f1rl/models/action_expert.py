"""F1's action expert as published: a flow-matching policy over chunks of padded actions (pi0, Black et al. 2024).

Its own conventions, which the weights were trained with: time runs from 1 (noise) to 0 (actions), a point on the way is
``time * noise + (1 - time) * action``, and the network predicts ``noise - action``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from f1rl.models.config import ModelConfig
from f1rl.models.experts import build_expert
from f1rl.models.joint_attention import Cache, joint_attention

_PERIODS = (4e-3, 4.0)
"""Shortest and longest period of the sines that tell the time."""


class ActionExpert(nn.Module):
    """Turns noise into a chunk of actions, given what the world model saw.

    The published tokens are the state and the noisy actions, which see the prefix, the state and each other. The memory
    is one token more; it takes the rotary position behind them, so that theirs stay as they were trained.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        act = config.act
        self.chunk, self.steps = act.chunk, act.denoising_steps
        self.expert = build_expert(config.attention, act.width, act.mlp_width)
        self.state_proj = nn.Linear(config.state_dim, act.width)
        self.action_in_proj = nn.Linear(config.action_dim, act.width)
        self.action_time_mlp_in = nn.Linear(2 * act.width, act.width)
        self.action_time_mlp_out = nn.Linear(act.width, act.width)
        self.action_out_proj = nn.Linear(act.width, config.action_dim)
        self.memory_token = nn.Linear(config.memory.hidden, act.width)
        nn.init.normal_(self.memory_token.weight, std=0.02)

    def context(self, prefix: Cache, state: Tensor, recalled: Tensor) -> Cache:
        """Return ``prefix`` with memory and state appended: what all steps of the denoising share.

        Args:
            prefix: of the world model, for ``N`` situations.
            state: ``float32 [N, S]``.
            recalled: top layer of the memory, ``float32 [N, hidden]``.
        """
        begin = prefix[0][0].shape[2]
        places = torch.tensor([begin + 1 + self.chunk, begin], device=state.device)
        tokens = torch.stack([self.memory_token(recalled), self.state_proj(state)], dim=1)
        _, cache = joint_attention([self.expert], [tokens], prefix, None, places)
        return cache

    def velocity(self, context: Cache, noisy: Tensor, time: Tensor) -> Tensor:
        """Return the predicted ``noise - action``, ``float32 [N, H, A]``.

        Args:
            context: see :meth:`context`.
            noisy: ``float32 [N, H, A]``.
            time: ``float32 [N]``, from 1 (noise) to 0 (actions).
        """
        actions = self.action_in_proj(noisy)
        clock = time_features(time, actions.shape[-1])[:, None].expand_as(actions).to(actions.dtype)
        tokens = self.action_time_mlp_out(F.silu(self.action_time_mlp_in(torch.cat([actions, clock], dim=-1))))
        begin = context[0][0].shape[2] - 1  # the memory stands behind the chunk
        places = begin + torch.arange(self.chunk, device=noisy.device)
        (hidden,), _ = joint_attention([self.expert], [tokens], context, None, places)
        return self.action_out_proj(hidden)

    def denoise(self, context: Cache, noise: Tensor) -> Tensor:
        """Return the actions ``float32 [N, H, A]`` that ``noise`` becomes, by Euler's method."""
        actions = noise
        for step in range(self.steps):
            time = noise.new_full((len(noise),), 1 - step / self.steps)
            actions = actions - self.velocity(context, actions, time) / self.steps
        return actions


def time_features(time: Tensor, width: int) -> Tensor:
    """Return sines and cosines ``float32 [N, width]`` of ``time [N]`` at periods that rise geometrically."""
    shortest, longest = _PERIODS
    fraction = torch.linspace(0.0, 1.0, width // 2, dtype=torch.float64, device=time.device)
    angle = 2 * math.pi * time.double()[:, None] / (shortest * (longest / shortest) ** fraction)
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()
