"""Processes that collect episodes while the caller does something else.

Data path: ``submit`` hands a request to a worker, the worker runs the whole episode into a slot of its shared memory
without a message in between, ``next`` copies it out. There is no thread on the caller's side; a worker that has been
given several requests goes from one to the next by itself. A worker that dies, or that gives no sign of life for too
long, is killed and replaced, and starts its unfinished episodes again from their seeds: the caller gets the same
episodes in the same order, only later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from f1rl_envs import registry
from f1rl_envs.collect import copy_episode
from f1rl_envs.episode_worker import EpisodeWorker, Ticket
from f1rl_envs.errors import EnvError
from f1rl_envs.shared_memory import block_bytes, episode_fields, require_memory
from f1rl_envs.spec import EnvSpec, Episode, EpisodeRequest
from f1rl_envs.worker_pool import WorkerPool


class EpisodeWorkers(WorkerPool[EpisodeWorker]):
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
        self._capacity = num_workers * slots_per_worker
        require_memory(
            self._capacity * block_bytes(episode_fields(self.spec)),
            f"{self._capacity} episodes of {self.spec.name!r}",
            "num_workers, slots_per_worker, max_steps or resolution",
        )
        self._tickets: deque[Ticket] = deque()
        self._waiting: deque[Ticket] = deque()

        def make(index: int, log_file: Path) -> EpisodeWorker:
            return EpisodeWorker(
                index,
                env_config,
                self.spec,
                slots_per_worker,
                start_timeout=start_timeout,
                step_timeout=step_timeout,
                log_file=log_file,
            )

        super().__init__(make, num_workers, max_restarts=max_restarts, log_dir=log_dir)

    @property
    def free(self) -> int:
        """How many more episodes can be submitted and collected before one must be taken with :meth:`next`."""
        return max(0, self._capacity - len(self._tickets))

    def submit(self, request: EpisodeRequest) -> None:
        """Ask for an episode; returns at once, and keeps the request in line when no slot is free.

        Raises:
            WorkerError: as in :meth:`next`.
        """
        self.refuse_closed()
        ticket = Ticket(request)
        self._tickets.append(ticket)
        self._waiting.append(ticket)
        self.service(0.0)
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
        self.refuse_closed()
        if not self._tickets:
            raise EnvError("next() was called with no episode submitted; call submit() first")
        ticket = self._tickets[0]
        give_up = float("inf") if timeout is None else time.monotonic() + timeout
        self.service(0.0)
        while ticket.end is None:
            wait = min(self.check_seconds, give_up - time.monotonic())
            if wait <= 0:
                raise TimeoutError(f"episode {ticket.request.index} was not finished within {timeout:g} s")
            self.service(wait)
        worker = self.workers[ticket.worker]
        episode = copy_episode(ticket.request, worker.memory.slots[ticket.slot], ticket.end)
        episode.worker, episode.attempts = ticket.worker, ticket.attempts
        self._tickets.popleft()
        worker.free_slots.append(ticket.slot)
        self._hand_out()
        return episode

    def close(self) -> None:
        """End all processes and give their memory back; may be called twice."""
        super().close()
        self._tickets.clear()
        self._waiting.clear()

    def _hand_out(self) -> None:
        """Give waiting requests, in order, to the workers that have least to do."""
        while self._waiting:
            able = [worker for worker in self.workers if worker.free_slots]
            if not able:
                return
            min(able, key=lambda worker: len(worker.unfinished)).take(self._waiting.popleft())
