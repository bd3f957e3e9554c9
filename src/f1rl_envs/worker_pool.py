"""Several workers as one: their logs, their replacement when they die or hang, and what is said when that is no use."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from typing import Generic, NoReturn, Self, TypeVar

from f1rl_envs.errors import EnvError, WorkerError
from f1rl_envs.worker_handle import WorkerHandle

_log = logging.getLogger(__name__)

Worker = TypeVar("Worker", bound=WorkerHandle)


class WorkerPool(Generic[Worker]):
    """Worker processes that are looked after whenever the caller waits for them; there is no thread.

    The kernel ends the workers when the thread that started them ends, so use one object from one lasting thread.

    Attributes:
        workers: the workers; empty once the pool is closed.
        restarts: how many processes had to be replaced.
    """

    def __init__(
        self, make: Callable[[int, Path], Worker], num_workers: int, *, max_restarts: int, log_dir: Path | None
    ) -> None:
        """Start the processes; does not wait for them.

        Args:
            make: prepares a worker from its index and its log file.
            num_workers: how many.
            max_restarts: processes that may be replaced, over all workers, before :class:`WorkerError`.
            log_dir: folder for ``worker_{i}.log``; None keeps logs in a temporary folder, unless an error names them.

        Raises:
            EnvError: if a process cannot be started.
        """
        self.workers: list[Worker] = []
        self.restarts = 0
        self._max_restarts = max_restarts
        self._temporary_logs = log_dir is None
        self._log_dir = Path(tempfile.mkdtemp(prefix="f1rl_workers_")) if log_dir is None else Path(log_dir)
        self._log_dir.mkdir(parents=True, exist_ok=True)
        atexit.register(self.close)
        try:
            for index in range(num_workers):
                self.workers.append(make(index, self._log_dir / f"worker_{index}.log"))
                self.workers[-1].start()
        except BaseException:
            self.close()
            raise

    @property
    def about(self) -> dict[str, object]:
        """What the environment says it runs on (``env.about``), e.g. its renderer; empty until one is built."""
        return next((worker.about for worker in self.workers if worker.about), {})

    @property
    def check_seconds(self) -> float:
        """How long the workers may be left alone while something is awaited from them."""
        return min(worker.check_seconds for worker in self.workers)

    def status(self) -> list[dict[str, int | float | str]]:
        """Return for each worker: worker, pid, stage, restarts, rss_mb, episode."""
        return [worker.status() for worker in self.workers]

    def refuse_closed(self) -> None:
        """Raise if there are no workers any more.

        Raises:
            EnvError: if the pool was closed, by its user or by an error.
        """
        if not self.workers:
            raise EnvError("these workers are closed; make new ones")

    def service(self, wait: float) -> None:
        """Sleep until a worker answers or dies, at most ``wait`` seconds; then look after all of them.

        Raises:
            WorkerError: if the workers had to be replaced too often, or cannot build the environment; the pool is
                closed then.
            EnvError: if a replacement cannot be started; the pool is closed then.
        """
        connection.wait([worker.connection for worker in self.workers], wait)
        for worker in self.workers:
            if not worker.receive():
                cause, is_final = worker.exit_cause()
                self._replace(worker, cause, is_final)
            elif (cause := worker.overdue()) is not None:
                worker.dump_stacks()
                self._replace(worker, cause, is_final=False)

    def close(self) -> None:
        """End all processes and give their memory back; may be called twice."""
        for worker in self.workers:
            if worker.process is not None:
                worker.process.kill()
        for worker in self.workers:
            worker.kill()
            worker.release()
        self.workers.clear()
        if self._temporary_logs:
            shutil.rmtree(self._log_dir, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _replace(self, worker: Worker, cause: str, is_final: bool) -> None:
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
            worker.log.file,
        )
        try:
            worker.replace()
        except EnvError:
            self.close()
            raise

    def _fail(self, worker: Worker, cause: str, is_final: bool) -> NoReturn:
        """Close, keep the logs, and raise what there is to know."""
        spent = "" if is_final else f"; all of max_restarts={self._max_restarts} restarts are used up"
        what = f"worker {worker.index} {cause} in {worker.where()}{spent}"
        if worker.refusal is not None:
            message = f"{what}: {worker.refusal}\nIts log is {worker.log.file}"
        else:
            message = f"{what}.\nIts log is {worker.log.file}; its last words:\n{worker.log.last_words()}"
        self._temporary_logs = False
        self.close()
        raise WorkerError(message)
