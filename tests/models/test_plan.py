"""The plan of a model's memory against what is really there."""

from __future__ import annotations

from dataclasses import replace

import torch
from safetensors.torch import save_file

from f1rl.models.config import WeightsConfig
from f1rl.models.empty import count_parameters, memory_of
from f1rl.models.f1 import F1Model
from f1rl.models.plan import Plan, Work, plan_memory, size
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.models.weights.building import world_model_from_files
from model_support import kept_for_the_gradient, read_preset

WORK = Work(batch=4, steps=3, cameras=2, mixed_precision=False)


def test_parameters_are_those_of_the_model_and_nothing_random_is_drawn():
    config = read_preset("tiny")
    state = torch.get_rng_state()
    plan = plan_memory(config, WORK)
    assert torch.equal(torch.get_rng_state(), state)
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    assert plan.parameters == count_parameters(model)
    assert plan.trained == count_parameters(model, trained_only=True)
    assert plan.weights == 4 * plan.parameters <= memory_of(model)
    assert plan.optimizer == 8 * plan.trained
    assert plan_memory(replace(config, ema=0.9), WORK).optimizer == 12 * plan.trained


def test_activations_are_about_what_a_pass_keeps(random_inputs):
    planned = []
    for again in (False, True):
        config = replace(read_preset("tiny"), activation_checkpointing=again)
        model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
        kept = kept_for_the_gradient(model, random_inputs(model, WORK.batch, WORK.steps))
        planned.append(plan_memory(config, WORK).activations)
        # What a layer keeps while it is run again is planned, but not kept after the forward pass.
        assert (0.5 if not again else 1.0) < planned[-1] / kept < (2 if not again else 4)
    assert planned[1] < planned[0]


def test_adapters_leave_the_rest_frozen_and_small(tmp_path):
    config = read_preset("tiny")
    model = F1Model(config, FrameTokenizer(config.tokenizer), memory_backprop=True)
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    lora = replace(config.lora, r=4, base_dtype="bfloat16")
    config = replace(config, weights=WeightsConfig(str(tmp_path), "f1rl", None), lora=lora)
    adapted, _ = world_model_from_files(config, None, memory_backprop=True)
    plan = plan_memory(config, WORK)
    assert plan.parameters == count_parameters(adapted)
    assert plan.trained == count_parameters(adapted, trained_only=True)
    assert plan.weights == sum(p.numel() * p.element_size() for p in adapted.parameters())
    half = Work(4, 3, 2, mixed_precision=True)
    assert plan_memory(config, half).activations < plan.activations < plan_memory(read_preset("tiny"), WORK).activations


def test_the_full_size_is_planned_without_being_built():
    config = read_preset("f1")
    plan = plan_memory(config, Work(batch=1, steps=8, cameras=2, mixed_precision=True))
    assert plan.parameters > 3_366_000_000  # the action expert belongs to the explorer
    assert plan.trained < 30_000_000
    assert 12 * 2**30 < plan.weights < 13 * 2**30
    four_bits = replace(config, lora=replace(config.lora, load_in_4bit=True))
    assert plan_memory(four_bits, WORK).weights < 3 * 2**30


def test_the_line_says_whether_it_fits():
    plan = Plan(10, 5, 2**30, 2**20, 2**20, 2**20, 3 * 2**10)
    assert size(plan.cache) == "3.0 KiB"
    assert "10 parameters, 5 trained; weights 1.0 GiB, gradients 1.0 MiB" in plan.line("a GPU", 2**31)
    assert plan.line("a GPU", 2**31).endswith("on a GPU: fits")
    assert plan.line("a GPU", 2**30).endswith("1.0 GiB of 1.0 GiB on a GPU: does NOT fit")
    assert plan.as_dict()["total"] == plan.total
