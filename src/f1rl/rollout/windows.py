"""Write the steps of one episode into a row of a batch, histories aligned."""

from __future__ import annotations

import numpy as np
import torch

from f1rl.rollout.batch import WindowBatch
from f1rl.rollout.source import TokenizedEpisode


def write_steps(
    batch: WindowBatch, row: int, column: int, episode: TokenizedEpisode, start: int, count: int, stride: int
) -> None:
    """Fill ``batch[row, column : column + count]`` with steps ``start ..`` of ``episode``.

    Args:
        batch: the batch to write into, on the CPU.
        row: stream ``b``.
        column: first step ``t`` of the window to write.
        episode: where the steps come from.
        start: first step of the episode to copy.
        count: number of steps; ``start + count`` is at most the episode's length.
        stride: distance in steps between entries of a history (``obs_img_stride``).
    """
    n_obs = batch.action_history.shape[2]
    source, window = episode.episode, slice(column, column + count)
    steps = np.arange(start, start + count)
    history = steps[:, None] - stride * np.arange(n_obs - 1, -1, -1)
    happened = history >= 0
    seen = np.maximum(history, 0)

    batch.image[row, window] = torch.from_numpy(source.image[start : start + count])
    batch.state[row, window] = torch.from_numpy(source.state[start : start + count])
    batch.action_history[row, window] = torch.from_numpy(source.action[seen] * happened[..., None])
    batch.token_history[row, window] = torch.from_numpy(episode.tokens[seen])
    batch.target[row, window] = torch.from_numpy(episode.tokens[steps + 1])
    batch.prev_action[row, window] = torch.from_numpy(source.action[np.maximum(steps - 1, 0)])
    batch.is_first[row, window] = False
    if start == 0:
        batch.prev_action[row, column] = 0
        batch.is_first[row, column] = True
    batch.valid[row, window] = True
    batch.episode[row, window] = source.request.index


def write_padding(batch: WindowBatch, row: int, column: int) -> None:
    """Mark ``batch[row, column:]`` as padding; the numbers left there are never counted."""
    batch.valid[row, column:] = False
    batch.is_first[row, column:] = False
    batch.episode[row, column:] = -1
