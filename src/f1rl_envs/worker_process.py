"""What runs inside a worker process: build what the job needs, then serve the parent.

Started by :mod:`f1rl_envs.worker_handle` as ``python -m f1rl_envs.worker_process``, with standard output and error
going to the worker's log. Only the parent ends a worker: the signals with which a user or a scheduler ends a run are
ignored, and the kernel kills the worker when its parent is gone.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from f1rl_envs.errors import EnvError
from f1rl_envs.worker_job import Job

BUILD_FAILED = 93
"""Exit code that says: building the environment failed, and would fail again."""
DUMP_SIGNAL = signal.SIGUSR1
"""Writes the stacks of all threads to the log, also from within a call that hangs."""

_PR_SET_PDEATHSIG = 1


def main(connection_fd: int, memory_fd: int, parent_pid: int) -> int:
    """Serve the parent until it hangs up.

    Args:
        connection_fd: descriptor of the connection; it brings a :class:`~f1rl_envs.worker_job.Job` and then what that
            job's server understands, and takes back what the environment says of itself (a dict), the server's
            answers, and the message of an ``EnvError`` (a str).
        memory_fd: descriptor of the memory that the parent made for the job.
        parent_pid: process without which this one has no purpose.

    Returns:
        The exit code.
    """
    _belong_to(parent_pid)
    connection = Connection(connection_fd)
    job: Job = connection.recv()
    try:
        try:
            server = job.build(memory_fd)
        except EnvError:
            raise
        except Exception:  # a fault of the environment's code would come back with every restart
            traceback.print_exc()
            return BUILD_FAILED
        connection.send(server.about)
        server.serve(connection)
    except EOFError:
        return 0
    except EnvError as error:
        traceback.print_exc()
        connection.send(str(error))  # written for the user, who is shown it instead of a traceback
        return BUILD_FAILED
    except Exception:
        traceback.print_exc()
        return 1


def _belong_to(parent_pid: int) -> None:
    """Die with the parent, and leave it to the parent to decide about signals."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent process ended while this worker was starting")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):  # a scheduler's warning reaches workers too
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
