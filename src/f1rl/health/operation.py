"""Checks of how a run works rather than of what it learns: alive, its workers, who waits for whom."""

from __future__ import annotations

import numpy as np

from f1rl.health.evidence import Evidence
from f1rl.health.finding import Finding, Severity, fine
from f1rl.records.status import DEAD, GOING_ON, age

_NEWEST = 200  # records in which a worker's death still matters
_QUIET = 60.0  # seconds without a record that are always allowed


def alive(evidence: Evidence) -> Finding | None:
    """Look whether the run ended badly."""
    facts = evidence.facts
    if facts.status == DEAD:
        reason = f"the run is dead: {facts.detail}"
        return Finding("alive", Severity.CRITICAL, reason, "go on with the same command and resume=auto; see logs/")
    if facts.status == "failed":
        reason = f"the run failed: {facts.detail}"
        return Finding("alive", Severity.CRITICAL, reason, "mend that, then go on with resume=auto; see logs/")
    return fine("alive", f"the run is {facts.status}") if facts.status else None


def silence(evidence: Evidence) -> Finding | None:
    """Look whether a run that goes on has stopped writing records: a worker that hangs is first seen here."""
    facts, stamps = evidence.facts, evidence.series("timestamp")
    if facts.silence is None or facts.status not in GOING_ON or len(stamps) < 2:
        return None
    gaps = np.diff(stamps[-_NEWEST:])
    longest = max(float(np.max(gaps)) * 3, _QUIET)  # evaluations and checkpoints make gaps of their own
    words = f"newest record {age(facts.silence)} ago"
    if facts.silence > longest:
        advice = "a worker may hang (it is replaced after rollout.step_timeout): see logs/env/, or py-spy dump"
        return Finding("silence", Severity.SERIOUS, f"{words}, although the run goes on", advice)
    return fine("silence", words)


def workers(evidence: Evidence) -> Finding | None:
    """Count episodes over which a worker died or hung, and workers that were replaced."""
    attempts, restarts = evidence.series("attempts")[-_NEWEST:], evidence.facts.restarts
    if not len(attempts) and restarts is None:
        return None
    lost = int((attempts > 1).sum())
    words = f"{lost} of the newest {len(attempts)} episodes had to be begun again"
    if restarts is not None:
        words += f", {restarts} workers replaced"
    if not lost and not restarts:
        return fine("workers", words)
    share = lost / max(len(attempts), 1)
    severity = Severity.SERIOUS if share > 0.1 else Severity.MINOR if share > 0.02 else Severity.NOTE
    advice = "see logs/env/ for where workers die or hang; fewer rollout.num_workers if memory is short; f1rl doctor"
    return Finding("workers", severity, words, advice)


def waiting(evidence: Evidence) -> Finding | None:
    """Look whether training waits for episodes most of the time."""
    shares = evidence.series("wait_env_share")
    if not len(shares):
        return None
    share = float(shares[-1])
    words = f"training waits for episodes {share:.0%} of the time"
    if share > 0.5:
        severity = Severity.MINOR if share > 0.75 else Severity.NOTE
        return Finding("waiting", severity, words, "raise rollout.num_workers, or lower the resolution of the cameras")
    return fine("waiting", words)


def gpu(evidence: Evidence) -> Finding | None:
    """Look whether the GPU that trains is used."""
    used = evidence.facts.gpu_utilisation
    if used is None:
        return None
    words = f"the GPU is busy {used:.0f} % of the time"
    if used < 50:
        return Finding("gpu", Severity.NOTE, words, "raise phase.batch_size, or rollout.num_workers if training waits")
    return fine("gpu", words)
