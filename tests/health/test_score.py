"""Calibration: runs with a known fault are told by the right name, healthy ones score above 90."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f1rl.health.evidence import Evidence, Facts, not_finite
from f1rl.health.finding import Severity
from f1rl.health.score import CHECKS, Health, judge

SEEDS = range(30)


def recorded(name: str) -> Evidence:
    """Return a real run as it was recorded."""
    data = json.loads((Path(__file__).parent / "recorded" / f"{name}.json").read_text())
    train = {key: np.array(values, dtype=float) for key, values in data["train"].items()}
    val = {key: np.array(values, dtype=float) for key, values in data["val"].items()}
    train["loss"] = train.pop("avg_loss")
    train["env_step"] = 50.0 * np.arange(1, len(train["loss"]) + 1)
    facts = Facts(share=1.0, status="done", carries_memory=True, grad_clip=1.0, restarts=0)
    return Evidence(train, val, facts)


def teacher(seed: int, length: int = 400, **changes: Any) -> Evidence:
    """Return a healthy teacher's evidence with ``changes`` of its series and facts."""
    random = np.random.default_rng(seed)
    step = np.arange(length)
    train = {
        "loss": 3 + 3 * np.exp(-step / (length / 4)) + random.normal(0, 0.15, length),
        "lr": 3e-3 * np.minimum(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / length)),
        "grad_norm": random.lognormal(0.2, 0.4, length),
        "wait_env_share": np.full(length, 0.1),
        "attempts": np.ones(length),
        "timestamp": 1e9 + 2.0 * step,
        "env_step": 100.0 * (step + 1),
    }
    val = {"val_loss": 4.0, "val_copy_last_loss": 5.2, "val_action_sensitivity": 0.4, "val_memory_gain": 0.02}
    val |= {"val_action_sensitivity_stderr": 0.02, "val_memory_gain_stderr": 0.004}
    facts = {"share": 0.9, "status": "training", "carries_memory": True, "grad_clip": 1.0, "restarts": 0}
    facts["silence"] = 3.0
    for name, value in changes.items():
        {True: train, name.startswith("val_"): val, name in facts: facts}[True][name] = value
    series = {name: np.full(4, value) for name, value in val.items()}
    return Evidence(train, series, Facts(**facts))


def student(seed: int, **changes: Any) -> Evidence:
    """Return a healthy explorer's evidence with ``changes`` of its series."""
    random, length = np.random.default_rng(seed), 200
    step = np.arange(length)
    train = {
        "policy_loss": random.normal(0, 0.02, length),
        "loss": random.normal(0.3, 0.3, length),
        "value_loss": 0.5 + random.normal(0, 0.1, length),
        "reward": np.tanh(step / 100) + random.normal(0, 0.3, length),
        "entropy": 1.4 - step / 400 + random.normal(0, 0.02, length),
        "approx_kl": random.gamma(2, 0.005, length),
        "clip_fraction": random.uniform(0.02, 0.2, length),
        "explained_variance": 0.6 + random.normal(0, 0.1, length),
        "lr": np.full(length, 3e-4),
        "grad_norm": random.lognormal(-0.5, 0.4, length),
    }
    return Evidence({**train, **changes}, {}, Facts(share=0.5, status="training"))


def names(health: Health) -> list[str]:
    return [finding.name for finding in health.findings]


def test_a_recorded_demo_is_healthy() -> None:
    health = judge(recorded("demo"))
    assert (health.score, health.findings) == (100, ())
    assert {"divergence", "loss_trend", "copy_last", "actions", "memory", "workers"} <= set(health.judged)


def test_a_recorded_dead_memory_is_told() -> None:
    """The same run at a learning rate of the memory at which its gates close for good."""
    health = judge(recorded("dead_memory"))
    assert names(health) == ["memory"]
    assert health.band == "clear problems"
    assert "memory_lr_ratio" in health.findings[0].advice


def test_a_recorded_run_that_is_too_short_to_use_actions_and_memory_is_left_alone() -> None:
    """It has beaten copying, and actions and memory make next to no difference yet: 8,000 steps."""
    health = judge(recorded("too_short"))
    assert health.findings == ()
    assert {"actions", "memory"} <= set(health.not_judged)


def test_a_recorded_learning_rate_that_is_too_high_is_told() -> None:
    """The toy environment at a hundred times the learning rate of the demo."""
    health = judge(recorded("lr_too_high"))
    assert names(health) == ["copy_last", "learning_rate", "gradients"]
    assert health.findings[0].severity == Severity.CRITICAL
    assert health.score < 50


@pytest.mark.parametrize("length", [30, 120, 400, 3000])
@pytest.mark.parametrize("kind", [teacher, student])
def test_healthy_runs_score_above_ninety(kind: Any, length: int) -> None:
    for seed in SEEDS:
        health = judge(teacher(seed, length) if kind is teacher else student(seed))
        assert health.score > 90, health.findings


def _walk(seed: int) -> np.ndarray:
    """Return the loss of a learning rate that is far too high: down at first, then up and about."""
    random = np.random.default_rng(seed)
    rising = 4 + np.cumsum(random.normal(0.02, 0.05, 300))
    return np.concatenate([np.linspace(6, 4, 100), rising]) + random.normal(0, 0.15, 400)


