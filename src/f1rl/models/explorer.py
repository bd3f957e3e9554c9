"""The explorer: F1's action expert as a policy whose densities can be computed again, and a value function.

The world model sees and remembers, frozen; the explorer reads the keys and values that the world model made of the
pictures, and its memory. It never sees the action that it is about to choose, nor anything predicted from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import torch
from torch import Tensor, nn

from f1rl.models.action_distribution import SquashedGaussian, StochasticFlow
from f1rl.models.action_expert import ActionExpert
from f1rl.models.config import ModelConfig
from f1rl.models.experts import build_expert
from f1rl.models.joint_attention import Cache, joint_attention
from f1rl.models.observed import Observed

PolicyKind = Literal["gaussian", "flow"]
LOG_STD_RANGE = (-4.0, 0.5)
"""Bounds of the noise's log-scale, before squashing: from a hundredth of the range to nearly uniform."""


@dataclass
class Situation:
    """What ``N`` decisions are made from; all of it comes from the frozen world model, so nothing has a gradient."""

    cache: Cache
    """Keys and values ``[N, kv_heads, tokens, head_dim]`` of every layer."""
    pooled: Tensor
    """``float32 [N, width]``, mean output of the understanding expert."""
    state: Tensor
    """``float32 [N, S]``."""
    recalled: Tensor
    """``float32 [N, hidden]``, top layer of the memory."""

    @classmethod
    def of(cls, seen: Observed) -> Self:
        """Return the parts of ``seen``, past frames included, that a decision is made from, without gradients."""
        cache = [(key.detach(), value.detach()) for key, value in seen.cache]
        return cls(cache, seen.pooled.detach(), seen.state.detach(), seen.recalled.detach())

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the situations of all ``parts``, one after the other."""
        layers = zip(*(part.cache for part in parts), strict=True)
        cache = [tuple(torch.cat(column) for column in zip(*layer, strict=True)) for layer in layers]
        rest = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls) if f.name != "cache"}
        return cls(cache, **rest)

    def to(self, device: torch.device) -> Self:
        """Return the situations on ``device``."""
        cache = [(key.to(device), value.to(device)) for key, value in self.cache]
        return type(self)(cache, *(part.to(device) for part in (self.pooled, self.state, self.recalled)))

    def __getitem__(self, rows: Tensor) -> Self:
        """Return the situations ``rows``, ``int64 [M]``."""
        cache = [(key[rows], value[rows]) for key, value in self.cache]
        return type(self)(cache, self.pooled[rows], self.state[rows], self.recalled[rows])


@dataclass
class Decision:
    """``N`` chosen chunks, with what their densities need to be computed again."""

    action: Tensor
    """``float32 [N, H, A]`` in (-1, 1), zero in the padding."""
    stored: Tensor
    """What :meth:`Explorer.log_prob` takes: ``float32 [N, 1, H, D]`` before squashing, or the whole chain of a flow
    ``float32 [N, K + 1, H, D]``."""
    log_prob: Tensor
    """``float32 [N]``, nats per chunk, real entries only."""


class Explorer(nn.Module):
    """Chooses chunks of ``H`` actions with ``D`` real entries each.

    Args:
        config: sizes of the model whose keys and values it reads.
        kind: ``gaussian`` (a squashed Gaussian around what the chunk's tokens say) or ``flow`` (the flow-matching
            head, sampled as a Markov chain).
        action_mask: which of the ``A`` action entries are real.
        executed: actions of a chunk that are carried out before the next decision; a Gaussian's density counts only
            these, a flow's the whole chain, in which they hang together.
        initial_std: spread of the actions before squashing when learning begins.

    Raises:
        ValueError: if no action entry is real, or ``executed`` does not lie between 1 and ``H``.
    """

    real: Tensor

    def __init__(
        self, config: ModelConfig, kind: PolicyKind, action_mask: Sequence[bool], executed: int, initial_std: float
    ) -> None:
        super().__init__()
        act = config.act
        if not any(action_mask):
            raise ValueError("action_mask has no real entry; an explorer needs something to do")
        if not 1 <= executed <= act.chunk:
            raise ValueError(f"executed is {executed}; it must lie between 1 and model.act.chunk = {act.chunk}")
        self.config, self.kind, self.executed = config, kind, executed
        self.register_buffer("real", torch.tensor(action_mask).nonzero()[:, 0], persistent=False)
        entries = len(self.real)
        self.published = ActionExpert(config) if kind == "flow" and act.published_heads else None
        if self.published is None:
            self._build(entries)
        spread = initial_std / act.denoising_steps**0.5 if kind == "flow" else initial_std
        self.log_std = nn.Parameter(torch.full((act.chunk, entries), float(torch.tensor(spread).log())))
        features = config.und.width + config.memory.hidden + config.state_dim
        self.value_head = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, 128), nn.SiLU(), nn.Linear(128, 1))
        nn.init.zeros_(self.value_head[-1].weight)
        nn.init.zeros_(self.value_head[-1].bias)

    def _build(self, entries: int) -> None:
        act, attention = self.config.act, self.config.attention
        self.expert = build_expert(attention, act.width, act.mlp_width)
        self.state_token = nn.Linear(self.config.state_dim, act.width)
        self.memory_token = nn.Linear(self.config.memory.hidden, act.width)
        self.place = nn.Parameter(torch.randn(act.chunk, act.width) * attention.init_std)
        # A flow's tokens also carry the noisy chunk and the time of the denoising step.
        self.noisy = nn.Linear(entries + 1, act.width) if self.kind == "flow" else None
        self.norm = nn.LayerNorm(act.width)
        self.mean = nn.Linear(act.width, entries)
        nn.init.zeros_(self.mean.bias)
        nn.init.normal_(self.mean.weight, std=0.01)  # the first policy explores around standing still

    @property
    def num_entries(self) -> int:
        """``D``, real action entries."""
        return len(self.real)

    @torch.no_grad()
    def decide(
        self, situation: Situation, *, deterministic: bool = False, generator: torch.Generator | None = None
    ) -> Decision:
        """Choose a chunk in each of ``N`` situations.

        Args:
            situation: what is seen and remembered.
            deterministic: take the Gaussian's mean, or a flow's noise-free path from zero, instead of a sample.
            generator: of the noise; on the device of ``situation``.
        """
        if self.kind == "flow":
            flow, shape = self._flow(situation), (len(situation.state), self.config.act.chunk, self.num_entries)
            chain = self._path(flow, situation) if deterministic else flow.sample(shape, generator, **_kind(situation))
            stored, log_prob = chain.transpose(0, 1), flow.log_prob(chain).sum(-1)
        else:
            gaussian = self._gaussian(situation)
            stored = (gaussian.mean if deterministic else gaussian.sample(generator))[:, None]
            log_prob = gaussian.log_prob(stored[:, 0])[:, : self.executed].sum(-1)
        chosen = stored[:, -1].tanh()
        action = chosen.new_zeros(*chosen.shape[:-1], self.config.action_dim)
        action[..., self.real] = chosen
        return Decision(action, stored, log_prob)

    def log_prob(self, situation: Situation, stored: Tensor) -> Tensor:
        """Return the log-density ``float32 [N]`` of stored decisions in nats; see :meth:`density`."""
        return self.density(situation, stored)[0]

    def density(self, situation: Situation, stored: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a policy gradient needs of stored decisions, with gradients, from one run of the expert.

        Returns:
            The log-density ``float32 [N]`` in nats, and the entropy ``float32 [N]`` in nats per real entry (of a flow:
            and denoising step).
        """
        if self.kind == "flow":
            log_prob, entropy = self._flow(situation).density(stored.transpose(0, 1))
            return log_prob.sum(-1), entropy.mean(-1)
        gaussian = self._gaussian(situation)
        log_prob = gaussian.log_prob(stored[:, 0])
        return log_prob[:, : self.executed].sum(-1), gaussian.entropy()[:, : self.executed].mean(-1)

    def value(self, situation: Situation) -> Tensor:
        """Return the expected return ``float32 [N]``, in units of the scaled rewards."""
        return self.value_head(torch.cat([situation.pooled, situation.recalled, situation.state], dim=-1))[:, 0]

    def _tokens(self, situation: Situation, extra: Tensor | None = None) -> Tensor:
        """Run the expert and return the outputs ``[N, H, width]`` of the chunk's tokens."""
        chunk = self.place.expand(len(situation.state), -1, -1)
        if extra is not None:
            chunk = chunk + self.noisy(extra)
        single = torch.stack([self.memory_token(situation.recalled), self.state_token(situation.state)], dim=1)
        (hidden,), _ = joint_attention([self.expert], [torch.cat([single, chunk], dim=1)], situation.cache, None)
        return self.norm(hidden[:, 2:])

    def _gaussian(self, situation: Situation) -> SquashedGaussian:
        mean = self.mean(self._tokens(situation))
        return SquashedGaussian(mean, self.log_std.clamp(*LOG_STD_RANGE).expand_as(mean))

    def _flow(self, situation: Situation) -> StochasticFlow:
        speed = self._own_speed(situation) if self.published is None else self._published_speed(situation)

        def velocity(points: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
            # In turn: together they would need the keys K times.
            speeds = [speed(point, moment) for point, moment in zip(points, times, strict=True)]
            return torch.stack(speeds), self.log_std.clamp(*LOG_STD_RANGE).expand_as(points)

        return StochasticFlow(velocity, self.config.act.denoising_steps)

    def _own_speed(self, situation: Situation) -> Callable[[Tensor, Tensor], Tensor]:
        def speed(point: Tensor, moment: Tensor) -> Tensor:
            column = moment.expand(*point.shape[:-1], 1)
            return self.mean(self._tokens(situation, torch.cat([point, column], dim=-1)))

        return speed

    def _published_speed(self, situation: Situation) -> Callable[[Tensor, Tensor], Tensor]:
        """The published flow runs from time 1 to 0 and predicts where it comes from, not where it goes."""
        context = self.published.context(situation.cache, situation.state, situation.recalled)

        def speed(point: Tensor, moment: Tensor) -> Tensor:
            padded = point.new_zeros(*point.shape[:-1], self.config.action_dim)
            padded[..., self.real] = point
            return -self.published.velocity(context, padded, (1 - moment).expand(len(point)))[..., self.real]

        return speed

    def _path(self, flow: StochasticFlow, situation: Situation) -> Tensor:
        """Return the chain ``[K + 1, N, H, D]`` that begins at zero and has no noise."""
        shape = (1, len(situation.state), self.config.act.chunk, self.num_entries)
        chain = [situation.state.new_zeros(shape)]
        for k in range(flow.steps):
            speed, _ = flow.velocity(chain[-1], situation.state.new_tensor([k / flow.steps]))
            chain.append(chain[-1] + speed / flow.steps)
        return torch.cat(chain)


def _kind(situation: Situation) -> dict[str, object]:
    return {"device": situation.state.device, "dtype": situation.state.dtype}
