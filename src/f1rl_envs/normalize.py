"""Actions and states between physical units and the padded, normalised vectors of the policy.

Every vector of the project is ``float32 [32]``; the entries that :mod:`f1rl_envs.layout` names are real, the rest is
zero and masked. Each map is affine per entry, ``physical = centre + half_range * normalised``, so that it has an exact
inverse. Physical vectors hold the real entries alone, in the order of :attr:`~f1rl_envs.layout.Layout.entries`.

What the ranges of a robot are is told by :mod:`f1rl_envs.sim.control.modes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f1rl_envs.spec import PADDED_DIM

if TYPE_CHECKING:
    from f1rl_envs.layout import Layout


class AffineNormalizer:
    """Maps the ``n`` physical values of a robot to a padded normalised vector and back."""

    def __init__(self, layout: Layout, centre: np.ndarray, half_range: np.ndarray) -> None:
        """Take the physical value at 0 and the physical distance from 0 to 1 of each real entry.

        Args:
            layout: where the real entries lie.
            centre: ``[n]``, physical units.
            half_range: ``[n]``, physical units, none zero; negative where a larger physical value is a smaller entry.

        Raises:
            ValueError: if there are more or fewer values than real entries, or a range is zero or not finite.
        """
        centre, half_range = np.asarray(centre, np.float32), np.asarray(half_range, np.float32)
        entries = layout.entries
        if not centre.shape == half_range.shape == entries.shape:
            raise ValueError(
                f"centre {centre.shape} and half_range {half_range.shape} must have one value for each of the "
                f"{len(entries)} entries of the layout"
            )
        if not (np.isfinite(half_range).all() and half_range.all() and np.isfinite(centre).all()):
            raise ValueError(f"every half range must be finite and not zero, got {half_range} around {centre}")
        self.layout = layout
        self.centre = centre
        self.half_range = half_range
        contiguous = entries[-1] == len(entries) - 1
        self._entries = slice(0, len(entries)) if contiguous else entries  # a slice is a view, and faster

    @property
    def size(self) -> int:
        """Number of real entries."""
        return len(self.centre)

    def normalize(self, physical: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``physical`` (``[..., n]``) as ``float32 [..., 32]``; values are not clipped.

        Args:
            physical: values in physical units.
            out: array to write into; its padding must already be zero and stays so.
        """
        physical = np.asarray(physical, np.float32)
        if out is None:
            out = np.zeros((*physical.shape[:-1], PADDED_DIM), np.float32)
        out[..., self._entries] = (physical - self.centre) / self.half_range
        return out

    def denormalize(self, normalized: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the real entries of ``normalized`` (``[..., 32]``) in physical units, ``float32 [..., n]``.

        Args:
            normalized: padded vectors.
            out: array ``[..., n]`` to write into.
        """
        real = np.asarray(normalized, np.float32)[..., self._entries]
        out = np.multiply(real, self.half_range, out=out)
        return np.add(out, self.centre, out=out)
