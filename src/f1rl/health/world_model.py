"""Checks of a world model on held-out episodes: does it beat copying, and does it use what it is told?"""

from __future__ import annotations

from f1rl.health.evidence import Evidence
from f1rl.health.finding import Finding, Severity, fine

_BEATEN_BY = 0.3  # share of the run after which copying must be beaten
_USED_BY = 0.4  # share of the run after which actions and memory must matter,
_USED_AFTER = 20_000  # and environment steps: before, even model=tiny has only begun to learn what moves
_NEGLIGIBLE = 5e-4  # of the loss: as good as nothing, however small its standard error


def copy_last(evidence: Evidence) -> Finding | None:
    """Compare the world model with copying the last frame, and with knowing token frequencies alone."""
    loss, copied = evidence.newest("val_loss"), evidence.newest("val_copy_last_loss")
    if loss is None or copied is None:
        return None
    words = f"held-out loss {loss:.4g}, copying the last frame {copied:.4g}"
    if loss < copied:
        return fine("copy_last", words)
    if not evidence.is_mature(_BEATEN_BY):
        return None
    unigram = evidence.newest("val_unigram_loss")
    if unigram is not None and loss > unigram:
        reason = f"{words}, token frequencies alone {unigram:.4g}: nothing was learned, or all of it was lost"
        return Finding("copy_last", Severity.CRITICAL, reason, "start again with a lower phase.learning_rate")
    advice = "train longer, or with less variety at first (randomization.random_background=false); look at samples/"
    return Finding("copy_last", Severity.SERIOUS, f"{words}: the world model is worse than no model", advice)


def actions(evidence: Evidence) -> Finding | None:
    """Look whether the prediction gets worse with another episode's action."""
    return _usefulness(
        evidence,
        "actions",
        "val_action_sensitivity",
        "what the arm does makes no difference to the prediction",
        "check that actions and frames are aligned and actions are normalised; train longer",
    )


def memory(evidence: Evidence) -> Finding | None:
    """Look whether the prediction gets worse with an empty memory."""
    if evidence.facts.carries_memory is False:
        return None
    return _usefulness(
        evidence,
        "memory",
        "val_memory_gain",
        "the memory makes no difference to the prediction",
        "lower phase.memory_lr_ratio (gates that close stay closed), use longer windows (bptt=16), or an environment "
        "where the past matters",
    )


def _usefulness(evidence: Evidence, name: str, metric: str, meaning: str, advice: str) -> Finding | None:
    """Judge a loss difference by its standard error, and by the loss itself."""
    gain, loss = evidence.newest(metric), evidence.newest("val_loss")
    error = evidence.newest(f"{metric}_stderr") or 0.0
    if gain is None or loss is None:
        return None
    label = metric.removeprefix("val_").replace("_", " ")
    words = f"{label} {gain:+.3g} ± {error:.1g} nats per token"
    if gain > max(2 * error, _NEGLIGIBLE * abs(loss)):
        return fine(name, words)
    steps = evidence.series("env_step")
    if not evidence.is_mature(_USED_BY) or (len(steps) and steps[-1] < _USED_AFTER):
        return None
    return Finding(name, Severity.SERIOUS, f"{words}: {meaning}", advice)
