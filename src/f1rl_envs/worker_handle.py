"""The parent's side of one worker process: start it, talk to it, notice that it died or hangs, tell why."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from f1rl_envs.errors import EnvError
from f1rl_envs.shared_memory import Progress, SharedBlocks, Stage
from f1rl_envs.spec import EpisodeRequest
from f1rl_envs.worker_job import Job
from f1rl_envs.worker_log import WorkerLog
from f1rl_envs.worker_process import BUILD_FAILED, DUMP_SIGNAL

_KILL_SECONDS = 10.0
_DUMP_SECONDS = 0.3
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_log = logging.getLogger(__name__)


class WorkerHandle(ABC):
    """One worker process and the way to it; survives the process's replacement.

    What a worker does is up to the subclass: it says what is asked for and unanswered, takes the answers, and asks a
    new process again for all that the last one left undone.
    """

    def __init__(
        self,
        index: int,
        job: Job,
        memory: SharedBlocks,
        progress: Progress,
        *,
        start_timeout: float,
        step_timeout: float,
        log_file: Path,
    ) -> None:
        """Prepare the worker; :meth:`start` starts its process.

        Args:
            index: number of the worker.
            job: what its process is to do.
            memory: what it shares with its process.
            progress: where in that memory the process says where it is.
            start_timeout: seconds that each stage up to the first picture may take.
            step_timeout: seconds that each reset and step may take after that.
            log_file: takes the process's output; appended to.
        """
        self.index = index
        self.restarts = 0
        self.log = WorkerLog(log_file)
        self.progress = progress
        self.process: subprocess.Popen | None = None
        self.connection: Connection | None = None
        self.about: dict[str, object] = {}
        """What the environment says it runs on; empty until it is built."""
        self.refusal: str | None = None
        """Why the environment cannot be built or go on, in its own words."""
        self.check_seconds = min(0.5, step_timeout / 4, start_timeout / 4)
        """How often the parent should look after it."""
        self._job, self._memory = job, memory
        self._limits = (start_timeout, step_timeout)
        self._busy_since = 0.0

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether something was asked for that is not answered yet."""

    @abstractmethod
    def _take_answer(self, answer: object) -> None:
        """Note what the process answered."""

    @abstractmethod
    def _ask_again(self) -> None:
        """Ask a new process for all that is unanswered."""

    @abstractmethod
    def _request_of(self, episode: int) -> EpisodeRequest | None:
        """Return the request of an episode that is under way."""

    def start(self) -> None:
        """Start a process, and ask it for all that is unanswered.

        Raises:
            EnvError: if the machine starts no further process.
        """
        self.progress.mark(Stage.START)
        self._busy_since = time.monotonic()
        self.connection, theirs = Pipe()
        try:
            self.process = self._spawn(theirs.fileno())
        except OSError as error:
            self.connection.close()
            raise EnvError(f"worker {self.index} could not be started: {error}; see ulimit -a and df") from error
        finally:
            theirs.close()
        self._send(self._job)
        self._ask_again()

    @abstractmethod
    def release(self) -> None:
        """Give back what belongs to this worker alone, once its process has ended."""

    def receive(self) -> bool:
        """Take the answers that have arrived.

        Returns:
            False if the process has ended.
        """
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, str):
                    self.refusal = message
                elif isinstance(message, dict):
                    self.about = message
                else:
                    self._take_answer(message)
        except (EOFError, OSError):
            return False
        return True

    def overdue(self) -> str | None:
        """Tell how long the worker has given no sign of life, if that is longer than it may."""
        starting = self.progress.stage < Stage.IDLE
        if not starting and not self.is_busy:
            return None
        limit, name = (self._limits[0], "start_timeout") if starting else (self._limits[1], "step_timeout")
        silent = time.monotonic() - max(self.progress.time, self._busy_since)
        if silent <= limit:
            return None
        return f"gave no sign of life for {silent:.1f} s ({name} is {limit:g} s)"

    def dump_stacks(self) -> None:
        """Have a process that hangs write to its log where it hangs."""
        self.log.announce_stacks()
        self.process.send_signal(DUMP_SIGNAL)
        time.sleep(_DUMP_SECONDS)

    def kill(self) -> None:
        """End the process, if there is one, and wait for its end."""
        if self.process is None:
            return
        self.connection.close()
        self.process.kill()
        try:
            self.process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("worker %d (pid %d) is stuck in the kernel and does not die", self.index, self.process.pid)

    def replace(self) -> None:
        """Start anew after :meth:`kill`.

        Raises:
            EnvError: as :meth:`start`.
        """
        self.restarts += 1
        self.start()

    def exit_cause(self) -> tuple[str, bool]:
        """Wait for the end of a process that hung up.

        Returns:
            How it ended, in words, and whether a replacement would end the same way.
        """
        try:
            code = self.process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            return "hung up but did not exit", False
        if code == BUILD_FAILED:
            return "could not build its environment", True
        if code >= 0:
            return f"exited with code {code}", False
        names = {number.value: number.name for number in signal.Signals}
        hint = " (by the kernel, if memory ran out: lower num_workers)" if code == -signal.SIGKILL else ""
        return f"was killed by {names.get(-code, f'signal {-code}')}{hint}", False

    def where(self) -> str:
        """Say at which stage the process is or was, and in which episode."""
        place = f"stage {self.progress.stage.name.lower()!r}"
        episode = self.progress.episode
        if episode < 0:
            return place
        request = self._request_of(episode)
        return f"{place}, step {self.progress.step} of episode {episode}" + (f" ({request})" if request else "")

    def status(self) -> dict[str, int | float | str]:
        """Return worker, pid, stage, restarts, resident memory in MiB and episode (-1 outside of one)."""
        return {
            "worker": self.index,
            "pid": self.process.pid,
            "stage": self.progress.stage.name.lower(),
            "restarts": self.restarts,
            "rss_mb": _resident_mib(self.process.pid),
            "episode": self.progress.episode,
        }

    def _spawn(self, connection_fd: int) -> subprocess.Popen:
        """Start ``python -m f1rl_envs.worker_process`` with its output going to the log."""
        with self.log.open_for_process() as log:
            return subprocess.Popen(
                # -P: the path is the parent's and nothing else; -u: the last words before a kill reach the log.
                [sys.executable, "-P", "-u", "-m", "f1rl_envs.worker_process"]
                + [str(number) for number in (connection_fd, self._memory.fd, os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(connection_fd, self._memory.fd),
                env=_worker_environ(),
                process_group=0,  # Ctrl-C in the terminal goes to the parent alone
            )

    def _begin_to_wait(self) -> None:
        """Start the clock of the deadline, unless it runs; to be called before something is asked for."""
        if not self.is_busy:
            self._busy_since = time.monotonic()

    def _send(self, message: object) -> None:
        """Send to the process; if it has just died, :meth:`replace` will send again."""
        try:
            self.connection.send(message)
        except OSError:
            _log.debug("worker %d was gone before it could be asked", self.index)


def _worker_environ() -> dict[str, str]:
    """Return the process's environment: our import path, and one thread for each worker."""
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environ |= dict.fromkeys(_ONE_THREAD, "1")
    environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's software renderer: with one process per core, no helpers
    return environ


def _resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 when it is gone."""
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return 0.0
