"""From rewards to a better policy, on decisions of a real explorer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from f1rl.config.compose import compose
from f1rl.models.explorer import Decision, Explorer, Situation
from f1rl.phases.algorithm import Algorithm
from f1rl.phases.decisions import Rollout, RolloutRecorder
from f1rl.phases.policy_update import lesson_metrics, make_lesson, update_step
from f1rl.rollout.source import TokenizedEpisode
from f1rl_envs.spec import Episode, EpisodeRequest

PPO = Algorithm(
    "ppo", episodes_per_update=16, epochs=4, minibatch_size=32, clip=0.2, target_kl=None, entropy_weight=0.0,
    gamma=0.9, gae_lambda=0.8, value_weight=0.5, value_clip=None, num_generations=2, reference_weight=0.0,
)  # fmt: skip
GRPO = replace(PPO, name="grpo", gamma=1.0)


@pytest.fixture
def explorer() -> Explorer:
    return Explorer(compose(["env=toy"]).model, "gaussian", (True,) * 2 + (False,) * 30, 1, initial_std=0.6)


def situations(count: int) -> Situation:
    """Return ``count`` situations of two cached tokens each."""
    cache = [(torch.randn(count, 1, 2, 32), torch.randn(count, 1, 2, 32)) for _ in range(3)]
    return Situation(cache, torch.randn(count, 128), torch.randn(count, 32), torch.randn(count, 128))


def episode(index: int, length: int, seed: int, terminated: bool = False) -> TokenizedEpisode:
    arrays = (np.zeros((length + 1, 1, 3, 2, 2), np.uint8), np.zeros((length + 1, 32)), np.zeros((length, 32)))
    request = EpisodeRequest(index, seed, seed)
    whole = Episode(request, *arrays, np.zeros(length), terminated=terminated, truncated=not terminated)
    return TokenizedEpisode(whole, np.zeros((length + 1, 4), np.int16))


def rollout_of(explorer: Explorer, lengths: tuple[int, ...], seeds: tuple[int, ...], ends: tuple[bool, ...]) -> Rollout:
    """Play episodes of these lengths; the only term is the first entry of the action, and the last value is 5."""
    recorder = RolloutRecorder(len(lengths), learned_from=True)
    for step in range(max(lengths)):
        scenes = torch.tensor([i for i, length in enumerate(lengths) if step < length])
        seen = situations(len(scenes))
        decision: Decision = explorer.decide(seen)
        recorder.decided(scenes, seen, decision, explorer.value(seen).detach())
        term = decision.action[:, 0, 0]
        recorder.stepped(scenes, {"first": term})
        recorder.judged(scenes, {}, {}, {"seen": term})
        for i in scenes.tolist():
            if step == lengths[i] - 1:
                recorder.ended(i, episode(i, lengths[i], seeds[i], ends[i]), 5.0)
    return recorder.rollout()


def test_every_decision_gets_the_advantage_of_its_own_step(explorer):
    rollout = rollout_of(explorer, (3, 1), (0, 1), (False, True))
    reward = rollout.terms["first"]
    lesson = make_lesson(rollout, reward, PPO)
    assert rollout.valid.tolist() == [[True, True], [True, False], [True, False]]
    value = rollout.value
    long, short = rollout.row[:, 0], rollout.row[0, 1]
    error = reward[2, 0] + 0.9 * 5.0 - value[long[2]]  # truncation bootstraps from the last frame
    torch.testing.assert_close(lesson.value_target[long[2]], value[long[2]] + error)
    torch.testing.assert_close(lesson.value_target[short], reward[0, 1])  # a task's end is worth nothing afterwards
    torch.testing.assert_close(lesson.advantage.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    raw = lesson.value_target - value
    torch.testing.assert_close(lesson.advantage, (raw - raw.mean()) / raw.std())


def test_padding_changes_nothing(explorer):
    rollout = rollout_of(explorer, (3, 1), (0, 0), (False, False))
    reward = rollout.terms["first"]
    longer = replace(
        rollout,
        row=torch.cat([rollout.row, torch.zeros(2, 2, dtype=torch.int64)]),
        valid=torch.cat([rollout.valid, torch.zeros(2, 2, dtype=torch.bool)]),
    )
    for algorithm in (PPO, GRPO):
        one = make_lesson(rollout, reward, algorithm)
        other = make_lesson(longer, torch.cat([reward, torch.zeros(2, 2)]), algorithm)
        assert torch.equal(one.advantage, other.advantage)
        assert torch.equal(one.value_target, other.value_target)


def test_the_first_step_has_ratio_one_and_the_plain_policy_gradient(explorer):
    rollout = rollout_of(explorer, (4, 4), (0, 0), (False, False))
    lesson = make_lesson(rollout, rollout.terms["first"], PPO)
    step = update_step(explorer, lesson, torch.arange(8), PPO)
    assert step.metrics["approx_kl"] == pytest.approx(0.0, abs=1e-7)
    assert step.metrics["clip_fraction"] == 0.0
    assert step.metrics["policy_loss"] == pytest.approx(0.0, abs=1e-5)  # advantages have mean zero


@pytest.mark.parametrize("algorithm", [PPO, GRPO], ids=["ppo", "grpo"])
def test_the_policy_learns_what_is_rewarded(explorer, algorithm):
    optimizer = torch.optim.Adam(explorer.parameters(), lr=3e-3)
    means = []
    for _ in range(12):
        rollout = rollout_of(explorer, (4,) * 16, tuple(i // 2 for i in range(16)), (False,) * 16)
        means.append(rollout.terms["first"].mean().item())
        lesson = make_lesson(rollout, rollout.terms["first"], algorithm)
        for _ in range(algorithm.epochs):
            for rows in lesson.minibatches(algorithm.minibatch_size):
                optimizer.zero_grad()
                update_step(explorer, lesson, rows, algorithm).loss.backward()
                optimizer.step()
    assert abs(means[0]) < 0.2
    assert means[-1] > means[0] + 0.3


def test_values_learn_and_say_how_well_they_explain(explorer):
    rollout = rollout_of(explorer, (8,) * 8, (0,) * 8, (False,) * 8)
    lesson = make_lesson(rollout, rollout.terms["first"], PPO)
    optimizer = torch.optim.Adam(explorer.value_head.parameters(), lr=3e-3)
    before = lesson_metrics(lesson)["explained_variance"]
    losses = []
    for _ in range(60):
        step = update_step(explorer, lesson, torch.arange(64), PPO)
        losses.append(step.metrics["value_loss"])
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    learnt = replace(lesson, value=explorer.value(lesson.situation).detach())
    assert lesson_metrics(learnt)["explained_variance"] > max(before, 0.0)


def test_the_reference_holds_the_policy_back(explorer):
    rollout = rollout_of(explorer, (4, 4), (0, 0), (False, False))
    lesson = make_lesson(rollout, rollout.terms["first"], GRPO)
    other = Explorer(explorer.config, "gaussian", (True,) * 2 + (False,) * 30, 1, initial_std=0.3)
    algorithm = replace(GRPO, reference_weight=1.0)
    same = update_step(explorer, lesson, torch.arange(8), algorithm, reference=explorer)
    far = update_step(explorer, lesson, torch.arange(8), algorithm, reference=other)
    assert same.metrics["kl"] == pytest.approx(0.0, abs=1e-6)
    assert far.metrics["kl"] > 0.01
    assert far.loss.item() == pytest.approx(far.metrics["policy_loss"] + far.metrics["kl"], rel=1e-4)


def test_minibatches_hold_each_decision_once_and_leave_no_crumbs(explorer):
    rollout = rollout_of(explorer, (9, 4), (0, 0), (False, False))
    lesson = make_lesson(rollout, rollout.terms["first"], PPO)
    parts = list(lesson.minibatches(6))
    assert sorted(torch.cat(parts).tolist()) == list(range(13))
    assert [len(part) for part in parts] == [7, 6]
    assert len(list(lesson.minibatches(100))) == 1


@pytest.mark.parametrize(("seeds", "size"), [((0, 1), 2), ((0, 0, 0), 2)])
def test_groups_that_did_not_begin_alike_are_refused(explorer, seeds, size):
    rollout = rollout_of(explorer, (2,) * len(seeds), seeds, (False,) * len(seeds))
    with pytest.raises(ValueError, match="do not make groups of num_generations=2"):
        make_lesson(rollout, rollout.terms["first"], replace(GRPO, num_generations=size))
