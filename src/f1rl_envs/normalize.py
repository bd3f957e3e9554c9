"""Actions and states between physical units and the padded, normalised vectors of the policy.

Every vector of the project is ``float32 [32]``; the first entries are real, the rest is zero and masked. Each map is
affine per entry, ``physical = centre + half_range * normalised``, so that it has an exact inverse.

Layout of a single arm: its joints, then its gripper as one entry.

- Action of ``delta_qpos``: a joint entry of 1 moves the joint's target by ``0.1 rad * action_scale``; the gripper entry
  is an absolute opening, -1 closed and 1 open, and is not scaled.
- State: joint positions by joint limits (-1 at the lower, 1 at the upper), then the gripper's opening likewise.
"""

from __future__ import annotations

import numpy as np

from f1rl_envs.spec import PADDED_DIM

DELTA_QPOS_BOUND = 0.1
"""Largest change of a joint target per control step in radians, before ``action_scale``."""


class AffineNormalizer:
    """Maps ``n`` physical values to a padded normalised vector and back."""

    def __init__(self, centre: np.ndarray, half_range: np.ndarray) -> None:
        """Take the physical value at 0 and the physical distance from 0 to 1 of each entry.

        Args:
            centre: ``[n]``, physical units.
            half_range: ``[n]``, physical units, all above zero.

        Raises:
            ValueError: if the shapes differ, there are more than 32 entries, or a range is not positive and finite.
        """
        centre, half_range = np.asarray(centre, np.float32), np.asarray(half_range, np.float32)
        if centre.shape != half_range.shape or centre.ndim != 1 or len(centre) > PADDED_DIM:
            raise ValueError(
                f"centre {centre.shape} and half_range {half_range.shape} must be vectors of one length, "
                f"at most {PADDED_DIM}"
            )
        if not (np.isfinite(half_range).all() and (half_range > 0).all() and np.isfinite(centre).all()):
            raise ValueError(f"every half range must be positive and finite, got {half_range} around {centre}")
        self.centre = centre
        self.half_range = half_range

    @property
    def size(self) -> int:
        """Number of real entries."""
        return len(self.centre)

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which of the 32 entries are real."""
        return tuple(i < self.size for i in range(PADDED_DIM))

    def normalize(self, physical: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``physical`` (``[..., n]``) as ``float32 [..., 32]``; values are not clipped.

        Args:
            physical: values in physical units.
            out: array to write into; its padding must already be zero and stays so.
        """
        physical = np.asarray(physical, np.float32)
        if out is None:
            out = np.zeros((*physical.shape[:-1], PADDED_DIM), np.float32)
        real = out[..., : self.size]
        np.subtract(physical, self.centre, out=real)
        np.divide(real, self.half_range, out=real)
        return out

    def denormalize(self, normalized: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the real entries of ``normalized`` (``[..., 32]``) in physical units, ``float32 [..., n]``.

        Args:
            normalized: padded vectors.
            out: array ``[..., n]`` to write into.
        """
        real = np.asarray(normalized, np.float32)[..., : self.size]
        out = np.multiply(real, self.half_range, out=out)
        return np.add(out, self.centre, out=out)


def delta_qpos_actions(num_joints: int, gripper_limits: tuple[float, float], action_scale: float) -> AffineNormalizer:
    """Return the map of ``delta_qpos`` actions: joint deltas in radians, then the gripper's opening in metres.

    Raises:
        ValueError: if ``action_scale`` is not positive.
    """
    low, high = gripper_limits
    centre = [0.0] * num_joints + [(low + high) / 2]
    half_range = [DELTA_QPOS_BOUND * action_scale] * num_joints + [(high - low) / 2]
    return AffineNormalizer(np.array(centre), np.array(half_range))


def joint_states(limits: np.ndarray) -> AffineNormalizer:
    """Return the map of states: positions by their limits.

    Args:
        limits: ``[n, 2]``, lower and upper limit of each entry, in radians or metres.
    """
    limits = np.asarray(limits, np.float32)
    return AffineNormalizer(limits.mean(axis=1), (limits[:, 1] - limits[:, 0]) / 2)
