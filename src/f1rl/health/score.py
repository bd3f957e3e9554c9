"""All checks together: a score with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from f1rl.health import learning, operation, policy, world_model
from f1rl.health.evidence import Evidence
from f1rl.health.finding import Finding, Severity

CHECKS: Mapping[str, Callable[[Evidence], Finding | None]] = {
    "alive": operation.alive,
    "not_finite": learning.not_finite,
    "divergence": learning.divergence,
    "loss_trend": learning.loss_trend,
    "oscillation": learning.oscillation,
    "learning_rate": learning.learning_rate,
    "gradients": learning.gradients,
    "copy_last": world_model.copy_last,
    "actions": world_model.actions,
    "memory": world_model.memory,
    "entropy": policy.entropy,
    "kl": policy.update_size,
    "explained_variance": policy.critic,
    "reward": policy.reward,
    "workers": operation.workers,
    "silence": operation.silence,
    "waiting": operation.waiting,
    "gpu": operation.gpu,
}
"""Each returns None if the records do not hold what it needs, or too little of it."""

BANDS = ((90, "excellent"), (70, "good, with small problems"), (50, "clear problems"), (0, "something is wrong"))
"""Lowest score of each band, and what it means."""


@dataclass(frozen=True)
class Health:
    """How a run is."""

    score: int | None
    """100 minus what the findings take, at least 0; None if it is too early to tell."""
    findings: tuple[Finding, ...]
    """What was found wrong, the worst first."""
    judged: tuple[str, ...]
    """Checks that had enough to judge by."""
    not_judged: tuple[str, ...]

    @property
    def band(self) -> str:
        """What the score means."""
        if self.score is None:
            return "too early to tell"
        return next(words for lowest, words in BANDS if self.score >= lowest)

    @property
    def verdict(self) -> str:
        """Return one sentence: the worst finding, or that there is none."""
        return self.findings[0].reason if self.findings else self.band

    def as_record(self) -> dict[str, Any]:
        """Return plain values, for a record."""
        reasons = [{"check": f.name, "severity": f.severity.name.lower(), "reason": f.reason} for f in self.findings]
        return {"score": self.score, "band": self.band, "reasons": reasons, "judged": list(self.judged)}


def judge(evidence: Evidence) -> Health:
    """Return the health of a run: a pure function of its records and a few facts."""
    results = {name: check(evidence) for name, check in CHECKS.items()}
    found = [finding for finding in results.values() if finding is not None]
    wrong = tuple(sorted((f for f in found if f.severity), key=lambda f: -f.severity))
    early = evidence.length < learning.FEWEST and evidence.evaluations < 3
    alarm = any(f.severity == Severity.CRITICAL for f in wrong)
    score = None if early and not alarm else max(0, 100 - sum(f.severity for f in wrong))
    judged = tuple(name for name, finding in results.items() if finding is not None)
    return Health(score, wrong, judged, tuple(name for name in CHECKS if name not in judged))
