"""What runs inside a worker process: build one environment, then collect the episodes that the parent asks for.

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
from collections.abc import Mapping
from multiprocessing.connection import Connection

import gymnasium

from f1rl_envs import registry
from f1rl_envs.collect import fill_episode
from f1rl_envs.errors import EnvError
from f1rl_envs.shared_memory import Progress, SharedEpisodes, Stage
from f1rl_envs.spec import PADDED_DIM, EnvSpec

BUILD_FAILED = 93
"""Exit code that says: building the environment failed, and would fail again."""
DUMP_SIGNAL = signal.SIGUSR1
"""Writes the stacks of all threads to the log, also from within a call that hangs."""

_PR_SET_PDEATHSIG = 1


def main(connection_fd: int, memory_fd: int, parent_pid: int) -> int:
    """Collect episodes until the parent hangs up.

    Args:
        connection_fd: descriptor of the connection; it brings ``(config, spec, num_slots)`` and then
            ``(slot, request)`` for each episode, and takes back what the environment says of itself (a dict), an
            ``EpisodeEnd`` for each episode, and the message of an ``EnvError``.
        memory_fd: descriptor of the memory made by ``SharedEpisodes``.
        parent_pid: process without which this one has no purpose.

    Returns:
        The exit code.
    """
    _belong_to(parent_pid)
    connection = Connection(connection_fd)
    config, spec, num_slots = connection.recv()
    memory = SharedEpisodes(spec, num_slots, memory_fd)
    progress = memory.progress
    try:
        try:
            env = _build(config, spec, progress)
        except EnvError:
            raise
        except Exception:  # a fault of the environment's code would come back with every restart
            traceback.print_exc()
            return BUILD_FAILED
        connection.send(dict(getattr(env, "about", {})))
        _serve(connection, env, spec, memory)
    except EOFError:
        return 0
    except EnvError as error:
        traceback.print_exc()
        connection.send(str(error))  # written for the user, who is shown it instead of a traceback
        return BUILD_FAILED
    except Exception:
        traceback.print_exc()
        return 1


def _serve(connection: Connection, env: gymnasium.Env, spec: EnvSpec, memory: SharedEpisodes) -> None:
    """Answer requests until the connection ends with ``EOFError``."""
    reset_stage = Stage.FIRST_RENDER
    while True:
        memory.progress.mark(Stage.IDLE)
        slot, request = connection.recv()
        memory.progress.mark(reset_stage, request.index)

        def on_step(step: int, episode: int = request.index) -> None:
            memory.progress.mark(Stage.STEP, episode, step)

        end = fill_episode(env, spec, request, memory.slots[slot], on_step)
        connection.send(end)
        reset_stage = Stage.RESET


def _build(config: Mapping[str, object], spec: EnvSpec, progress: Progress) -> gymnasium.Env:
    """Import and build the environment, and compare it with what the parent made room for."""
    progress.mark(Stage.IMPORT)
    make = registry.load(config)
    progress.mark(Stage.SCENE)
    env = make(config)
    shapes = {name: space.shape for name, space in env.observation_space.items()} | {"action": env.action_space.shape}
    wanted = {"image": spec.image_shape, "state": (PADDED_DIM,), "action": (PADDED_DIM,)}
    if shapes != wanted:
        raise ValueError(f"environment {spec.name!r} has spaces of shape {shapes}, but its spec says {wanted}")
    return env


def _belong_to(parent_pid: int) -> None:
    """Die with the parent, and leave it to the parent to decide about signals."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent process ended while this worker was starting")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
