"""Windows of noise: for what a model costs and computes, it does not matter what it sees."""

from __future__ import annotations

import torch

from f1rl.models.config import ModelConfig
from f1rl.models.interface import WorldModelInputs


def random_inputs(
    config: ModelConfig, batch: int, steps: int, cameras: int = 2, device: torch.device | str = "cpu"
) -> WorldModelInputs:
    """Return a window of ``B`` streams and ``T`` steps, from torch's global generator."""
    lead, codes, length = (batch, steps), config.tokenizer.codebook_size, config.tokenizer.num_tokens
    side, n_obs = config.image_size, config.n_obs_img_steps
    with torch.device(device):
        return WorldModelInputs(
            image=torch.randint(256, (*lead, cameras, 3, side, side), dtype=torch.uint8),
            state=torch.randn(*lead, config.state_dim),
            prev_action=torch.rand(*lead, config.action_dim) * 2 - 1,
            action_history=torch.rand(*lead, n_obs, config.action_dim) * 2 - 1,
            token_history=torch.randint(codes, (*lead, n_obs, length)),
            is_first=torch.zeros(lead, dtype=torch.bool),
            target=torch.randint(codes, (*lead, length)),
        )
