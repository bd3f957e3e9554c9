"""Random exploration: the behaviour that collects the first world model's data."""

from __future__ import annotations

import numpy as np

from f1rl_envs.spec import EnvSpec

GRIPPER_HOLD_STEPS = (5, 15)
"""Least and most steps that one gripper command is held: long enough for the fingers to arrive."""

_STREAM = 1
"""Separates the actions' random stream from those that an environment derives from the same seed."""


class _Held:
    """Values that are drawn anew only when they have been held for a random number of steps."""

    def __init__(self, centre: np.ndarray, spread: np.ndarray, hold: tuple[int, int]) -> None:
        self._centre, self._spread, self._hold = centre, spread, hold
        self._value = centre
        self._left = 0

    def next(self, rng: np.random.Generator) -> np.ndarray:
        """Return the values of the next step."""
        if self._left == 0:
            low, high = self._hold
            self._left = int(rng.integers(low, high + 1))
            drawn = self._centre + self._spread * rng.uniform(-1.0, 1.0, len(self._centre))
            self._value = np.clip(drawn, -1.0, 1.0)
        self._left -= 1
        return self._value


class RandomActions:
    """Random motion of the arms and slow grippers, decided by a seed alone.

    Where actions are changes, the arms' entries are independent and uniform at each step. Where they are places, a
    random place near the home posture is held for a while: a new one at each step would only tremble around the
    middle, for the same reason for which each gripper holds its commands.
    """

    def __init__(self, spec: EnvSpec, seed: int) -> None:
        """Start the sequence of actions of one episode.

        Args:
            spec: the environment, with its action mask, grippers and waypoints.
            seed: the episode's seed.
        """
        self._rng = np.random.default_rng((_STREAM, seed))
        real = np.flatnonzero(spec.action_mask)
        self._arms = real[~np.isin(real, spec.grippers)]
        self._uniform = np.empty(len(self._arms), dtype=np.float32)
        self._grippers = [(index, _Held(np.zeros(1), np.ones(1), GRIPPER_HOLD_STEPS)) for index in spec.grippers]
        self._waypoints = None
        if spec.waypoints is not None:
            centre, spread = np.array(spec.waypoints.centre), np.array(spec.waypoints.spread)
            self._waypoints = _Held(centre[self._arms], spread[self._arms], spec.waypoints.hold)

    def sample(self, out: np.ndarray) -> None:
        """Write the next action.

        Args:
            out: ``float32 [A]``; overwritten with values in [-1, 1], zero where the action mask is false.
        """
        out.fill(0.0)
        if self._waypoints is None:
            self._rng.random(out=self._uniform, dtype=np.float32)
            self._uniform *= 2.0
            self._uniform -= 1.0
            out[self._arms] = self._uniform
        else:
            out[self._arms] = self._waypoints.next(self._rng)
        for index, gripper in self._grippers:
            out[index] = gripper.next(self._rng)[0]
