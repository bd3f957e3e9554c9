"""Every embodiment in every control mode, for a few steps: what ``python -m benchmarks.matrix`` does for 200."""

from __future__ import annotations

import ctypes
import warnings

import numpy as np
import pytest
from benchmarks.matrix import Cell, Play, check, config_of

from f1rl.config.compose import groups
from f1rl_envs.sim import render
from f1rl_envs.sim.control.modes import MODES, PLANNING_MODES

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("embodiment", groups()["embodiment"])
def test_random_steps_without_a_warning_and_the_same_again(embodiment, mode):
    render.setup("auto")  # says once which device it takes
    steps = 2 if mode in PLANNING_MODES else 10
    cell = check(config_of(embodiment, mode), steps, construct=False)
    assert cell.faults == []
    assert 0.0 < cell.largest_lag < 0.3  # the furthest that a target may be from its joint
    assert (cell.unreachable is None) == (mode in ("delta_qpos", "qpos"))
    assert (cell.no_way is None) == (mode not in PLANNING_MODES)


def test_one_bit_is_a_difference():
    plays = [Play([np.zeros(3)], [np.zeros((1, 3, 2, 2), np.uint8)], [np.zeros(2)], [{}]) for _ in range(3)]
    plays[1].states[0] = np.array([0.0, -0.0, 0.0])
    plays[2].images[0] = plays[2].images[0] + np.uint8(1)
    for play, said in zip(plays, (None, "states differ at entry 0", "images differ at entry 0"), strict=True):
        cell = Cell(1)
        cell.compare(plays[0], play)
        assert cell.faults == ([said] if said else [])


def test_warnings_and_what_libraries_print_are_faults(monkeypatch):
    def make(config):
        ctypes.CDLL(None).puts(b"[physx] [error] something")  # as SAPIEN logs: into the C library's buffer
        warnings.warn("odd", stacklevel=1)

    monkeypatch.setattr("benchmarks.matrix.registry.make", make)
    assert check({}, 1).faults == ["UserWarning: odd", "printed: [physx] [error] something"]
