"""Several Gemma-type experts that share one attention, as in pi0 and F1-VLA.

Each expert has its own tokens and weights; in every layer their queries, keys and values meet in one attention. Keys
and values are kept, so that a prefix that many suffixes share is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from transformers import GemmaModel
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer, apply_rotary_pos_emb

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values ``[N, kv_heads, tokens, head_dim]`` of every layer."""


def joint_attention(
    experts: Sequence[GemmaModel],
    tokens: Sequence[Tensor],
    cache: Cache,
    mask: Tensor | None,
    positions: Tensor | None = None,
) -> tuple[list[Tensor], Cache]:
    """Run the experts' layers over their tokens, in the order given, after those in ``cache``.

    Args:
        experts: with equal numbers of layers, heads and head dimensions.
        tokens: ``[N, n_e, width_e]`` of each expert.
        cache: of the tokens before; empty at the start. It is left as it is.
        mask: ``bool [sum n_e, cached + sum n_e]``, true where a query may look; None lets all tokens see all.
        positions: ``int64 [sum n_e]``, rotary positions of the tokens; None gives them those after the cached ones.

    Returns:
        The normed outputs ``[N, n_e, width_e]`` of each expert, and the cache with the new tokens appended.
    """
    sizes = [t.shape[1] for t in tokens]
    if positions is None:
        begin = cache[0][0].shape[2] if cache else 0
        positions = torch.arange(begin, begin + sum(sizes), device=tokens[0].device)
    cos, sin = experts[0].rotary_emb(tokens[0], positions[None])
    hidden, extended = list(tokens), []
    for index in range(len(experts[0].layers)):
        layers = [expert.layers[index] for expert in experts]
        parts = [_project(layer, h) for layer, h in zip(layers, hidden, strict=True)]
        query, key, value = (torch.cat(part, dim=2) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True))
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        if cache:
            key, value = torch.cat([cache[index][0], key], 2), torch.cat([cache[index][1], value], 2)
        extended.append((key, value))
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        shares = seen.transpose(1, 2).flatten(2).split(sizes, dim=1)
        hidden = [_finish(layer, h, s) for layer, h, s in zip(layers, hidden, shares, strict=True)]
    return [expert.norm(h) for expert, h in zip(experts, hidden, strict=True)], extended


def _project(layer: GemmaDecoderLayer, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    attention, normed = layer.self_attn, layer.input_layernorm(hidden)
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (p(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for p in projections)
    return query, key, value


def _finish(layer: GemmaDecoderLayer, hidden: Tensor, seen: Tensor) -> Tensor:
    hidden = hidden + layer.self_attn.o_proj(seen)
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))
