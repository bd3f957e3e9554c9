"""The benchmark of the full size runs, here at the tiny one, so that a GPU finds no mistake in it first."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from benchmarks.full_size import SWITCHES, WORKS, build, compare, configuration, measure, predict_without_cache
from benchmarks.noise import random_inputs

WORDS = {"preset": "tiny", "switch": "prefix-cache", "batch": 1, "steps": 2, "repeats": 1, "plan": False}
WORDS |= {"precision": "bf16-mixed", "works": list(WORKS)}


@pytest.mark.parametrize("preset", ["tiny", "small", "f1"])
@pytest.mark.parametrize("switch", [None, *SWITCHES])
def test_every_switch_is_a_configuration(preset: str, switch: str | None) -> None:
    config, base = configuration(preset, switch), configuration(preset, None)
    unchanged = {"no-checkpointing": preset == "tiny", "no-history": preset != "f1", "float32-base": preset != "f1"}
    unchanged |= {None: True, "full": preset != "f1", "no-kv-cache": True}
    assert (config == base) == unchanged.get(switch, False)


def test_it_measures_training_acting_and_predicting() -> None:
    found = measure(Namespace(**WORDS))
    assert all(found[f"{work}_per_s"] > 0 for work in WORKS)
    assert found["planned"]["parameters"] == 2_011_204
    assert "teacher_per_s" not in measure(Namespace(**{**WORDS, "preset": "f1", "plan": True}))


def test_it_compares_in_one_run() -> None:
    found = compare(Namespace(**{**WORDS, "switch": "no-kv-cache", "works": ["student", "prediction"]}))
    assert all(found[work]["speedup"] > 0 for work in ("student", "prediction"))


@pytest.mark.parametrize("preset", ["tiny", "published"])
def test_without_kept_keys_the_same_frames_are_predicted(preset: str) -> None:
    config = configuration("tiny", None)
    if preset == "published":
        config = replace(config, und_sees_history=True, gen=replace(config.gen, history_side=None, latent_prior=False))
    world = build(config, "cpu").eval()
    inputs = random_inputs(config, 2, 2)
    start = world.initial_memory(2, "cpu")
    for ours, theirs in zip(world.predict(inputs, start), predict_without_cache(world, inputs, start), strict=True):
        torch.testing.assert_close(ours, theirs)
