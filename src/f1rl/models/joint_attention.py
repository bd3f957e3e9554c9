"""Several Gemma-type experts that share one attention, as in pi0 and F1-VLA.

Each expert has its own tokens and weights; in every layer their queries, keys and values meet in one attention. Keys
and values are kept, so that a prefix that many suffixes share is computed once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import GemmaModel
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer, apply_rotary_pos_emb

from f1rl.errors import ConfigError

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values ``[N, kv_heads, tokens, head_dim]`` of every layer."""

_GRAPHS = 64
"""Graphs that a layer may have: of each expert, alone and together, with and without gradients, a prefix or a mask, and
for several numbers of tokens. Beyond torch's own limit of 8 the rest would run as if nothing had been compiled."""


def joint_attention(
    experts: Sequence[GemmaModel],
    tokens: Sequence[Tensor],
    cache: Cache,
    mask: Tensor | None,
    positions: Tensor | None = None,
) -> tuple[list[Tensor], Cache]:
    """Run the experts' layers over their tokens, in the order given, after those in ``cache``.

    If an expert has ``gradient_checkpointing`` on, each layer keeps its inputs only and runs again for its gradient; if
    it has ``compiled`` on, layers run as ``torch.compile`` makes them.

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
    one_layer = _compiled() if any(getattr(expert, "compiled", False) for expert in experts) else _layer
    again = torch.is_grad_enabled() and any(expert.gradient_checkpointing for expert in experts)
    for index in range(len(experts[0].layers)):
        layers = [expert.layers[index] for expert in experts]
        run = partial(one_layer, layers, cache[index] if cache else None, (cos, sin), mask)
        *hidden, key, value = checkpoint(run, *hidden, use_reentrant=False) if again else run(*hidden)
        extended.append((key, value))
    return [expert.norm(h) for expert, h in zip(experts, hidden, strict=True)], extended


def _layer(
    layers: Sequence[GemmaDecoderLayer],
    past: tuple[Tensor, Tensor] | None,
    turn: tuple[Tensor, Tensor],
    mask: Tensor | None,
    *hidden: Tensor,
) -> tuple[Tensor, ...]:
    """Run one layer of all experts; return their tokens, then all keys and all values."""
    parts = [_project(layer, h) for layer, h in zip(layers, hidden, strict=True)]
    query, key, value = (torch.cat(part, dim=2) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True))
    query, key = apply_rotary_pos_emb(query, key, *turn)
    if past is not None:
        key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    shares = seen.transpose(1, 2).flatten(2).split([h.shape[1] for h in hidden], dim=1)
    return *(_finish(layer, h, s) for layer, h, s in zip(layers, hidden, shares, strict=True)), key, value


def require_compiler(device: torch.device | str) -> None:
    """Compile one addition for ``device``, which needs what all of the layers will need.

    Raises:
        ConfigError: it cannot be done here.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except RuntimeError as error:  # what all errors of torch.compile are
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"model.compile=true, but torch.compile does not work on this machine: {reason} On a CPU it needs a C++ "
            "compiler (e.g. apt-get install g++; another one than g++ by the variable CXX) and Python's headers, on a "
            "GPU Triton and a C compiler. Install them, or set model.compile=false"
        ) from error


@functools.cache
def _compiled() -> Callable[..., tuple[Tensor, ...]]:
    """Compile one layer: all layers of an expert share its graph, where the whole model would break into dozens."""
    return torch.compile(_layer, recompile_limit=_GRAPHS)


def _project(layer: GemmaDecoderLayer, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    attention, normed = layer.self_attn, layer.input_layernorm(hidden)
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    query, key, value = (p(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for p in projections)
    return query, key, value


def _finish(layer: GemmaDecoderLayer, hidden: Tensor, seen: Tensor) -> Tensor:
    hidden = hidden + layer.self_attn.o_proj(seen)
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))
