"""The parent's side of one worker process: start it, talk to it, notice that it died or hangs, tell why."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

import psutil

from f1rl_envs.collect import EpisodeEnd
from f1rl_envs.errors import EnvError
from f1rl_envs.shared_memory import SharedEpisodes, Stage
from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.worker_process import BUILD_FAILED, DUMP_SIGNAL

_KILL_SECONDS = 10.0
_DUMP_SECONDS = 0.3
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_TRACEBACK, _CRASH, _HANG = "Traceback (most recent call last)", "Fatal Python error", "Stacks of a worker that hangs"
_MAX_QUOTED_LINES = 40
_MAX_QUOTED_COLUMNS = 240

_log = logging.getLogger(__name__)


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


class WorkerHandle:
    """One worker process, its memory and the tickets it has not finished; survives the process's replacement."""

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
        """Reserve the memory and start the process.

        Args:
            index: number of the worker.
            config: configuration for the registry.
            spec: what the configuration's environment looks like.
            num_slots: episodes that it can hold.
            start_timeout: seconds that each stage up to the first picture may take.
            step_timeout: seconds that each reset and step may take after that.
            log_file: takes the process's output; appended to.

        Raises:
            EnvError: if the process cannot be started.
        """
        self.index = index
        self.restarts = 0
        self.log_file = log_file
        self.about: dict[str, object] = {}
        """What the environment says it runs on; empty until it is built."""
        self.refusal: str | None = None
        """Why the environment cannot be built or go on, in its own words."""
        self.unfinished: list[Ticket] = []
        self.free_slots = list(range(num_slots))
        self.memory = SharedEpisodes(spec, num_slots)
        self._setup = (dict(config), spec, num_slots)
        self._limits = (start_timeout, step_timeout)
        self._busy_since = 0.0
        try:
            self.start()
        except EnvError:
            self.memory.close()
            raise

    def start(self) -> None:
        """Start a process, and ask it for all that is unfinished.

        Raises:
            EnvError: if the machine starts no further process.
        """
        self.memory.progress.mark(Stage.START)
        self._busy_since = time.monotonic()
        self.connection, theirs = Pipe()
        try:
            self.process = self._spawn(theirs.fileno())
        except OSError as error:
            self.connection.close()
            raise EnvError(f"worker {self.index} could not be started: {error}; see ulimit -a and df") from error
        finally:
            theirs.close()
        self._send(self._setup)
        for ticket in self.unfinished:
            self._send((ticket.slot, ticket.request))

    def take(self, ticket: Ticket) -> None:
        """Ask for an episode; needs a free slot."""
        if not self.unfinished:
            self._busy_since = time.monotonic()
        ticket.worker, ticket.slot = self.index, self.free_slots.pop()
        self.unfinished.append(ticket)
        self._send((ticket.slot, ticket.request))

    def receive(self) -> bool:
        """Note which tickets are finished.

        Returns:
            False if the process has ended.
        """
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, EpisodeEnd):
                    self.unfinished.pop(0).end = message
                elif isinstance(message, str):
                    self.refusal = message
                else:
                    self.about = message
        except (EOFError, OSError):
            return False
        return True

    def overdue(self) -> str | None:
        """Tell how long the worker has given no sign of life, if that is longer than it may."""
        progress = self.memory.progress
        starting = progress.stage < Stage.IDLE
        if not starting and not self.unfinished:
            return None
        limit, name = (self._limits[0], "start_timeout") if starting else (self._limits[1], "step_timeout")
        silent = time.monotonic() - max(progress.time, self._busy_since)
        if silent <= limit:
            return None
        return f"gave no sign of life for {silent:.1f} s ({name} is {limit:g} s)"

    def dump_stacks(self) -> None:
        """Have a process that hangs write to its log where it hangs."""
        with self.log_file.open("a") as log:
            log.write(f"{_HANG}:\n")
        self.process.send_signal(DUMP_SIGNAL)
        time.sleep(_DUMP_SECONDS)

    def kill(self) -> None:
        """End the process and wait for its end."""
        self.connection.close()
        self.process.kill()
        try:
            self.process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("worker %d (pid %d) is stuck in the kernel and does not die", self.index, self.process.pid)

    def replace(self) -> None:
        """Start anew after :meth:`kill`; an episode that was under way counts one more attempt."""
        if self.unfinished and self.unfinished[0].request.index == self.memory.progress.episode:
            self.unfinished[0].attempts += 1
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
        progress = self.memory.progress
        place = f"stage {progress.stage.name.lower()!r}"
        if progress.episode < 0:
            return place
        seeds = next((t.request for t in self.unfinished if t.request.index == progress.episode), None)
        return f"{place}, step {progress.step} of episode {progress.episode}" + (f" ({seeds})" if seeds else "")

    def last_words(self) -> str:
        """Quote the last traceback that this process wrote to its log, or else the log's end."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith((_TRACEBACK, _CRASH, _HANG))]
        quoted = lines[starts[-1] :] if starts else lines[-10:]
        if starts and not quoted[0].startswith(_TRACEBACK):
            quoted = quoted[:_MAX_QUOTED_LINES]  # most recent call first
        quoted = [line[:_MAX_QUOTED_COLUMNS] for line in quoted[-_MAX_QUOTED_LINES:]] or ["(it wrote nothing)"]
        return "\n".join(f"  | {line}" for line in quoted)

    def status(self) -> dict[str, int | float | str]:
        """Return worker, pid, stage, restarts, resident memory in MiB and episode (-1 outside of one)."""
        return {
            "worker": self.index,
            "pid": self.process.pid,
            "stage": self.memory.progress.stage.name.lower(),
            "restarts": self.restarts,
            "rss_mb": _resident_mib(self.process.pid),
            "episode": self.memory.progress.episode,
        }

    def _spawn(self, connection_fd: int) -> subprocess.Popen:
        """Start ``python -m f1rl_envs.worker_process`` with its output going to the log."""
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            return subprocess.Popen(
                # -P: the path is the parent's and nothing else; -u: the last words before a kill reach the log.
                [sys.executable, "-P", "-u", "-m", "f1rl_envs.worker_process"]
                + [str(number) for number in (connection_fd, self.memory.fd, os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(connection_fd, self.memory.fd),
                env=_worker_environ(),
                process_group=0,  # Ctrl-C in the terminal goes to the parent alone
            )

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
