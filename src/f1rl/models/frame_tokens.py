"""Between the tokenizer's codes and the generation expert: embeddings of frames and the prediction head."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from f1rl.models.config import ModelConfig
from f1rl.models.observed import PastFrames
from f1rl.models.tokenizer import FrameTokenizer


class FrameTokens(nn.Module):
    """Embeds past frames and the scales of the next one, and reads its tokens off (VAR, next-scale prediction).

    With ``gen.history_side`` null, past frames are arranged as F1-VLA's published weights expect: a start token, then
    the scales' inputs of all frames merged over time, of which the *last* predicts the coarsest scale.
    """

    scale_of: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vq, width, std = config.tokenizer, config.gen.width, config.attention.init_std
        self.history_side = config.gen.history_side
        published = self.history_side is None
        places = (vq.num_tokens - 1, vq.codebook_dim) if published else (self.history_side**2, width)
        self.temporal_conv = nn.Conv1d(vq.codebook_dim, vq.codebook_dim, config.n_obs_img_steps)
        # Starts as the newest frame, so that copying it is where learning begins.
        nn.init.zeros_(self.temporal_conv.weight)
        nn.init.eye_(self.temporal_conv.weight.data[:, :, -1])
        nn.init.zeros_(self.temporal_conv.bias)
        self.embed = nn.Linear(vq.codebook_dim, width)
        self.history_position = nn.Parameter(torch.randn(*places) * std)
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
        self.last = nn.Linear(vq.codebook_dim, width) if config.gen.latent_prior else None
        self.change = nn.Linear(width, vq.codebook_dim + 1) if config.gen.latent_prior else None
        if self.change is not None:
            nn.init.zeros_(self.change.weight)
            nn.init.zeros_(self.change.bias)
            self.change.bias.data[-1] = 0.01  # a start that is almost uniform, yet has gradients everywhere
        self.history_place = nn.Parameter(torch.randn(vq.num_tokens, width) * std) if published else None

    def history(self, tokenizer: FrameTokenizer, tokens: Tensor) -> PastFrames:
        """Embed the past frames ``int64 [N, n_obs, L]`` of ``tokenizer``, one token per place for all frames."""
        latents = tokenizer.latent(tokens.flatten(0, 1))
        if self.history_side is None:
            features = tokenizer.scale_inputs(tokens.flatten(0, 1))
        else:
            features = F.adaptive_avg_pool2d(latents, self.history_side).flatten(2).transpose(1, 2)
        features = features.unflatten(0, tokens.shape[:2]).permute(0, 2, 3, 1)  # [N, n, D, n_obs]
        merged = self.temporal_conv(features.flatten(0, 1)).view(len(tokens), features.shape[1], -1)
        last = tokenizer.pooled_scales(latents.unflatten(0, tokens.shape[:2])[:, -1])
        start = self.start.expand(len(tokens), -1, -1)
        if self.history_place is None:
            return PastFrames(self.embed(merged) + self.history_position, start, last)
        past = torch.cat([start, self.embed(merged + self.history_position)], dim=1) + self.history_place
        return PastFrames(past[:, :-1], past[:, -1:], last)

    def next_frame(self, inputs: Tensor, past: PastFrames, begin: int) -> tuple[Tensor, Tensor]:
        """Embed the scale inputs of the places ``begin ...`` of the next frame's tokens.

        Args:
            inputs: sums of the coarser scales ``[N, n, D]``; with ``begin`` 0, those of scale 2 on, after ``start``.
            past: the frames before it.
            begin: number of the first place.

        Returns:
            The tokens ``[N, n, width]``, and what is left to code ``[N, n, D]`` if the newest frame just stayed.
        """
        tokens = self.embed(inputs)
        if begin == 0:
            tokens = torch.cat([past.start, tokens], dim=1)
            inputs = F.pad(inputs, (0, 0, 1, 0))
        places = slice(begin, begin + tokens.shape[1])
        tokens = tokens + (self.position[places] + self.scale(self.scale_of[places]))
        if self.last is not None:
            tokens = tokens + self.last(past.last[:, places])
        return tokens, past.last[:, places] - inputs

    def logits(self, hidden: Tensor, left: Tensor, codes: Tensor) -> Tensor:
        """Return ``float32 [N, n, V]`` of the expert's outputs ``[N, n, width]``.

        With a latent prior, the expert says how the newest frame's latent changes and how sure that is, and codes near
        the result are likely: ``logit(c) = head(h)_c - s |left + change - c|^2`` up to a constant. Copying the newest
        frame is then the start of learning rather than its first achievement.

        Args:
            hidden: outputs of the expert.
            left: what is left to code if the newest frame just stayed, ``[N, n, D]``.
            codes: of the tokenizer, ``[V, D]``.
        """
        hidden = self.norm(hidden)
        if self.change is None:
            return self.head(hidden)
        change, sharpness = self.change(hidden).split([codes.shape[1], 1], dim=-1)
        features = torch.cat([hidden, 2 * sharpness * (left + change), -sharpness], dim=-1)
        weight = torch.cat([self.head.weight, codes, codes.square().sum(1, keepdim=True)], dim=1)
        return F.linear(features, weight, self.head.bias)
