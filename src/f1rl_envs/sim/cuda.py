"""Whether there is a GPU to simulate on; loads torch but no simulator."""

from __future__ import annotations

import torch


def has_cuda() -> bool:
    """Return whether torch has a CUDA device to put its tensors on."""
    return torch.cuda.is_available()
