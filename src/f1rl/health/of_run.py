"""The health of a run, from the files of its directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from f1rl.health.evidence import Facts, evidence_of
from f1rl.health.score import Health, judge
from f1rl.records.reader import RunRecords


def run_health(run: RunRecords, now: float | None = None, gpu_utilisation: float | None = None) -> Health:
    """Return the health of ``run`` at Unix time ``now`` (default: the clock's).

    Args:
        run: the records; those of the whole run, not only the newest.
        now: what the silence since the newest record is measured from.
        gpu_utilisation: of the GPU that trains, in percent; None if it is unknown from here.
    """
    now = time.time() if now is None else now
    status, newest = run.status(now), run.train.last.get("timestamp")
    facts = Facts(
        **config_facts(run.config),
        share=run.progress().share,
        status=status.name,
        detail=status.detail,
        silence=max(now - newest, 0.0) if newest is not None and status.is_going_on else None,
        restarts=_restarts(run.live),
        gpu_utilisation=gpu_utilisation,
    )
    return judge(evidence_of(run.train, run.val, facts))


def config_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that a run's configuration holds, as far as it has the usual keys."""
    bptt, phase = config.get("bptt"), config.get("phase")
    return {
        "carries_memory": bptt.get("sequential_training") if isinstance(bptt, Mapping) else None,
        "grad_clip": phase.get("grad_clip") if isinstance(phase, Mapping) else None,
    }


def _restarts(live: Mapping[str, Any]) -> int | None:
    workers = live.get("workers")
    return sum(worker.get("restarts", 0) for worker in workers) if workers else None
