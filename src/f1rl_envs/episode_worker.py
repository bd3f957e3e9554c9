"""The parent's side of a worker that collects whole episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from f1rl_envs.collect import EpisodeEnd, EpisodeJob
from f1rl_envs.shared_memory import SharedEpisodes
from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.worker_handle import WorkerHandle


@dataclass
class Ticket:
    """One request on its way from submission to delivery."""

    request: EpisodeRequest
    """What was asked for."""
    slot: int = -1
    """Slot of its worker; -1 while no worker has it."""
    worker: int = -1
    """Worker that has it."""
    attempts: int = 1
    """How often it was started."""
    end: EpisodeEnd | None = None
    """Set once the episode is in its slot."""


class EpisodeWorker(WorkerHandle):
    """One worker, its memory and the tickets it has not finished."""

    def __init__(
        self,
        index: int,
        config: Mapping[str, object],
        spec: EnvSpec,
        num_slots: int,
        *,
        start_timeout: float,
        step_timeout: float,
        log_file: Path,
    ) -> None:
        """Reserve the memory; :meth:`start` starts the process.

        Args:
            index: number of the worker.
            config: configuration for the registry.
            spec: what the configuration's environment looks like.
            num_slots: episodes that it can hold.
            start_timeout: as :class:`WorkerHandle`.
            step_timeout: as :class:`WorkerHandle`.
            log_file: as :class:`WorkerHandle`.
        """
        self.memory = SharedEpisodes(spec, num_slots)
        self.unfinished: list[Ticket] = []
        self.free_slots = list(range(num_slots))
        super().__init__(
            index,
            EpisodeJob(dict(config), spec, num_slots),
            self.memory,
            self.memory.progress,
            start_timeout=start_timeout,
            step_timeout=step_timeout,
            log_file=log_file,
        )

    @property
    def is_busy(self) -> bool:
        """Whether an episode is not finished yet."""
        return bool(self.unfinished)

    def take(self, ticket: Ticket) -> None:
        """Ask for an episode; needs a free slot."""
        ticket.worker, ticket.slot = self.index, self.free_slots.pop()
        self._begin_to_wait()
        self.unfinished.append(ticket)
        self._send((ticket.slot, ticket.request))

    def replace(self) -> None:
        """Start anew, as :meth:`WorkerHandle.replace`; an episode that was under way counts one more attempt."""
        if self.unfinished and self.unfinished[0].request.index == self.progress.episode:
            self.unfinished[0].attempts += 1
        super().replace()

    def release(self) -> None:
        """Give the memory back."""
        self.memory.close()

    def _take_answer(self, answer: EpisodeEnd) -> None:
        self.unfinished.pop(0).end = answer

    def _ask_again(self) -> None:
        for ticket in self.unfinished:
            self._send((ticket.slot, ticket.request))

    def _request_of(self, episode: int) -> EpisodeRequest | None:
        return next((ticket.request for ticket in self.unfinished if ticket.request.index == episode), None)
