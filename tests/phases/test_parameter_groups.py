from __future__ import annotations

import pytest
import torch
from torch import nn

from f1rl.config.compose import compose
from f1rl.launch.build import optimizer_plan
from f1rl.models.f1 import F1Model
from f1rl.models.tokenizer import FrameTokenizer
from f1rl.phases.parameter_groups import parameter_groups
from f1rl.phases.teacher import TeacherModule


def rates(model: nn.Module, groups: list[dict]) -> dict[str, tuple[float, float]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_each_trained_parameter_has_its_rate_and_decay():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "ab": nn.Linear(2, 2), "c": nn.Linear(2, 2), "d": nn.Linear(2, 2)})
    model["d"].requires_grad_(False)
    got = rates(model, parameter_groups(model, 0.1, 0.3, (("a.", 0.5), ("a", 2.0))))
    assert got == {
        "a.weight": (0.05, 0.3),
        "a.bias": (0.05, 0.0),
        "ab.weight": (0.2, 0.3),
        "ab.bias": (0.2, 0.0),
        "c.weight": (0.1, 0.3),
        "c.bias": (0.1, 0.0),
    }


def test_the_first_group_has_the_rate_itself():
    groups = parameter_groups(nn.Linear(2, 2), 0.1, 0.3, (("", 0.5),))
    assert groups[0]["lr"] == 0.1
    assert groups[0]["params"] == []


def test_a_run_gives_its_parts_the_rates_that_its_configuration_names():
    words = ["env=toy", "phase.learning_rate=1e-3", "phase.memory_lr_ratio=0.1", "model.ema=0.9"]
    cfg = compose([*words, "model.lr_ratios.vision=0.5", "model.lr_ratios.language=0.25", "model.lr_ratios.gen=2"])
    torch.manual_seed(0)
    model = F1Model(cfg.model, FrameTokenizer(cfg.model.tokenizer), memory_backprop=True)
    plan = optimizer_plan(cfg)
    assert plan.ema == 0.9
    module = TeacherModule(model, plan, carry_memory=True, camera=1)
    got = rates(model, module.configure_optimizers()["optimizer"].param_groups)
    assert set(got) == {name for name, p in model.named_parameters() if p.requires_grad}
    starts = {
        "vlm.vision_tower.": 0.5,
        "vlm.multi_modal_projector.": 0.5,
        "vlm.language": 0.25,
        "gen.": 2,
        "memory.": 0.1,
    }
    for name, (rate, _) in got.items():
        share = next((value for start, value in starts.items() if name.startswith(start)), 1.0)
        # The warm-up has begun: all rates are the same part of their peak.
        assert rate == pytest.approx(1e-3 * share * plan.scale(0)), name
