"""What a worker process does, as the parent describes it and as the process carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import NoReturn, Protocol

import gymnasium

from f1rl_envs import registry
from f1rl_envs.shared_memory import Progress, Stage
from f1rl_envs.spec import PADDED_DIM, EnvSpec


class Server(Protocol):
    """The work of a process that has built what it needs."""

    about: dict[str, object]
    """What the environment says it runs on (``env.about``)."""

    def serve(self, connection: Connection) -> NoReturn:
        """Answer the parent's requests until the connection ends with ``EOFError``."""


class Job(Protocol):
    """A description of the work, sent to the process as its first message; pickled by its class's name."""

    def build(self, memory_fd: int) -> Server:
        """Build the environments, in the process.

        Args:
            memory_fd: descriptor of the memory that the parent shares with the process.
        """


def build_env(config: Mapping[str, object], spec: EnvSpec, progress: Progress) -> gymnasium.Env:
    """Import and build the environment, and compare it with what the parent made room for.

    Observations may have more entries than image and state, e.g. depth; nobody carries them.

    Raises:
        ValueError: if its spaces are not those of ``spec``.
    """
    progress.mark(Stage.IMPORT)
    make = registry.load(config)
    progress.mark(Stage.SCENE)
    env = make(config)
    spaces = {**env.observation_space, "action": env.action_space}
    wanted = {"image": spec.image_shape, "state": (PADDED_DIM,), "action": (PADDED_DIM,)}
    shapes = {name: spaces[name].shape for name in wanted if name in spaces}
    if shapes != wanted:
        raise ValueError(f"environment {spec.name!r} has spaces of shape {shapes}, but its spec says {wanted}")
    return env
