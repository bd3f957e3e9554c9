from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from f1rl.losses.baselines import BaselineStatistics

SCALES, CODES, LENGTH = (1, 2), 8, 5


def sticky_episode(rng: np.random.Generator, change: float, steps: int = 400) -> np.ndarray:
    """Tokens that stay with probability 1 - change and are otherwise drawn anew, uniformly."""
    tokens = np.zeros((steps + 1, LENGTH), dtype=np.int16)
    tokens[0] = rng.integers(CODES, size=LENGTH)
    for t in range(steps):
        anew = rng.random(LENGTH) < change
        tokens[t + 1] = np.where(anew, rng.integers(CODES, size=LENGTH), tokens[t])
    return tokens


@pytest.fixture
def sticky() -> BaselineStatistics:
    rng = np.random.default_rng(0)
    statistics = BaselineStatistics(SCALES, CODES)
    for _ in range(20):
        statistics.add(sticky_episode(rng, change=0.25))
    return statistics


def pairs(tokens: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.from_numpy(tokens).long()
    return frames[:-1], frames[1:]


def test_the_fitted_weight_is_the_rate_of_change(sticky):
    assert sticky.copy_weights(sticky.unigram()) == pytest.approx([0.25, 0.25], abs=0.02)


def test_losses_are_those_of_the_process(sticky):
    metrics = sticky.evaluate(*pairs(sticky_episode(np.random.default_rng(1), change=0.25, steps=20_000)))
    stay, leave = 0.75 + 0.25 / CODES, 0.25 / CODES
    entropy = -(stay * math.log(stay) + (CODES - 1) * leave * math.log(leave))
    assert metrics["copy_last_loss"] == pytest.approx(entropy, abs=0.02)
    assert metrics["copy_last_accuracy"] == pytest.approx(stay, abs=0.01)
    assert metrics["unigram_loss"] == pytest.approx(math.log(CODES), abs=0.02)
    by_scale = [metrics[f"copy_last_loss_scale_{side}"] * side**2 for side in SCALES]
    assert sum(by_scale) / LENGTH == pytest.approx(metrics["copy_last_loss"])


def test_the_unigram_is_that_of_each_scale():
    statistics = BaselineStatistics(SCALES, CODES)
    statistics.add(np.tile(np.array([3, 5, 5, 5, 6]), (1000, 1)))
    last = torch.tensor([[0, 0, 0, 0, 0]])
    metrics = statistics.evaluate(last, torch.tensor([[3, 5, 5, 5, 6]]))
    assert metrics["unigram_accuracy"] == pytest.approx(4 / 5)
    assert metrics["unigram_loss_scale_1"] < 0.02
    assert metrics["unigram_loss_scale_2"] == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), abs=0.01)


def test_a_token_never_seen_costs_much_but_not_everything(sticky):
    statistics = BaselineStatistics(SCALES, CODES)
    statistics.add(np.zeros((300, LENGTH), dtype=np.int16))
    never = torch.full((1, LENGTH), 7)
    metrics = statistics.evaluate(torch.zeros(1, LENGTH, dtype=torch.long), never)
    assert math.log(100) < metrics["copy_last_loss"] < 50


def test_without_training_episodes_both_are_uniform():
    metrics = BaselineStatistics(SCALES, CODES).evaluate(*pairs(sticky_episode(np.random.default_rng(0), 0.5)))
    assert metrics["copy_last_loss"] == pytest.approx(math.log(CODES))
    assert metrics["unigram_loss"] == pytest.approx(math.log(CODES))


def test_a_checkpoint_restores_it(sticky, tmp_path):
    torch.save(sticky.state_dict(), tmp_path / "state.pt")
    restored = BaselineStatistics(SCALES, CODES)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    held_out = pairs(sticky_episode(np.random.default_rng(2), 0.25))
    assert restored.evaluate(*held_out) == sticky.evaluate(*held_out)
    with pytest.raises(ValueError, match=r"model\.tokenizer"):
        BaselineStatistics(SCALES, 2 * CODES).load_state_dict(sticky.state_dict())


def test_the_kept_episodes_are_bounded_and_counting_goes_on():
    statistics = BaselineStatistics(SCALES, CODES)
    for _ in range(250):
        statistics.add(np.zeros((3, LENGTH), dtype=np.int16))
    assert len(statistics.kept) == 200
    assert statistics.counts[0, 0] == 750


@pytest.mark.parametrize("tokens", [np.zeros((3, 4)), np.full((3, LENGTH), CODES), np.full((3, LENGTH), -1)])
def test_tokens_that_do_not_fit_are_refused(tokens):
    with pytest.raises(ValueError, match="tokens must"):
        BaselineStatistics(SCALES, CODES).add(tokens.astype(np.int64))
