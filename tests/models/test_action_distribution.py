from __future__ import annotations

import math

import pytest
import torch

from f1rl.models.action_distribution import SquashedGaussian, StochasticFlow, squash_log_slope


def test_the_density_of_the_squashed_gaussian_is_that_of_torch():
    torch.manual_seed(0)
    mean, log_std = torch.randn(5, 3), 0.3 * torch.randn(5, 3)
    ours = SquashedGaussian(mean, log_std)
    normal = torch.distributions.Normal(mean, log_std.exp())
    theirs = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    action = theirs.sample()
    torch.testing.assert_close(ours.log_prob(action.atanh()), theirs.log_prob(action).sum(-1), rtol=1e-3, atol=1e-3)


def test_its_density_integrates_to_one():
    distribution = SquashedGaussian(torch.tensor([0.4]), torch.tensor([-0.3]))
    action = torch.linspace(-0.99999, 0.99999, 200_001, dtype=torch.float64)[:, None]
    density = distribution.log_prob(action.atanh()).exp()
    assert torch.trapezoid(density, action[:, 0]).item() == pytest.approx(1.0, abs=1e-3)


def test_a_saturated_action_has_a_finite_density():
    latent = torch.tensor([[20.0], [-20.0]], requires_grad=True)
    slope = squash_log_slope(latent)
    torch.testing.assert_close(slope, torch.full((2, 1), 2 * math.log(2) - 40.0))
    SquashedGaussian(torch.zeros(2, 1), torch.zeros(2, 1)).log_prob(latent).sum().backward()
    assert latent.grad.isfinite().all()


def test_its_entropy_agrees_with_its_density():
    torch.manual_seed(0)
    distribution = SquashedGaussian(torch.full((100_000, 2), 0.5), torch.full((100_000, 2), -0.7))
    by_density = -distribution.log_prob(distribution.sample()).mean() / 2
    torch.testing.assert_close(distribution.entropy().mean(), by_density, rtol=0.0, atol=0.01)


def test_an_action_stored_has_the_same_density_again():
    """The predecessor drew the noise again at each update, so that no ratio ever began at one."""
    torch.manual_seed(0)
    distribution = SquashedGaussian(torch.randn(64, 8), torch.randn(64, 8).clamp(-2, 0))
    latent = distribution.sample()
    assert torch.equal(distribution.log_prob(latent), distribution.log_prob(latent))
    network = torch.nn.Linear(9, 16)
    flow = _flow(network, steps=4)
    chain = flow.sample((64, 8)).detach()
    torch.testing.assert_close(flow.log_prob(chain), flow.log_prob(chain), rtol=0, atol=0)


def _flow(network: torch.nn.Module, steps: int) -> StochasticFlow:
    def velocity(points: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (*points.shape[:-1], 1)
        out = network(torch.cat([points, times.view(-1, *[1] * (points.ndim - 1)).expand(shape)], dim=-1))
        speed, log_std = out.chunk(2, dim=-1)
        return speed, log_std.clamp(-3, 0)

    return StochasticFlow(velocity, steps)


def test_the_chain_of_a_linear_flow_has_its_known_density():
    """Constant velocity and noise: the last point is a Gaussian, and the chain's density its factors' product."""

    def velocity(points: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full_like(points, 2.0), torch.full_like(points, math.log(0.5))

    flow = StochasticFlow(velocity, steps=4)
    torch.manual_seed(0)
    chain = flow.sample((50_000, 1), dtype=torch.float64)
    assert chain.shape == (5, 50_000, 1)
    assert chain[-1].mean().item() == pytest.approx(2.0, abs=0.03)
    assert chain[-1].var().item() == pytest.approx(1.0 + 4 * 0.25, abs=0.05)
    by_hand = torch.distributions.Normal(0.0, 1.0).log_prob(chain[0])
    for k in range(4):
        by_hand = by_hand + torch.distributions.Normal(chain[k] + 0.5, 0.5).log_prob(chain[k + 1])
    torch.testing.assert_close(flow.log_prob(chain), by_hand[..., 0])
    assert flow.entropy(chain).mean().item() == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 0.25))


def test_steps_at_once_equal_steps_in_turn_and_have_gradients():
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 6)
    flow = _flow(network, steps=3)
    chain = flow.sample((10, 3)).detach()
    single = _flow(network, steps=3)
    mean_by_turn = []
    for k in range(3):
        speed, log_std = single.velocity(chain[k][None], torch.tensor([k / 3]))
        normal = torch.distributions.Normal(chain[k] + speed[0] / 3, log_std[0].exp())
        mean_by_turn.append(normal.log_prob(chain[k + 1]).sum(-1))
    start = torch.distributions.Normal(0.0, 1.0).log_prob(chain[0]).sum(-1)
    torch.testing.assert_close(flow.log_prob(chain), start + sum(mean_by_turn))
    flow.log_prob(chain).sum().backward()
    assert network.weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="has 2 steps, the policy takes 3"):
        flow.log_prob(chain[:-1])
