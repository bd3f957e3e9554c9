"""What is kept of an explorer's decisions until its policy learns from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from f1rl.models.explorer import Decision, Situation
from f1rl.rollout.source import TokenizedEpisode


@dataclass
class Rollout:
    """``E`` whole episodes of up to ``D`` decisions, and what was known when each of the ``M`` real ones was made."""

    situation: Situation
    """Of the ``M`` decisions; of none if nobody learns from the player."""
    stored: Tensor
    """``float32 [M, ...]``, see :attr:`f1rl.models.explorer.Decision.stored`."""
    log_prob: Tensor
    """``float32 [M]``, when it was made."""
    value: Tensor
    """``float32 [M]``, when it was made."""
    row: Tensor
    """``int64 [D, E]``: the number of each decision, 0 in the padding."""
    valid: Tensor
    """``bool [D, E]``."""
    steps: Tensor
    """``float32 [D, E]``: how many steps each decision lasted, 0 in the padding."""
    terms: dict[str, Tensor]
    """Reward terms ``float32 [D, E]`` by name, summed over the steps that a decision lasted, 0 in the padding."""
    last_value: Tensor
    """``float32 [E]``, of what each episode's last decision led to."""
    terminated: Tensor
    """``bool [E]``; the others were truncated."""
    episodes: list[TokenizedEpisode]
    """In the order in which they were asked for."""
    measures: dict[str, Tensor]
    """``float32 [E]`` by name: means over an episode's steps."""
    position: dict[str, int] = field(default_factory=dict)
    """Where the stream of rollouts stands after this one; what a checkpoint stores."""

    @property
    def finished(self) -> list[TokenizedEpisode]:
        """Its episodes, all of them whole."""
        return self.episodes

    @property
    def num_decisions(self) -> int:
        """``M``."""
        return len(self.log_prob)

    @property
    def num_steps(self) -> int:
        """Environment steps."""
        return sum(len(episode) for episode in self.episodes)

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """Return what was played at the same time as one rollout, its episodes by number."""
        if len(parts) == 1:
            return parts[0]
        episodes = [episode for part in parts for episode in part.episodes]
        order = sorted(range(len(episodes)), key=lambda place: episodes[place].index)
        longest = max(len(part.valid) for part in parts)

        def side_by_side(tables: Sequence[Tensor]) -> Tensor:
            """Return ``[D_i, E_i]`` each as ``[D, E]``, padded with zeros."""
            return torch.cat([F.pad(table, (0, 0, 0, longest - len(table))) for table in tables], dim=1)[:, order]

        before = [0, *itertools.accumulate(part.num_decisions for part in parts)]
        rows = [(part.row + first) * part.valid for part, first in zip(parts, before, strict=False)]
        return cls(
            Situation.concatenate([part.situation for part in parts]),
            *(torch.cat([getattr(part, name) for part in parts]) for name in ("stored", "log_prob", "value")),
            row=side_by_side(rows),
            valid=side_by_side([part.valid for part in parts]),
            steps=side_by_side([part.steps for part in parts]),
            terms={name: side_by_side([part.terms[name] for part in parts]) for name in parts[0].terms},
            last_value=torch.cat([part.last_value for part in parts])[order],
            terminated=torch.cat([part.terminated for part in parts])[order],
            episodes=[episodes[place] for place in order],
            measures={name: torch.cat([part.measures[name] for part in parts])[order] for name in parts[0].measures},
        )

    def to(self, device: torch.device) -> Self:
        """Return the rollout with its tensors on ``device``; the episodes stay where they are."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        moved |= {name: value.to(device) for name, value in moved.items() if isinstance(value, Tensor | Situation)}
        for name in ("terms", "measures"):
            moved[name] = {key: value.to(device) for key, value in moved[name].items()}
        return type(self)(**moved)

    def arranged(self, values: Tensor) -> Tensor:
        """Return ``values [M]`` as ``[D, E]``, 0 in the padding."""
        return values[self.row].masked_fill(~self.valid, 0.0)


@dataclass
class _Notes:
    """The running episode of one scene."""

    rows: list[int] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    terms: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)


class RolloutRecorder:
    """Collects decisions, rewards and episodes of ``N`` scenes while they are played."""

    def __init__(self, num_scenes: int, *, learned_from: bool) -> None:
        """Start with nothing.

        Args:
            num_scenes: ``N``.
            learned_from: keep the situations of decisions, by far the largest part of a rollout.
        """
        self._learned_from = learned_from
        self._notes = [_Notes() for _ in range(num_scenes)]
        self._kept: list[tuple[Situation, Tensor, Tensor, Tensor]] = []
        self._count = 0
        self._ended: list[tuple[TokenizedEpisode, _Notes, float, bool]] = []

    def decided(self, scenes: Tensor, situation: Situation, decision: Decision, value: Tensor) -> None:
        """Keep the decisions of the scenes ``int64 [M']``, with the values ``float32 [M']`` of their situations."""
        kept = situation if self._learned_from else situation[torch.arange(0)]
        self._kept.append((kept, decision.stored, decision.log_prob, value))
        for scene in scenes.tolist():
            self._notes[scene].rows.append(self._count)
            self._notes[scene].steps.append(0.0)
            self._notes[scene].terms.append({})
            self._count += 1

    def stepped(self, scenes: Tensor, terms: dict[str, Tensor]) -> None:
        """Count a step of the scenes ``int64 [M']`` and add its terms, ``float32 [M']`` by name."""
        for scene in scenes.tolist():
            self._notes[scene].steps[-1] += 1.0
        self._add([self._notes[scene].terms[-1] for scene in scenes.tolist()], terms)

    def judged(
        self, scenes: Tensor, whole: dict[str, Tensor], per_step: dict[str, Tensor], measures: dict[str, Tensor]
    ) -> None:
        """Add what the newest decision of each scene ``int64 [M']`` led to, ``float32 [M']`` by name.

        Args:
            scenes: whose decisions end.
            whole: terms of the whole decision.
            per_step: terms of the frame at its end, which stands for all of its steps.
            measures: likewise.
        """
        notes = [self._notes[scene] for scene in scenes.tolist()]
        steps = [one.steps[-1] for one in notes]
        self._add([one.terms[-1] for one in notes], whole)
        self._add([one.terms[-1] for one in notes], per_step, steps)
        self._add([one.sums for one in notes], measures, steps)

    @staticmethod
    def _add(
        sums: Sequence[dict[str, float]], columns: dict[str, Tensor], times: Sequence[float] | None = None
    ) -> None:
        for name, column in columns.items():
            for into, number, factor in zip(sums, column.tolist(), times or [1.0] * len(sums), strict=True):
                into[name] = into.get(name, 0.0) + number * factor

    def ended(self, scene: int, episode: TokenizedEpisode, value: float) -> None:
        """Close the episode of a scene; ``value`` is that of its last frame."""
        self._ended.append((episode, self._notes[scene], value, episode.episode.terminated))
        self._notes[scene] = _Notes()

    def rollout(self) -> Rollout:
        """Put the finished episodes side by side, by number.

        Raises:
            ValueError: if no episode has ended.
        """
        if not self._ended:
            raise ValueError("no episode has ended; a rollout needs one at least")
        ended = sorted(self._ended, key=lambda entry: entry[0].index)
        episodes, notes, values, terminated = zip(*ended, strict=True)
        situations, *kept = zip(*self._kept, strict=True)
        longest = max(len(one.rows) for one in notes)
        shape = (longest, len(ended))
        row, valid = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
        steps, terms = torch.zeros(shape), {name: torch.zeros(shape) for name in notes[0].terms[0]}
        for e, one in enumerate(notes):
            count = len(one.rows)
            row[:count, e], valid[:count, e] = torch.tensor(one.rows), True
            steps[:count, e] = torch.tensor(one.steps)
            for name, column in terms.items():
                column[:count, e] = torch.tensor([entry[name] for entry in one.terms])
        lengths = torch.tensor([float(len(episode)) for episode in episodes])
        measures: dict[str, Any] = {name: [one.sums[name] for one in notes] for name in notes[0].sums}
        return Rollout(
            Situation.concatenate(situations),
            *map(torch.cat, kept),
            row=row,
            valid=valid,
            steps=steps,
            terms=terms,
            last_value=torch.tensor(values),
            terminated=torch.tensor(terminated),
            episodes=list(episodes),
            measures={name: torch.tensor(sums) / lengths for name, sums in measures.items()},
        ).to(kept[0][0].device)