FAULTS = {
    "lr too high: the loss leaves its best": ("divergence", lambda s: teacher(s, loss=_walk(s))),
    "lr too high: the loss swings": (
        "oscillation",
        lambda s: teacher(s, loss=5 + np.random.default_rng(s).choice([-3.0, 3.0], 400)),
    ),
    "lr too high: outside of the range": ("learning_rate", lambda s: teacher(s, lr=np.full(400, 0.3))),
    "lr too low: outside of the range": ("learning_rate", lambda s: teacher(s, lr=np.full(400, 1e-9))),
    "lr too low: the loss stays": (
        "loss_trend",
        lambda s: teacher(s, loss=6 + np.random.default_rng(s).normal(0, 0.1, 400)),
    ),
    "plateau": (
        "plateau",
        lambda s: teacher(
            s, share=0.5, loss=3 + 3 * np.exp(-np.arange(400) / 20) + np.tile([0.1, -0.1, -0.1, 0.1], 100)
        ),
    ),
    "gradients vanish": ("gradients", lambda s: teacher(s, grad_norm=np.full(400, 1e-9))),
    "gradients explode": (
        "gradients",
        lambda s: teacher(s, grad_norm=np.r_[np.ones(330), np.full(70, 60.0)]),
    ),
    "worse than copying": ("copy_last", lambda s: teacher(s, val_loss=5.3)),
    "shuffled actions": (
        "actions",
        lambda s: teacher(s, val_action_sensitivity=np.random.default_rng(s).normal(0, 0.01)),
    ),
    "dead memory": ("memory", lambda s: teacher(s, val_memory_gain=1e-7, val_memory_gain_stderr=1e-7)),
    "a worker hangs now": ("silence", lambda s: teacher(s, silence=400.0)),
    "a worker hung before": (
        "workers",
        lambda s: teacher(s, attempts=np.r_[np.ones(380), np.full(20, 2.0)], restarts=4),
    ),
    "the learner starves": ("waiting", lambda s: teacher(s, wait_env_share=np.full(400, 0.9))),
    "killed": ("alive", lambda s: teacher(s, status="dead")),
    "failed": ("alive", lambda s: teacher(s, status="failed")),
    "frozen explorer": (
        "frozen_policy",
        lambda s: student(s, approx_kl=np.zeros(200), clip_fraction=np.zeros(200)),
    ),
    "entropy collapse": ("entropy", lambda s: student(s, entropy=np.linspace(1.4, -4, 200))),
    "updates too large": ("kl", lambda s: student(s, approx_kl=np.full(200, 0.8))),
    "a critic that explains nothing": ("explained_variance", lambda s: student(s, explained_variance=np.zeros(200))),
    "the reward falls": ("reward", lambda s: student(s, reward=np.r_[np.linspace(0, 3, 100), np.linspace(3, 0, 100)])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_its_name(fault: str) -> None:
    name, make = FAULTS[fault]
    for seed in SEEDS:
        health = judge(make(seed))
        assert name in names(health), (seed, health)
        assert all(finding.advice for finding in health.findings)
        assert len(health.findings) <= 2  # one fault is not told under many names


def test_nan_is_critical_at_once() -> None:
    records = [{"avg_loss": 3.0, "grad_norm": 1.0}] * 3 + [{"avg_loss": None, "grad_norm": float("nan")}]
    found = not_finite(records)
    assert found == {"avg_loss": 1, "grad_norm": 1}
    health = judge(Evidence({"loss": np.array([3.0, 3.0, 3.0, np.nan])}, {}, Facts(), found))
    assert health.score < 50
    assert names(health) == ["not_finite"]
    assert not_finite([{"val_memory_gain_stderr": None, "scene_seed": None}]) == {}


def test_a_young_run_is_not_judged() -> None:
    health = judge(teacher(0, length=8, val_loss=6.0))
    assert health.score is None or health.findings
    young = judge(Evidence({"loss": np.linspace(6, 5, 8), "lr": np.full(8, 1e-9)}, {}, Facts(share=0.01)))
    assert (young.score, young.band, young.findings) == (None, "too early to tell", ())
    assert judge(Evidence({}, {})).score is None


def test_copying_actions_and_memory_are_given_time() -> None:
    health = judge(teacher(0, share=0.1, val_loss=5.4, val_memory_gain=0.0, val_action_sensitivity=0.0))
    assert health.findings == ()
    assert not {"copy_last", "actions", "memory"} & set(health.judged)


def test_a_run_without_memory_is_not_asked_for_it() -> None:
    assert "memory" in judge(teacher(0, carries_memory=False, val_memory_gain=0.0)).not_judged


def test_score_and_bands() -> None:
    critical = judge(teacher(0, status="dead", val_loss=6.0, val_memory_gain=0.0))
    assert critical.score == 0
    assert [f.severity for f in critical.findings] == [Severity.CRITICAL, Severity.SERIOUS, Severity.SERIOUS]
    assert critical.band == "something is wrong"
    assert set(critical.judged) | set(critical.not_judged) == set(CHECKS)
    one = judge(teacher(0, lr=np.full(400, 0.3)))
    assert (one.score, one.band) == (85, "good, with small problems")
    json.dumps(critical.as_record(), allow_nan=False)
