"""Modules without memory behind their parameters, to be counted, or to be filled from a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import nn


@contextmanager
def empty_parameters() -> Iterator[None]:
    """Put every parameter that is made inside on the meta device; buffers stay real.

    A parameter is moved when its module registers it, before it is initialised, so that none is ever written to. (The
    device context of torch would also empty the buffers, and those that no file holds could not be filled again.)
    """
    register = nn.Module.register_parameter

    def emptied(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta:
            parameter = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
        register(module, name, parameter)

    with mock.patch.object(nn.Module, "register_parameter", emptied):
        yield


def empty_names(module: nn.Module) -> list[str]:
    """Return the names of the parameters and buffers that still have no memory."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return [name for name, tensor in tensors.items() if tensor.is_meta]


def count_parameters(module: nn.Module, *, trained_only: bool = False) -> int:
    """Return the number of parameters, or of those with ``requires_grad``; shared ones count once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained_only)


def memory_of(module: nn.Module) -> int:
    """Return the bytes of all parameters and buffers, as if none were empty."""
    tensors: list[torch.Tensor] = [*module.parameters(), *module.buffers()]
    return sum(t.numel() * t.element_size() for t in tensors)
