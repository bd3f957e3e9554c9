"""The learning-rate schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from f1rl.phases.base import OptimizerPlan

PLAN = OptimizerPlan(
    learning_rate=1e-3,
    memory_lr_ratio=1.0,
    weight_decay=0.01,
    betas=(0.9, 0.95),
    grad_clip=1.0,
    warmup_steps=10,
    total_steps=110,
    schedule="cosine",
    min_lr_ratio=0.1,
)


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    assert PLAN.scale(0) == pytest.approx(0.1)
    assert PLAN.scale(9) == pytest.approx(1.0)


def test_the_cosine_ends_at_the_ratio_and_stays_there() -> None:
    assert PLAN.scale(10) == pytest.approx(1.0)
    assert PLAN.scale(60) == pytest.approx(0.55)
    assert PLAN.scale(110) == pytest.approx(0.1)
    assert PLAN.scale(10_000) == pytest.approx(0.1)


def test_a_constant_schedule_stays_at_the_peak() -> None:
    assert replace(PLAN, schedule="constant").scale(5_000) == 1.0


def test_no_warm_up_starts_at_the_peak() -> None:
    assert replace(PLAN, warmup_steps=0).scale(0) == 1.0
