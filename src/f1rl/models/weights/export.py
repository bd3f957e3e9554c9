"""Weights as files that others can read: under our names or the published ones, with the map between them."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from f1rl.errors import CheckpointError
from f1rl.models.weights.layouts import LAYOUTS, Layout, Name

_WHOLE = ("vlm", "gen", "frames", "tokenizer")
"""Parts of a world model that other programs know."""
_DERIVED = ("tokenizer.quantizer.code_use", "tokenizer.quantizer.code_sum")
"""Running statistics of our tokenizer's training, which follow from its codebook."""


def name_map(layout: Layout, names: list[str]) -> dict[str, str]:
    """Return what each of ``names`` is called in ``layout``; a piece of a tensor is ``published[piece]``."""
    found = {ours: layout.rename(ours) for ours in names}
    return {ours: _written(name, found) for ours, name in found.items() if name is not None}


def _written(name: Name, found: dict[str, Name | None]) -> str:
    pieces = sum(other is not None and other.published == name.published for other in found.values())
    return f"{name.published}[{name.piece}]" if pieces > 1 else name.published


def published_tensors(layout: Layout, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return ``state`` as a file of ``layout`` holds it, and the names that it has no place for.

    Raises:
        CheckpointError: a part that the layout holds is arranged otherwise here.
    """
    pieces: dict[str, list[tuple[int, Tensor, Name]]] = defaultdict(list)
    left_out = []
    for ours, tensor in state.items():
        name = layout.rename(ours)
        if name is not None:
            pieces[name.published].append((name.piece, tensor, name))
        elif ours.split(".")[0] in _WHOLE and ours not in _DERIVED:
            raise CheckpointError(
                f"{ours} has no name in layout {layout.name}: this model is not arranged as the published one "
                "(model=f1 is). Export it with --layout f1rl"
            )
        else:
            left_out.append(ours)
    return {published: _joined(parts) for published, parts in pieces.items()}, left_out


def _joined(parts: list[tuple[int, Tensor, Name]]) -> Tensor:
    ordered = sorted(parts, key=lambda part: part[0])
    tensor, name = torch.cat([part[1] for part in ordered]) if len(parts) > 1 else ordered[0][1], ordered[0][2]
    return tensor.reshape((1,) * name.leading + tuple(tensor.shape) + (1,) * name.trailing).contiguous()


def fits_published(state: dict[str, Tensor]) -> bool:
    """Whether the published layout has a place for all parts of ``state`` that it should hold."""
    rename = LAYOUTS["f1"].rename
    named = (name for name in state if name.split(".")[0] in _WHOLE and name not in _DERIVED)
    return all(rename(name) is not None for name in named)
