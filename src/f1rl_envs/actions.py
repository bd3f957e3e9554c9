"""Random exploration: the behaviour that collects the first world model's data."""

from __future__ import annotations

import numpy as np

from f1rl_envs.spec import EnvSpec

GRIPPER_HOLD_STEPS = (5, 15)
"""Least and most steps that one gripper command is held: long enough for the fingers to arrive."""

_STREAM = 1
"""Separates the actions' random stream from those that an environment derives from the same seed."""


class RandomActions:
    """Independent uniform joint actions and a slow gripper, decided by a seed alone.

    A gripper that gets a new command at each step only trembles around its middle, so each of its commands is held.
    """

    def __init__(self, spec: EnvSpec, seed: int) -> None:
        """Start the sequence of actions of one episode.

        Args:
            spec: the environment; the last real entry of its action mask is the gripper.
            seed: the episode's seed.
        """
        self._rng = np.random.default_rng((_STREAM, seed))
        *joints, self._gripper = np.flatnonzero(spec.action_mask)
        self._joints = np.array(joints, dtype=np.intp)
        self._uniform = np.empty(len(joints), dtype=np.float32)
        self._target = 0.0
        self._hold = 0

    def sample(self, out: np.ndarray) -> None:
        """Write the next action.

        Args:
            out: ``float32 [A]``; overwritten with values in [-1, 1], zero where the action mask is false.
        """
        out.fill(0.0)
        self._rng.random(out=self._uniform, dtype=np.float32)
        self._uniform *= 2.0
        self._uniform -= 1.0
        out[self._joints] = self._uniform
        if self._hold == 0:
            low, high = GRIPPER_HOLD_STEPS
            self._hold = int(self._rng.integers(low, high + 1))
            self._target = self._rng.uniform(-1.0, 1.0)
        self._hold -= 1
        out[self._gripper] = self._target
