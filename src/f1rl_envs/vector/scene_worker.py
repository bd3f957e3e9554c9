"""The parent's side of a worker of a vector environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.vector.memory import SharedScenes
from f1rl_envs.vector.scene_server import Replay, SceneJob, Start, Step
from f1rl_envs.worker_handle import WorkerHandle


@dataclass
class Running:
    """An episode as far as it is known to have come."""

    request: EpisodeRequest
    """Its seeds."""
    steps: int = 0
    """Steps whose results are in the memory."""
    replays: int = 0
    """How often a new process had to repeat it."""
    ended: bool = False
    """Whether it needs no more steps."""


class SceneWorker(WorkerHandle):
    """One worker and the episodes of its scenes."""

    def __init__(
        self,
        index: int,
        config: Mapping[str, object],
        spec: EnvSpec,
        memory: SharedScenes,
        rows: range,
        *,
        start_timeout: float,
        step_timeout: float,
        log_file: Path,
    ) -> None:
        """Prepare the worker; :meth:`start` starts its process.

        Args:
            index: number of the worker.
            config: configuration for the registry.
            spec: what the configuration's environment looks like.
            memory: memory of all scenes.
            rows: the scenes of this worker.
            start_timeout: as :class:`WorkerHandle`.
            step_timeout: as :class:`WorkerHandle`.
            log_file: as :class:`WorkerHandle`.
        """
        self.rows = rows
        self.episodes: dict[int, Running] = {}
        self.numbers: dict[int, dict[str, float | np.ndarray]] = {}
        """The info numbers of the last answer, by scene."""
        self._memory_of_scenes = memory
        self._command: Start | Step | None = None
        self._observed = 0
        num_scenes, num_workers = len(memory.reward), len(memory.progresses)
        super().__init__(
            index,
            SceneJob(dict(config), spec, num_scenes, num_workers, index, rows),
            memory,
            memory.progresses[index],
            start_timeout=start_timeout,
            step_timeout=step_timeout,
            log_file=log_file,
        )

    @property
    def is_busy(self) -> bool:
        """Whether a command is not answered yet."""
        return self._command is not None

    def start_episodes(self, requests: Mapping[int, EpisodeRequest], half: int) -> None:
        """Ask for new episodes in these scenes; what the others look like must be in that half already."""
        self.numbers = {}
        own = {row: request for row, request in requests.items() if row in self.rows}
        if own:
            self._ask(Start(own, half))
        else:
            self._observed = half

    def step(self, half: int) -> None:
        """Ask for a step of all scenes."""
        self._ask(Step(half))

    def replace(self) -> None:
        """Start anew, as :meth:`WorkerHandle.replace`; the running episodes are repeated."""
        for row in self._to_replay():
            self.episodes[row].replays += 1
        super().replace()

    def release(self) -> None:
        """Do nothing: the memory belongs to all workers."""

    def _ask(self, command: Start | Step) -> None:
        self._begin_to_wait()
        self._command = command
        self._send(command)

    def _take_answer(self, answer: list[dict[str, float | np.ndarray]]) -> None:
        if isinstance(self._command, Start):
            rows = list(self._command.requests)
            self.episodes |= {row: Running(request) for row, request in self._command.requests.items()}
        else:
            rows = list(self.rows)
            ended = self._memory_of_scenes.terminated | self._memory_of_scenes.truncated
            for row in rows:
                self.episodes[row].steps += 1
                self.episodes[row].ended = bool(ended[row])
        self.numbers = dict(zip(rows, answer, strict=True))
        self._observed, self._command = self._command.half, None

    def _to_replay(self) -> list[int]:
        """Return the scenes whose episodes have to go on."""
        starting = self._command.requests if isinstance(self._command, Start) else {}
        return [row for row, episode in self.episodes.items() if not episode.ended and row not in starting]

    def _ask_again(self) -> None:
        played = {row: (self.episodes[row].request, self.episodes[row].steps) for row in self._to_replay()}
        if played:
            self._send(Replay(played, self._observed))
        if self._command is not None:
            self._send(self._command)

    def _request_of(self, episode: int) -> EpisodeRequest | None:
        known = [running.request for running in self.episodes.values()]
        if isinstance(self._command, Start):
            known += self._command.requests.values()
        return next((request for request in known if request.index == episode), None)
