"""Strict loading: every name of a file is either matched, or left aside for a reason that is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from f1rl.errors import CheckpointError
from f1rl.models.empty import empty_names
from f1rl.models.weights.files import WeightFile
from f1rl.models.weights.layouts import Layout, reason_aside

_SHOWN = 8
"""Problems that a message lists."""


@dataclass
class Entry:
    """A published tensor and where it goes."""

    targets: list[str]
    """Names here, in the order in which their tensors are stacked along the first dimension there."""
    shape: tuple[int, ...]
    """Of the published tensor."""


@dataclass
class LoadSummary:
    """What a load did."""

    origin: str
    matched: int = 0
    """Published tensors that found their place."""
    total: int = 0
    """Published tensors."""
    size: int = 0
    """Bytes of the matched ones in the file."""
    aside: dict[str, int] = field(default_factory=dict)
    """Tensors that were left aside, by reason."""
    placed: frozenset[str] = frozenset()
    """Names here that the files gave."""
    own: int = 0
    """Tensors here that the layout does not hold; they are as they were built."""

    def __str__(self) -> str:
        """Return the line that a run prints."""
        aside = "".join(f"; {count} left aside: {reason}" for reason, count in self.aside.items())
        own = f"; {self.own} tensors here are new" if self.own else ""
        return f"weights: {self.matched} of {self.total} matched, {self.size:,} bytes from {self.origin}{aside}{own}"


def expected_entries(layout: Layout, root: nn.Module) -> dict[str, Entry]:
    """Return what a file of ``layout`` must hold for ``root``, by published name."""
    pieces: dict[str, dict[int, str]] = defaultdict(dict)
    entries: dict[str, Entry] = {}
    for ours, tensor in root.state_dict().items():
        name = layout.rename(ours)
        if name is None:
            continue
        pieces[name.published][name.piece] = ours
        found = [pieces[name.published][k] for k in sorted(pieces[name.published])]
        first, *rest = tensor.shape or (1,)
        stacked = tuple(tensor.shape) if len(found) == 1 else (first * len(found), *rest)
        entries[name.published] = Entry(found, (1,) * name.leading + stacked + (1,) * name.trailing)
    return entries


def load_weights(root: nn.Module, paths: Sequence[Path], layout: Layout, *, half: Collection[str] = ()) -> LoadSummary:
    """Fill ``root`` from files, tensor by tensor: the memory needed is that of ``root`` and of one tensor.

    Args:
        root: its parameters may be empty; they then get memory here, on the CPU.
        paths: of the files; together they hold each name once.
        layout: of their names.
        half: beginnings of the names of parameters that are kept in bfloat16; the others become ``float32``.

    Raises:
        CheckpointError: a name is missing, unknown, given twice with other values, or of another shape; nothing has
            been changed then, unless it was the values.
    """
    files = [WeightFile(path) for path in paths]
    expected = expected_entries(layout, root)
    summary = LoadSummary(f"{paths[0] if len(paths) == 1 else paths[0].parent} (layout {layout.name})")
    _check(files, expected, layout, root, summary)
    done: dict[str, Entry] = {}
    for file in files:
        for raw, tensor in file.tensors():
            name = layout.spell(raw)
            if name not in expected:
                continue
            if name in done:
                _require_equal(root, done[name], tensor, name, file.path)
                continue
            _fill(root, expected[name], tensor, half)
            done[name] = expected[name]
            summary.size += tensor.numel() * tensor.element_size()
    summary.placed = frozenset(target for entry in expected.values() for target in entry.targets)
    summary.own = sum(name not in summary.placed for name in root.state_dict())
    left = [name for name in empty_names(root) if name in summary.placed]
    if left:
        raise CheckpointError(f"{summary.origin} left {left[0]} and {len(left) - 1} others without values")
    return summary


def _check(
    files: Sequence[WeightFile], expected: dict[str, Entry], layout: Layout, root: nn.Module, summary: LoadSummary
) -> None:
    """Compare names and shapes with what is expected, before any tensor is read."""
    problems, seen = [], set()
    parts = {name.split(".")[0] for name in root.state_dict()}
    for file in files:
        for raw, shape in file.shapes.items():
            name, summary.total = layout.spell(raw), summary.total + 1
            reason, home = reason_aside(layout, name), layout.home(name)
            if name in expected:
                seen.add(name)
                summary.matched += 1
                if shape != expected[name].shape:
                    problems.append(f"{raw}: shape {shape}, expected {expected[name].shape}")
            elif reason is not None or (home is not None and home not in parts and home in layout.parts):
                reason = reason or f"they belong to {home}, which this model does not have"
                summary.aside[reason] = summary.aside.get(reason, 0) + 1
            else:
                near = get_close_matches(name, expected, n=1)
                problems.append(f"unknown: {raw}" + (f" (did it mean {near[0]}?)" if near else ""))
    problems = [f"missing: {name}" for name in expected if name not in seen] + problems
    if problems:
        listed = "\n  ".join(problems[:_SHOWN])
        raise CheckpointError(
            f"{summary.origin} does not fit the model, {len(problems)} problems with {len(expected)} expected names:\n"
            f"  {listed}\nChoose the layout it is written in (model.weights.layout) and the sizes it was trained with "
            "(model=f1 for published weights)"
        )


def _split(entry: Entry, tensor: Tensor, root: nn.Module) -> list[tuple[str, Tensor]]:
    pieces = tensor.chunk(len(entry.targets)) if len(entry.targets) > 1 else [tensor]
    return [(name, piece.reshape(_old(root, name).shape)) for name, piece in zip(entry.targets, pieces, strict=True)]


def _old(root: nn.Module, name: str) -> Tensor:
    parent, _, leaf = name.rpartition(".")
    return getattr(root.get_submodule(parent), leaf)


def _fill(root: nn.Module, entry: Entry, tensor: Tensor, half: Collection[str]) -> None:
    for name, piece in _split(entry, tensor, root):
        kind = torch.bfloat16 if name.startswith(tuple(half)) else torch.float32
        place_tensor(root, name, piece.to(kind, copy=True).contiguous())


def place_tensor(root: nn.Module, name: str, tensor: Tensor) -> None:
    """Make ``tensor`` the parameter or buffer ``name`` of ``root``, trained or not as the old one was."""
    parent_name, _, leaf = name.rpartition(".")
    parent = root.get_submodule(parent_name)
    if leaf in parent._parameters:
        tensor = nn.Parameter(tensor, requires_grad=parent._parameters[leaf].requires_grad)
    setattr(parent, leaf, tensor)


def _require_equal(root: nn.Module, entry: Entry, tensor: Tensor, name: str, path: Path) -> None:
    """Tied tensors may be saved under both names; then they must be the same."""
    for target, piece in _split(entry, tensor, root):
        if not torch.equal(_old(root, target), piece.to(_old(root, target).dtype)):
            raise CheckpointError(f"{path} holds {name} twice, with different values")
