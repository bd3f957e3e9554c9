from __future__ import annotations

import pytest
import torch

from f1rl.losses.advantages import explained_variance, generalized_advantages, group_advantages, normalized

GAMMA, LAMBDA = 0.9, 0.8


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def estimate(reward, value, next_value, terminated=None, truncated=None, gae_lambda=LAMBDA):
    never = torch.zeros_like(reward, dtype=torch.bool)
    return generalized_advantages(
        reward,
        value,
        next_value,
        never if terminated is None else terminated,
        never if truncated is None else truncated,
        gamma=GAMMA,
        gae_lambda=gae_lambda,
    )


def test_it_is_the_weighted_sum_of_later_errors():
    torch.manual_seed(0)
    reward, value = torch.randn(5, 2), torch.randn(6, 2)
    got = estimate(reward, value[:-1], value[1:])
    error = reward + GAMMA * value[1:] - value[:-1]
    expected = sum((GAMMA * LAMBDA) ** k * error[k] for k in range(5))
    torch.testing.assert_close(got.advantage[0], expected)
    torch.testing.assert_close(got.value_target, got.advantage + value[:-1])


def test_truncation_is_worth_the_last_observation_and_termination_nothing():
    reward, value, after = column(1.0, 1.0), column(0.0, 0.0), column(5.0, 7.0)
    first = torch.tensor([[True], [False]])
    truncated = estimate(reward, value, after, truncated=first)
    torch.testing.assert_close(truncated.advantage, column(1 + GAMMA * 5, 1 + GAMMA * 7))
    terminated = estimate(reward, value, after, terminated=first)
    torch.testing.assert_close(terminated.advantage, column(1.0, 1 + GAMMA * 7))


def test_nothing_flows_from_the_next_episode_into_the_last():
    end = torch.tensor([[True], [False]])
    for kind in ("terminated", "truncated"):
        low = estimate(column(1.0, 0.0), column(0.0, 0.0), column(2.0, 0.0), **{kind: end})
        high = estimate(column(1.0, 1000.0), column(0.0, 0.0), column(2.0, 0.0), **{kind: end})
        assert low.advantage[0] == high.advantage[0]


def test_lambda_one_gives_discounted_returns():
    got = estimate(column(1.0, 2.0, 3.0), column(0.3, 0.1, 0.2), column(0.1, 0.2, 10.0), gae_lambda=1.0)
    expected = 1 + GAMMA * 2 + GAMMA**2 * 3 + GAMMA**3 * 10
    torch.testing.assert_close(got.value_target[0, 0], torch.tensor(expected))


def test_unequal_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'next_value': \(2, 1\)"):
        estimate(column(1.0, 2.0, 3.0), column(0.0, 0.0, 0.0), column(0.0, 0.0))


def test_a_group_is_compared_with_itself_alone():
    returns = torch.tensor([[1.0, 3.0], [100.0, 300.0], [5.0, 5.0]])
    scaled = group_advantages(returns)
    torch.testing.assert_close(scaled[0], scaled[1])
    assert scaled[2].tolist() == [0.0, 0.0]
    assert group_advantages(returns, normalize_std=False)[1].tolist() == [-100.0, 100.0]
    with pytest.raises(ValueError, match="two rollouts or more"):
        group_advantages(torch.zeros(4, 1))


def test_normalising_leaves_padding_out():
    advantage, valid = torch.tensor([1.0, 2.0, 3.0, 1e9]), torch.tensor([True, True, True, False])
    got = normalized(advantage, valid)
    torch.testing.assert_close(got, torch.tensor([-1.0, 0.0, 1.0, 0.0]))
    assert normalized(advantage, torch.zeros(4, dtype=torch.bool)).tolist() == [0.0] * 4


def test_explained_variance():
    target = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(target, target) == 1.0
    assert explained_variance(torch.full((3,), 2.0), target) == 0.0
    assert explained_variance(target, torch.ones(3)) != explained_variance(target, torch.ones(3))  # NaN
