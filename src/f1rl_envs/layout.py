"""Where the entries of each arm lie in the padded action and state vectors: the one table of the project.

| robot | arm | its gripper |
|---|---|---|
| one arm of ``n`` entries | 0 to ``n - 1`` | ``n`` |
| pair, left | from 0, at most to 7 | 8 |
| pair, right | from 9, at most to 16 | 17 |

A gripper is one entry, -1 closed and 1 open. All other entries are zero and masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f1rl_envs.spec import PADDED_DIM

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAIR_STARTS = (0, 9)
_PAIR_WIDTH = 8


@dataclass(frozen=True)
class Layout:
    """Entries of the arms and grippers of one robot."""

    arms: tuple[range, ...]
    """Entries of each arm."""
    grippers: tuple[int, ...]
    """The entry of each gripper."""

    @property
    def entries(self) -> np.ndarray:
        """Every real entry, ``int [n]``: an arm's, then its gripper's, then the next arm's."""
        pairs = zip(self.arms, self.grippers, strict=True)
        return np.array([entry for arm, gripper in pairs for entry in (*arm, gripper)], np.intp)

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which of the 32 entries are real."""
        real = set(self.entries.tolist())
        return tuple(index in real for index in range(PADDED_DIM))


def layout(sizes: Sequence[int]) -> Layout:
    """Return the layout of one arm, or of a left and a right one.

    Args:
        sizes: number of entries of each arm, without its gripper.

    Raises:
        ValueError: if there are not one or two arms, or one is too wide for its place.
    """
    if len(sizes) == 1:
        starts, grippers, most = (0,), (sizes[0],), PADDED_DIM - 1
    else:
        starts, grippers, most = _PAIR_STARTS, tuple(start + _PAIR_WIDTH for start in _PAIR_STARTS), _PAIR_WIDTH
    if len(sizes) != len(starts) or not all(1 <= size <= most for size in sizes):
        raise ValueError(f"arms of {list(sizes)} entries do not fit: one arm has up to 31, each of a pair up to 8")
    arms = tuple(range(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return Layout(arms, grippers)
