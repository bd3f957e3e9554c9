"""Wait for SLURM jobs and tell how each of them ended, as soon as it has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from f1rl.config.schema import Config
from f1rl.errors import EnvironmentFailure, Interrupted
from f1rl.jobs.job import Job, Outcome
from f1rl.jobs.slurm import Submission, Submitted, show
from f1rl.jobs.states import JobState, ask
from f1rl.launch.outcome import read_outcome

_FIRST, _LONGEST = 1.0, 30.0
"""Seconds between two questions to SLURM: few at the beginning, when much goes wrong, and more later."""
_UNANSWERED = 20
"""Questions in a row that may stay without an answer, as they do while SLURM is restarted."""


def wait_for(submitted: Sequence[Submitted]) -> Iterator[Outcome]:
    """Yield the outcome of each job when it has ended.

    A job that SLURM or its own batch script queues again may look ended for a moment, so an end that is not a
    completion counts only if it is seen twice.

    Raises:
        EnvironmentFailure: SLURM does not answer, again and again.
    """
    waiting = {each.id: each for each in submitted}
    before: dict[str, JobState] = {}
    pause, unanswered = _FIRST, 0
    while waiting:
        time.sleep(pause)
        pause = min(1.1 * pause, _LONGEST)
        try:
            now, unanswered = ask(waiting), 0
        except EnvironmentFailure:
            unanswered += 1
            if unanswered > _UNANSWERED:
                raise
            continue
        for name, state in now.items():
            if state.has_ended and (state.state == "COMPLETED" or before.get(name) == state):
                yield _outcome(waiting.pop(name), state)
        before = now


def _outcome(ended: Submitted, state: JobState) -> Outcome:
    """Return how a job ended; the log is that of the rank that knows why, if any says so."""
    noted = read_outcome(ended.outcome)
    log = ended.log(noted.rank if noted else 0)
    return Outcome(ended.job, state.state, state.exit_code, state.seconds, log, ended.id, noted)


def submit_sweep(jobs: Sequence[Job], cfg: Config, folder: Path, *, wait: bool) -> Iterator[Outcome]:
    """Submit ``jobs`` together; if ``wait``, yield the outcome of each when it has ended.

    Raises:
        Interrupted: the user waits no longer; the jobs go on.
    """
    submitted = Submission(jobs, cfg, folder).submit()
    for each in submitted:
        show(each)
    if not wait:
        return
    try:
        yield from wait_for(submitted)
    except KeyboardInterrupt as error:
        ids = sorted({each.id.partition("_")[0] for each in submitted})
        raise Interrupted(f"no longer waiting; the jobs go on. scancel {' '.join(ids)} stops them") from error
