"""Processes that collect episodes while the caller does something else.

Data path: ``submit`` hands a request to a worker, the worker runs the whole episode into a slot of its shared memory
without a message in between, ``next`` copies it out. There is no thread on the caller's side; a worker that has been
given several requests goes from one to the next by itself. A worker that dies, or that gives no sign of life for too
long, is killed and replaced, and starts its unfinished episodes again from their seeds: the caller gets the same
episodes in the same order, only later.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from multiprocessing import connection
from pathlib import Path
from typing import NoReturn, Self

from f1rl_envs import registry
from f1rl_envs.collect import copy_episode
from f1rl_envs.errors import EnvError, WorkerError
from f1rl_envs.shared_memory import require_memory
from f1rl_envs.spec import EnvSpec, Episode, EpisodeRequest
from f1rl_envs.worker_handle import Ticket, WorkerHandle

_log = logging.getLogger(__name__)


class EpisodeWorkers:
    """Collects episodes of random actions in worker processes and delivers them in the order of submission.

    The kernel ends the workers when the thread that started them ends, so use one object from one lasting thread.

    Attributes:
        spec: what the environment looks like.
        restarts: how many processes had to be replaced.
    """

    def __init__(
        self,
        env_config: Mapping[str, object],
        num_workers: int,
        *,
        slots_per_worker: int = 4,
        start_timeout: float,
        step_timeout: float,
        max_restarts: int,
        log_dir: Path | None,
    ) -> None:
        """Start the processes; does not wait for them.

        Args:
            env_config: configuration for :func:`f1rl_envs.registry.make`.
            num_workers: processes, each with an environment of its own.
            slots_per_worker: episodes that each can hold, finished or not.
            start_timeout: seconds that each stage of a start (import, scene, first picture) may take.
            step_timeout: seconds that each later reset and step may take.
            max_restarts: processes that may be replaced, over all workers, before :class:`WorkerError`.
            log_dir: folder for ``worker_{i}.log``; None keeps logs in a temporary folder, unless an error names them.

        Raises:
            ValueError: if the configuration is wrong.
            EnvError: if there is not enough memory for the episodes, or a process cannot be started.
        """
        if num_workers < 1 or slots_per_worker < 1:
            raise ValueError(f"num_workers is {num_workers}, slots_per_worker is {slots_per_worker}: both must be >= 1")
        self.spec: EnvSpec = registry.spec(env_config)
        require_memory(self.spec, num_workers * slots_per_worker)
        self.restarts = 0
        self._max_restarts = max_restarts
        self._check_seconds = min(0.5, step_timeout / 4, start_timeout / 4)
        self._tickets: deque[Ticket] = deque()
        self._waiting: deque[Ticket] = deque()
        self._capacity = num_workers * slots_per_worker
        self._workers: list[WorkerHandle] = []
        self._temporary_logs = log_dir is None
        self._log_dir = Path(tempfile.mkdtemp(prefix="f1rl_workers_")) if log_dir is None else Path(log_dir)
        self._log_dir.mkdir(parents=True, exist_ok=True)
        atexit.register(self.close)
        try:
            for index in range(num_workers):
                worker = WorkerHandle(
                    index,
                    env_config,
                    self.spec,
                    slots_per_worker,
                    start_timeout=start_timeout,
                    step_timeout=step_timeout,
                    log_file=self._log_dir / f"worker_{index}.log",
                )
                self._workers.append(worker)
        except BaseException:
            self.close()
            raise

    @property
    def free(self) -> int:
        """How many more episodes can be submitted and collected before one must be taken with :meth:`next`."""
        return max(0, self._capacity - len(self._tickets))

    def submit(self, request: EpisodeRequest) -> None:
        """Ask for an episode; returns at once, and keeps the request in line when no slot is free.

        Raises:
            WorkerError: as in :meth:`next`.
        """
        self._refuse_closed()
        ticket = Ticket(request)
        self._tickets.append(ticket)
        self._waiting.append(ticket)
        self._service(0.0)
        self._hand_out()

    def next(self, timeout: float | None = None) -> Episode:
        """Return the oldest episode that was submitted and not yet taken.

        Args:
            timeout: seconds to wait for it; None waits as long as the workers make progress.

        Raises:
            TimeoutError: if it is not finished by then; it stays in line.
            EnvError: if no episode is submitted.
            WorkerError: if the workers had to be replaced too often, or cannot build the environment; this object is
                closed then.
        """
        self._refuse_closed()
        if not self._tickets:
            raise EnvError("next() was called with no episode submitted; call submit() first")
        ticket = self._tickets[0]
        give_up = float("inf") if timeout is None else time.monotonic() + timeout
        self._service(0.0)
        while ticket.end is None:
            wait = min(self._check_seconds, give_up - time.monotonic())
            if wait <= 0:
                raise TimeoutError(f"episode {ticket.request.index} was not finished within {timeout:g} s")
            self._service(wait)
        worker = self._workers[ticket.worker]
        episode = copy_episode(ticket.request, worker.memory.slots[ticket.slot], ticket.end)
        episode.worker, episode.attempts = ticket.worker, ticket.attempts
        self._tickets.popleft()
        worker.free_slots.append(ticket.slot)
        self._hand_out()
        return episode

    @property
    def about(self) -> dict[str, object]:
        """What the environment says it runs on (``env.about``), e.g. its renderer; empty until one is built."""
        return next((worker.about for worker in self._workers if worker.about), {})

    def status(self) -> list[dict[str, int | float | str]]:
        """Return for each worker: worker, pid, stage, restarts, rss_mb, episode."""
        return [worker.status() for worker in self._workers]

    def close(self) -> None:
        """End all processes and give their memory back; may be called twice."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.kill()
            worker.memory.close()
        self._workers.clear()
        self._tickets.clear()
        self._waiting.clear()
        if self._temporary_logs:
            shutil.rmtree(self._log_dir, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _refuse_closed(self) -> None:
        if not self._workers:
            raise EnvError("these workers are closed; make new ones")

    def _hand_out(self) -> None:
        """Give waiting requests, in order, to the workers that have least to do."""
        while self._waiting:
            able = [worker for worker in self._workers if worker.free_slots]
            if not able:
                return
            min(able, key=lambda worker: len(worker.unfinished)).take(self._waiting.popleft())

    def _service(self, wait: float) -> None:
        """Sleep until a worker finishes an episode or dies, at most ``wait`` seconds; then look after all of them."""
        connection.wait([worker.connection for worker in self._workers], wait)
        for worker in self._workers:
            if not worker.receive():
                cause, is_final = worker.exit_cause()
                self._replace(worker, cause, is_final)
            elif (cause := worker.overdue()) is not None:
                worker.dump_stacks()
                self._replace(worker, cause, is_final=False)

    def _replace(self, worker: WorkerHandle, cause: str, is_final: bool) -> None:
        """Put a new process in the place of one that died or hangs."""
        worker.kill()
        if is_final or self.restarts >= self._max_restarts:
            self._fail(worker, cause, is_final)
        self.restarts += 1
        _log.warning(
            "worker %d %s in %s; replaced (%d of at most %d times); log: %s",
            worker.index,
            cause,
            worker.where(),
            self.restarts,
            self._max_restarts,
            worker.log_file,
        )
        try:
            worker.replace()
        except EnvError:
            self.close()
            raise

    def _fail(self, worker: WorkerHandle, cause: str, is_final: bool) -> NoReturn:
        """Close, keep the logs, and raise what there is to know."""
        spent = "" if is_final else f"; all of max_restarts={self._max_restarts} restarts are used up"
        what = f"worker {worker.index} {cause} in {worker.where()}{spent}"
        if worker.refusal is not None:
            message = f"{what}: {worker.refusal}\nIts log is {worker.log_file}"
        else:
            message = f"{what}.\nIts log is {worker.log_file}; its last words:\n{worker.last_words()}"
        self._temporary_logs = False
        self.close()
        raise WorkerError(message)
