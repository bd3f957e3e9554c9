"""Between the tokenizer's codes and the generation expert: embeddings of frames and the prediction head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from f1rl.models.config import ModelConfig
from f1rl.models.tokenizer import FrameTokenizer


class FrameTokens(nn.Module):
    """Embeds past frames and the scales of the next one, and reads its tokens off (VAR, next-scale prediction)."""

    scale_of: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vq, width, std = config.tokenizer, config.gen.width, config.attention.init_std
        self.history_kind = config.gen.history
        count = vq.scales[-1] ** 2 if self.history_kind == "latent" else vq.num_tokens - 1
        self.temporal_conv = nn.Conv1d(vq.codebook_dim, vq.codebook_dim, config.n_obs_img_steps)
        # Starts as the newest frame, so that copying it is where learning begins.
        nn.init.zeros_(self.temporal_conv.weight)
        nn.init.eye_(self.temporal_conv.weight.data[:, :, -1])
        nn.init.zeros_(self.temporal_conv.bias)
        self.embed = nn.Linear(vq.codebook_dim, width)
        self.history_position = nn.Parameter(torch.randn(count, width) * std)
        self.start = nn.Parameter(torch.randn(1, width) * std)
        self.position = nn.Parameter(torch.randn(vq.num_tokens, width) * std)
        self.scale = nn.Embedding(len(vq.scales), width)
        nn.init.normal_(self.scale.weight, std=std)
        scale_of = torch.cat([torch.full((side * side,), k) for k, side in enumerate(vq.scales)])
        self.register_buffer("scale_of", scale_of, persistent=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vq.codebook_size)
        nn.init.normal_(self.head.weight, std=0.02)  # near-uniform predictions at the start
        nn.init.zeros_(self.head.bias)

    def history(self, tokenizer: FrameTokenizer, tokens: Tensor) -> Tensor:
        """Embed the past frames ``int64 [N, n_obs, L]`` as ``[N, n, width]``, one token per place for all frames."""
        count, steps, _ = tokens.shape
        frames = tokens.flatten(0, 1)
        if self.history_kind == "latent":
            features = tokenizer.latent(frames).flatten(2).transpose(1, 2)
        else:
            features = tokenizer.scale_inputs(frames)
        places = features.shape[1]
        features = features.unflatten(0, (count, steps)).permute(0, 2, 3, 1).flatten(0, 1)  # [N * n, D, n_obs]
        merged = self.temporal_conv(features).view(count, places, -1)
        return self.embed(merged) + self.history_position

    def next_frame(self, inputs: Tensor, begin: int) -> Tensor:
        """Embed scale inputs ``[N, n, D]`` that belong to the places ``begin + 1 ...`` of the next frame's tokens.

        With ``begin`` 0, the start token, which predicts the coarsest scale, is put before them.
        """
        tokens = self.embed(inputs)
        if begin == 0:
            tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], dim=1)
        places = slice(begin, begin + tokens.shape[1])
        return tokens + (self.position[places] + self.scale(self.scale_of[places]))

    def logits(self, hidden: Tensor) -> Tensor:
        """Return ``float32 [N, n, V]`` of the expert's outputs ``[N, n, width]``."""
        return self.head(self.norm(hidden))
