"""Frames to tokens, as the data modules want it."""

from __future__ import annotations

import numpy as np
import torch

from f1rl.models.tokenizer import FrameTokenizer
from f1rl.rollout.source import Encode


def encoder(tokenizer: FrameTokenizer) -> Encode:
    """Return the function from frames ``uint8 [N, 3, H, W]`` to tokens ``int64 [N, L]``, on the tokenizer's device."""

    def encode(frames: np.ndarray) -> np.ndarray:
        device = next(tokenizer.parameters()).device
        with torch.no_grad():
            return tokenizer.encode(torch.from_numpy(np.ascontiguousarray(frames)).to(device)).cpu().numpy()

    return encode
