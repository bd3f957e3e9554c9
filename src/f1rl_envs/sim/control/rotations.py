"""Rotations as matrices ``[..., 3, 3]``, for numpy arrays and torch tensors alike.

Each function of a step takes ``xp``, the module ``numpy`` or ``torch`` whose arrays it is given, so that the
single-scene and the batched controllers share one implementation. Quaternions are ``w, x, y, z``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""A numpy array or a torch tensor."""

_TINY = 1e-30
"""Added to a squared angle, so that a rotation by zero divides by something; far below any rounding error."""


def from_vector(vector: Array, xp: Any) -> Array:
    """Return the rotation by ``|vector|`` radians about ``vector`` (``[..., 3]``; Rodrigues' formula)."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    squared = x * x + y * y + z * z + _TINY
    angle = xp.sqrt(squared)
    cosine = xp.cos(angle)
    sine, rest = xp.sin(angle) / angle, (1.0 - cosine) / squared
    xy, yz, zx = rest * x * y, rest * y * z, rest * z * x
    return _matrix(
        [
            [cosine + rest * x * x, xy - sine * z, zx + sine * y],
            [xy + sine * z, cosine + rest * y * y, yz - sine * x],
            [zx - sine * y, yz + sine * x, cosine + rest * z * z],
        ],
        xp,
    )


def from_quaternion(quaternion: Array, xp: Any) -> Array:
    """Return the rotation of a unit quaternion ``[..., 4]``."""
    w, x, y, z = (quaternion[..., i] for i in range(4))
    return _matrix(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ],
        xp,
    )


def to_quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return the unit quaternion ``[4]`` of a numpy rotation, of either sign.

    It is the eigenvector of the largest eigenvalue of a symmetric matrix made of the rotation's entries, which is well
    defined for every rotation (Bar-Itzhack 2000, "New method for extracting the quaternion from a rotation matrix").
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation
    upper = np.array(
        [[a + e + i, h - f, c - g, d - b], [0, a - e - i, b + d, c + g], [0, 0, e - a - i, f + h], [0, 0, 0, i - a - e]]
    )
    return np.linalg.eigh(upper, UPLO="U")[1][:, -1]


def error(target: Array, current: Array, xp: Any) -> Array:
    """Return ``sin(angle) * axis`` (``[..., 3]``) of the rotation that turns ``current`` into ``target``.

    Its direction is exact and its length close to the angle up to about half a radian: what a Newton step needs, at a
    fraction of a logarithm's cost.
    """
    turn = target @ current.swapaxes(-1, -2)
    turn = 0.5 * (turn - turn.swapaxes(-1, -2))
    return xp.stack([turn[..., 2, 1], turn[..., 0, 2], turn[..., 1, 0]], -1)


def angle_between(first: Array, second: Array, xp: Any) -> Array:
    """Return the angle between two rotations in radians, ``[...]``, exact for small angles too."""
    squared = ((first - second) ** 2).sum(-1).sum(-1)
    return 2.0 * xp.arcsin(xp.clip(xp.sqrt(squared / 8.0), 0.0, 1.0))


def _matrix(rows: list[list[Array]], xp: Any) -> Array:
    """Return the matrix ``[..., 3, 3]`` of nine arrays ``[...]``."""
    flat = xp.stack([entry for row in rows for entry in row], -1)
    return flat.reshape((*flat.shape[:-1], 3, 3))
