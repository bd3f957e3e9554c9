"""The process form of a vector environment: the scenes are spread over worker processes of this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from f1rl_envs import registry
from f1rl_envs.errors import EnvError
from f1rl_envs.shared_memory import block_bytes, require_memory
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.vector.interface import Numbers, Observation, StepResult, VectorEnv
from f1rl_envs.vector.memory import SharedScenes, scene_fields
from f1rl_envs.vector.scene_worker import SceneWorker
from f1rl_envs.worker_pool import WorkerPool


def share(num_scenes: int, num_workers: int) -> list[range]:
    """Return consecutive scenes for each worker, as evenly as possible, the first ones with one more."""
    bounds = [-(-worker * num_scenes // num_workers) for worker in range(num_workers + 1)]
    return [range(low, high) for low, high in itertools.pairwise(bounds)]


class ProcessVectorEnv(VectorEnv):
    """Scenes in worker processes, several to each, with observations in shared memory.

    A worker that dies, hangs or runs out of memory is replaced while the others go on. The new process repeats the
    running episodes of its scenes from their seeds and the actions so far, and compares what it sees with what was
    seen before. An environment that keeps its promise of determinism goes on as if nothing had happened. Where it does
    not, the scene is *lost*: its episode is truncated at this step, with ``infos["lost"]`` true, reward 0 and the
    observation before it once more, so that this one transition must be left out.

    To compute the actions of some scenes while others are stepped, make two of these, each with half of the scenes and
    workers, and use :meth:`send` and :meth:`receive` in turns.

    Attributes:
        pool: the processes; ``pool.restarts`` counts replacements, ``pool.status()`` tells where each is.
    """

    form: ClassVar[str] = "process"

    def __init__(
        self,
        env_config: Mapping[str, object],
        num_envs: int,
        num_workers: int,
        *,
        start_timeout: float,
        step_timeout: float,
        max_restarts: int,
        log_dir: Path | None,
    ) -> None:
        """Start the processes; does not wait for them.

        Args:
            env_config: configuration for :func:`f1rl_envs.registry.make`.
            num_envs: number of scenes.
            num_workers: number of processes.
            start_timeout: seconds that each stage of a start (import, scene, first picture) may take.
            step_timeout: seconds that each later reset and step of a scene may take.
            max_restarts: processes that may be replaced, over all workers, before ``WorkerError``.
            log_dir: folder for ``worker_{i}.log``; None keeps logs in a temporary folder, unless an error names them.

        Raises:
            ValueError: if the configuration is wrong, or there are more workers than scenes.
            EnvError: if there is not enough memory, or a process cannot be started.
        """
        spec = registry.spec(env_config)
        if not 1 <= num_workers <= num_envs:
            raise ValueError(
                f"num_workers is {num_workers} and num_envs is {num_envs}: there must be at least one worker, and a "
                "scene for each"
            )
        super().__init__(spec, num_envs)
        require_memory(
            block_bytes(scene_fields(spec, num_envs)),
            f"{num_envs} scenes of {spec.name!r}",
            "num_envs, max_steps or resolution",
        )
        self._memory = SharedScenes(spec, num_envs, num_workers)
        self._half = 0
        rows = share(num_envs, num_workers)

        def make(index: int, log_file: Path) -> SceneWorker:
            return SceneWorker(
                index,
                env_config,
                spec,
                self._memory,
                rows[index],
                start_timeout=start_timeout,
                step_timeout=step_timeout,
                log_file=log_file,
            )

        try:
            self.pool = WorkerPool(make, num_workers, max_restarts=max_restarts, log_dir=log_dir)
        except BaseException:
            self._memory.close()
            raise

    def close_extras(self) -> None:
        """End all processes and give the memory back; observations that the caller still has stay as they are."""
        self.pool.close()
        self._memory.close()

    def _own_about(self) -> dict[str, object]:
        return self.pool.about

    def _zeros(self, dtype: str) -> np.ndarray:
        return np.zeros(self.num_envs, dtype)

    def _host(self, array: np.ndarray) -> np.ndarray:
        return array

    def _start(self, requests: Mapping[int, EpisodeRequest]) -> tuple[Observation, Numbers]:
        before, self._half = self._half, 1 - self._half
        others = [scene for scene in range(self.num_envs) if scene not in requests]
        for array in (self._memory.image, self._memory.state):
            array[self._half, others] = array[before, others]
        with self._closed_by_errors():
            for worker in self.pool.workers:
                worker.start_episodes(requests, self._half)
            self._wait()
        return self._observation(), self._numbers()

    def _send(self, actions: np.ndarray) -> None:
        actions = np.asarray(actions, np.float32)
        if not np.isfinite(actions).all():
            scenes = np.flatnonzero(~np.isfinite(actions).all(axis=1)).tolist()
            raise ValueError(f"the actions of scenes {scenes} are not finite")
        self._half = 1 - self._half
        for worker in self.pool.workers:
            for row in worker.rows:
                self._memory.action[row, worker.episodes[row].steps] = actions[row]
            worker.step(self._half)

    def _receive(self) -> StepResult:
        with self._closed_by_errors():
            self._wait()
        memory = self._memory
        replays = [worker.episodes[row].replays for worker in self.pool.workers for row in worker.rows]
        return StepResult(
            observation=self._observation(),
            reward=memory.reward.copy(),
            terminated=memory.terminated.copy(),
            truncated=memory.truncated.copy(),
            numbers=self._numbers(),
            lost=memory.lost.copy(),
            replays=np.array(replays),
        )

    @contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        try:
            yield
        except EnvError:
            self.close()
            raise

    def _wait(self) -> None:
        """Look after the workers until all have answered."""
        while any(worker.is_busy for worker in self.pool.workers):
            self.pool.service(self.pool.check_seconds)

    def _observation(self) -> Observation:
        return {"image": self._memory.image[self._half], "state": self._memory.state[self._half]}

    def _numbers(self) -> Numbers:
        """Return the numbers of the last answers."""
        found: Numbers = {}
        for worker in self.pool.workers:
            for row, numbers in worker.numbers.items():
                for name, value in numbers.items():
                    if name not in found:
                        found[name] = np.full((self.num_envs, *np.shape(value)), np.nan)
                    found[name][row] = value
        return found
