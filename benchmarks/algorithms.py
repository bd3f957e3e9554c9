"""The policy losses on standard tasks: do they learn what everybody's learn?

PPO with the squashed Gaussian and with the stochastic flow on Gymnasium's Pendulum-v1 (usual score: -150 to -250; a
random policy gets about -1200), GRPO on CartPole-v1 (500 is perfect; random 22). Losses, advantages and distributions
are those that the phases use; networks and loops are as small as they can be.

    python -m benchmarks.algorithms --seeds 3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.machine import describe
from f1rl.losses.advantages import generalized_advantages, group_advantages, normalized
from f1rl.losses.policy_gradient import clipped_policy_loss, clipped_value_loss
from f1rl.losses.running import RunningStatistics
from f1rl.models.action_distribution import SquashedGaussian, StochasticFlow

GAMMA, GAE_LAMBDA, CLIP = 0.9, 0.95, 0.2


def mlp(inputs: int, outputs: int, scale: float = 1.0) -> nn.Sequential:
    """Return a small network whose outputs begin near zero."""
    last = nn.Linear(64, outputs)
    nn.init.orthogonal_(last.weight, scale)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), last)


class GaussianActor(nn.Module):
    """Squashed Gaussian of one action entry."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.log_std = mlp(3, 1, 0.01), nn.Parameter(torch.zeros(1))

    def _distribution(self, seen: Tensor) -> SquashedGaussian:
        mean = self.net(seen)
        return SquashedGaussian(mean, self.log_std.expand_as(mean))

    def sample(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return what to store, ``[N, 1]``, and the action."""
        latent = self._distribution(seen).sample()
        return latent, latent.tanh()

    def log_prob(self, seen: Tensor, stored: Tensor) -> Tensor:
        """Return the log-density of stored actions."""
        return self._distribution(seen).log_prob(stored)


class FlowActor(nn.Module):
    """Stochastic flow of one action entry, four denoising steps."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.log_std = mlp(5, 1, 0.01), nn.Parameter(torch.full((1,), -0.7))

    def _flow(self, seen: Tensor) -> StochasticFlow:
        def velocity(points: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
            time_column = times.view(-1, 1, 1).expand(*points.shape[:-1], 1)
            features = torch.cat([seen.expand(len(points), -1, -1), points, time_column], dim=-1)
            return self.net(features), self.log_std.expand_as(points)

        return StochasticFlow(velocity, steps=4)

    def sample(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return what to store, ``[N, K + 1, 1]``, and the action."""
        chain = self._flow(seen).sample((len(seen), 1))
        return chain.transpose(0, 1), chain[-1].tanh()

    def log_prob(self, seen: Tensor, stored: Tensor) -> Tensor:
        """Return the log-density of stored chains."""
        return self._flow(seen).log_prob(stored.transpose(0, 1))


@dataclass
class Rollout:
    """``T`` steps of ``N`` environments."""

    seen: Tensor
    after: Tensor
    stored: Tensor
    log_prob: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor


def scaled(observation: np.ndarray) -> Tensor:
    """Return Pendulum's observation with entries of about one."""
    return torch.from_numpy(observation * np.array([1.0, 1.0, 0.125], np.float32))


def collect(envs: gymnasium.vector.VectorEnv, actor: nn.Module, observation: np.ndarray, steps: int) -> tuple:
    """Return a :class:`Rollout` and the observation after it; episodes are reset in the very step that ends them."""
    columns: list[tuple] = []
    for _ in range(steps):
        seen = scaled(observation)
        with torch.no_grad():
            stored, action = actor.sample(seen)
            log_prob = actor.log_prob(seen, stored)
        observation, reward, terminated, truncated, info = envs.step(2.0 * action.numpy())
        after = observation.copy()
        for i in np.flatnonzero(terminated | truncated):
            after[i] = info["final_obs"][i]
        ends = (torch.from_numpy(terminated), torch.from_numpy(truncated))
        columns.append((seen, scaled(after), stored, log_prob, torch.from_numpy(reward).float(), *ends))
    return Rollout(*(torch.stack(column) for column in zip(*columns, strict=True))), observation


def ppo_on_pendulum(actor: nn.Module, seed: int, steps: int) -> float:
    """Train for ``steps`` steps and return the mean return of the last 100 episodes."""
    envs = gymnasium.make_vec(
        "Pendulum-v1", 16, vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    )
    critic, scale = mlp(3, 1), RunningStatistics()
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3, eps=1e-5)
    observation, _ = envs.reset(seed=seed)
    totals, finished = np.zeros(16), []
    for _ in range(steps // (16 * 200)):
        rollout, observation = collect(envs, actor, observation, 200)
        for reward, ended in zip(rollout.reward.numpy(), (rollout.terminated | rollout.truncated).numpy(), strict=True):
            totals += reward
            finished.extend(totals[ended])
            totals[ended] = 0.0
        scale.update(rollout.reward)
        update_ppo(actor, critic, optimizer, rollout, scale.std)
    envs.close()
    return float(np.mean(finished[-100:]))


def update_ppo(
    actor: nn.Module, critic: nn.Module, optimizer: torch.optim.Optimizer, rollout: Rollout, scale: float
) -> None:
    """Make ten passes over ``rollout`` in mini-batches of 320."""
    with torch.no_grad():
        value, next_value = critic(rollout.seen)[..., 0], critic(rollout.after)[..., 0]
    ends = (rollout.terminated, rollout.truncated)
    got = generalized_advantages(rollout.reward / scale, value, next_value, *ends, gamma=GAMMA, gae_lambda=GAE_LAMBDA)
    valid = torch.ones_like(got.advantage, dtype=torch.bool)
    data = (rollout.seen, rollout.stored, rollout.log_prob, normalized(got.advantage, valid), got.value_target, value)
    flat = [column.flatten(0, 1) for column in data]
    for _ in range(10):
        for rows in torch.randperm(len(flat[0])).split(320):
            seen, stored, old_log_prob, advantage, target, old_value = (column[rows] for column in flat)
            everyone = torch.ones(len(rows), dtype=torch.bool)
            policy = clipped_policy_loss(actor.log_prob(seen, stored), old_log_prob, advantage, everyone, clip=CLIP)
            value_loss = clipped_value_loss(critic(seen)[:, 0], old_value, target, everyone, clip=None)
            optimizer.zero_grad()
            (policy.loss + value_loss).backward()
            nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
            optimizer.step()


def grpo_on_cartpole(seed: int, iterations: int, groups: int = 4, generations: int = 8) -> float:
    """Train on groups of rollouts from equal resets; return the mean length of the last 10 iterations' rollouts."""
    actor = mlp(4, 2, 0.01)
    optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
    envs = gymnasium.make_vec("CartPole-v1", groups * generations, vectorization_mode="sync")
    history: list[float] = []
    for iteration in range(iterations):
        seeds = [1_000_003 * seed + iteration * groups + g for g in range(groups) for _ in range(generations)]
        seen, action, log_prob, valid = roll_cartpole(envs, actor, seeds)
        lengths = valid.sum(0).float()
        history.append(lengths.mean().item())
        advantage = group_advantages(lengths.view(groups, generations)).flatten().expand_as(log_prob)
        for _ in range(4):
            new = torch.distributions.Categorical(logits=actor(seen)).log_prob(action)
            loss = clipped_policy_loss(new, log_prob, advantage, valid, clip=CLIP).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    envs.close()
    return float(np.mean(history[-10:]))


def roll_cartpole(
    envs: gymnasium.vector.VectorEnv, actor: nn.Module, seeds: list[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return observations ``[T, N, 4]``, actions, log-probabilities and which of them are real, one episode each."""
    observation, _ = envs.reset(seed=seeds)
    alive, columns = np.ones(len(seeds), bool), []
    while alive.any():
        seen = torch.from_numpy(observation)
        with torch.no_grad():
            policy = torch.distributions.Categorical(logits=actor(seen))
            action = policy.sample()
        columns.append((seen, action, policy.log_prob(action), torch.from_numpy(alive.copy())))
        observation, _, terminated, truncated, _ = envs.step(action.numpy())
        alive &= ~(terminated | truncated)
    return tuple(torch.stack(column) for column in zip(*columns, strict=True))


def main() -> None:
    """Train each algorithm with each seed and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150_000, help="environment steps of PPO")
    parser.add_argument("--iterations", type=int, default=120, help="updates of GRPO")
    args = parser.parse_args()
    torch.set_num_threads(1)  # faster than two for networks of this size
    print(describe())
    tasks: dict[str, Callable[[int], float]] = {
        "ppo, squashed Gaussian, Pendulum-v1": lambda seed: ppo_on_pendulum(GaussianActor(), seed, args.steps),
        "ppo, stochastic flow, Pendulum-v1": lambda seed: ppo_on_pendulum(FlowActor(), seed, args.steps),
        "grpo, categorical, CartPole-v1": lambda seed: grpo_on_cartpole(seed, args.iterations),
    }
    for name, train in tasks.items():
        scores, started = [], time.perf_counter()
        for seed in range(args.seeds):
            torch.manual_seed(seed)
            scores.append(train(seed))
        seconds = (time.perf_counter() - started) / args.seeds
        each = "  ".join(f"{score:8.1f}" for score in scores)
        print(f"{name:38} {np.mean(scores):8.1f}   seeds: {each}   ({seconds:.0f} s each)", flush=True)


if __name__ == "__main__":
    main()
