"""Checks of what every training has: a loss, a learning rate, gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f1rl.health.evidence import Evidence
from f1rl.health.finding import Finding, Severity, fine
from f1rl.records.statistics import rolling_mean, trend

FEWEST = 20
"""Training records from which on anything is said about how they develop."""

LEARNING_RATES = (1e-7, 1e-2)
"""Peak learning rates outside of which AdamW hardly learns, or hardly stays stable."""

_SETTLED = 50  # records after which a loss must have begun to fall
_LOWER = "lower phase.learning_rate (a third is a good first try) or raise phase.warmup_steps"


@dataclass(frozen=True)
class Course:
    """A loss in a few numbers: means over a twentieth of the run, at least ten records."""

    start: float
    best: float
    now: float
    noise: float
    """Standard error of such a mean."""
    swing: float
    """Spread of the newest tenth around its own line (a robust standard deviation)."""

    @property
    def gained(self) -> float:
        """How far the loss came down, and never less than what its noise could pretend."""
        return max(self.start - self.best, 3 * self.noise, 1e-12)


def course(loss: np.ndarray) -> Course | None:
    """Return the course of ``loss``; None if there is too little of it."""
    if len(loss) < FEWEST:
        return None
    window = max(10, len(loss) // 20)
    means = rolling_mean(loss, window)[window - 1 :]
    newest = loss[-max(FEWEST, len(loss) // 10) :]
    position = np.arange(len(newest))
    rest = newest - np.polyval(np.polyfit(position, newest, 1), position)
    low, high = np.percentile(rest, (10, 90))
    swing = float(high - low) / 2.56  # of a normal distribution, 80 % lie within 2.56 standard deviations
    noise = float(rest.std()) / window**0.5
    return Course(float(means[0]), float(means.min()), float(means[-1]), noise, swing)


def not_finite(evidence: Evidence) -> Finding | None:
    """Look for numbers that are infinite or undefined."""
    if not evidence.length:
        return None
    if not evidence.not_finite:
        return fine("not_finite", "all numbers are finite")
    seen = ", ".join(f"{name} ({count}x)" for name, count in evidence.not_finite.items())
    # A gradient scaler of 16-bit training skips an update with an infinite gradient; a loss has no such excuse.
    skipped = set(evidence.not_finite) == {"grad_norm"} and evidence.not_finite["grad_norm"] <= 2
    severity = Severity.NOTE if skipped else Severity.CRITICAL
    advice = f"go back to a checkpoint before it and {_LOWER}; debug=nan names the operation"
    return Finding("not_finite", severity, f"infinite or undefined numbers in the newest records: {seen}", advice)


def divergence(evidence: Evidence) -> Finding | None:
    """Look whether the loss has left its best level for good."""
    found = _supervised(evidence)
    if found is None:
        return None
    rise = found.now - found.best
    words = f"the loss is {found.now:.4g} after a best of {found.best:.4g}"
    if rise > max(0.5 * found.gained, 5 * found.noise, 0.05 * abs(found.best)):
        return Finding("divergence", Severity.CRITICAL, f"{words}: most of what was learned is lost", _resume())
    if rise > max(0.15 * found.gained, 5 * found.noise, 0.02 * abs(found.best)):
        return Finding("divergence", Severity.SERIOUS, f"{words}: it rises", _resume())
    return fine("divergence", f"{words}: no lasting rise")


def loss_trend(evidence: Evidence) -> Finding | None:
    """Look whether the loss has fallen at all, and whether it still does while there is time left."""
    found, loss = _supervised(evidence), evidence.series("loss")
    if found is None or len(loss) < _SETTLED:
        return None
    fallen = found.start - found.best
    if fallen < max(5 * found.noise, 0.01 * abs(found.start)):  # the best of many means is low by chance, too
        reason = f"the loss has not fallen since the start ({found.start:.4g}, at best {found.best:.4g})"
        advice = "raise phase.learning_rate if gradients are small, lower it if the loss oscillates; look at samples/"
        return Finding("loss_trend", Severity.SERIOUS, reason, advice)
    if (plateau := _plateau(evidence, loss, found)) is not None:
        return plateau
    return fine("loss_trend", f"the loss has come down from {found.start:.4g} to {found.now:.4g}")


def _plateau(evidence: Evidence, loss: np.ndarray, found: Course) -> Finding | None:
    """Return a finding if the loss surely falls no more, and there is time left in which it should."""
    share = evidence.facts.share
    if len(loss) < 4 * _SETTLED or share is None or share > 0.7:
        return None
    line, count = trend(np.arange(len(loss), dtype=float), loss), max(len(loss) // 4, 10)
    if (line.slope - line.half_width) * count < -0.05 * found.gained:
        return None
    reason = (
        f"the loss no longer falls: {line.slope * count:+.2g} over the newest quarter, and the run is at {share:.0%}"
    )
    return Finding("plateau", Severity.NOTE, reason, "it may have converged; else a larger model or more variety")


def oscillation(evidence: Evidence) -> Finding | None:
    """Look how far the loss swings from record to record, against its level and against what was gained."""
    found = _supervised(evidence)
    if found is None:
        return None
    swing = found.swing / max(abs(found.now), found.gained)
    words = f"the loss swings by {found.swing:.3g} around {found.now:.4g}"
    if swing > 0.25:
        severity = Severity.SERIOUS if swing > 0.5 else Severity.MINOR
        return Finding("oscillation", severity, words, f"{_LOWER}, or raise phase.accumulate_grad_batches")
    return fine("oscillation", words)


def learning_rate(evidence: Evidence) -> Finding | None:
    """Compare the highest learning rate so far with the usual range."""
    rates = evidence.series("lr")
    if len(rates) < FEWEST:
        return None
    low, high = LEARNING_RATES
    peak = float(rates.max())
    words = f"the learning rate reached {peak:.2g}"
    if peak > high:
        return Finding("learning_rate", Severity.MINOR, f"{words}, above {high:g}: unstable as a rule", _LOWER)
    if peak < low:
        advice = "raise phase.learning_rate; 1e-5 to 5e-3 is usual"
        return Finding("learning_rate", Severity.MINOR, f"{words} only, below {low:g}: too slow", advice)
    return fine("learning_rate", words)


def gradients(evidence: Evidence) -> Finding | None:
    """Look for gradients that vanish, explode, or are clipped to a small part of themselves."""
    norms, clip = evidence.series("grad_norm"), evidence.facts.grad_clip
    if len(norms) < FEWEST:
        return None
    now, before = float(np.median(norms[-100:])), float(np.median(norms))
    if now < 1e-7:
        reason = f"the gradient norm is {now:.2g}: nothing is learned any more"
        return Finding("gradients", Severity.SERIOUS, reason, "look which parts are frozen, and at the loss")
    if clip and now > 20 * clip:
        reason = f"the gradient norm is {now:.3g}, {now / clip:.0f} times phase.grad_clip"
        return Finding("gradients", Severity.MINOR, reason, f"{_LOWER}: clipping hides how steep the loss is")
    if now > 10 * before:
        reason = f"the gradient norm is {now:.3g}, {now / before:.0f} times that of the run so far"
        return Finding("gradients", Severity.MINOR, reason, _LOWER)
    return fine("gradients", f"the gradient norm is {now:.3g}")


def _supervised(evidence: Evidence) -> Course | None:
    """Return the course of a loss that is to fall; the loss of a policy gradient has no level that means anything."""
    return None if "policy_loss" in evidence.train else course(evidence.series("loss"))


def _resume() -> str:
    return f"go on from a checkpoint before the rise (resume=PATH output_dir=NEW) and {_LOWER}"
