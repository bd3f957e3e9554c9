"""Whether there is a GPU to simulate and draw many scenes on; loads torch, but not ManiSkill."""

from __future__ import annotations

import torch

from f1rl_envs.sim import render


def why_no_gpu(render_device: str) -> str | None:
    """Say what keeps a batch of scenes from running on a GPU; None if nothing does.

    Starts the renderer of this process where torch has a CUDA device, because only that tells whether it can draw.

    Args:
        render_device: as :func:`f1rl_envs.sim.render.setup`.

    Raises:
        RendererError: as there.
    """
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    renderer = render.setup(render_device)
    return None if renderer.backend.startswith("cuda") else f"pictures are drawn by {renderer.device}"
