"""The benchmark of the full size runs, here at the tiny one, so that a GPU finds no mistake in it first."""

from __future__ import annotations

from argparse import Namespace

import pytest
from benchmarks.full_size import SWITCHES, configuration, measure


@pytest.mark.parametrize("preset", ["tiny", "small", "f1"])
@pytest.mark.parametrize("switch", [None, *SWITCHES])
def test_every_switch_is_a_configuration(preset: str, switch: str | None) -> None:
    config, base = configuration(preset, switch), configuration(preset, None)
    unchanged = {"no-checkpointing": preset == "tiny", "no-history": preset != "f1", "float32-base": preset != "f1"}
    unchanged |= {None: True, "full": preset != "f1"}
    assert (config == base) == unchanged.get(switch, False)


def test_it_measures_training_and_acting() -> None:
    words = {"preset": "tiny", "switch": "prefix-cache", "batch": 1, "steps": 2, "repeats": 1, "plan": False}
    found = measure(Namespace(**words))
    assert found["teacher_per_s"] > 0
    assert found["student_per_s"] > 0
    assert found["planned"]["parameters"] == 2_011_204
    assert "teacher_per_s" not in measure(Namespace(**{**words, "preset": "f1", "plan": True}))
