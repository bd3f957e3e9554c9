"""Collect episodes of random actions: the same code inside a worker process and outside."""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NoReturn

import gymnasium
import numpy as np

from f1rl_envs.actions import RandomActions
from f1rl_envs.shared_memory import EpisodeArrays, SharedEpisodes, Stage, episode_fields
from f1rl_envs.spec import EnvSpec, Episode, EpisodeRequest
from f1rl_envs.worker_job import build_env


@dataclass(frozen=True)
class EpisodeEnd:
    """How an episode ended; with its arrays it makes an :class:`~f1rl_envs.spec.Episode`."""

    length: int
    """Number ``N`` of steps."""
    terminated: bool
    """The task ended it."""
    truncated: bool
    """The step limit ended it."""
    seconds: float
    """Wall time in seconds."""
    info: dict[str, float]
    """Scalars of the last step's info."""


def fill_episode(
    env: gymnasium.Env,
    spec: EnvSpec,
    request: EpisodeRequest,
    out: EpisodeArrays,
    on_step: Callable[[int], None] | None = None,
) -> EpisodeEnd:
    """Run one episode of random actions and write it into arrays made beforehand.

    Args:
        env: environment of that spec.
        spec: what the environment's arrays look like.
        request: the seeds.
        out: room for ``spec.max_steps`` steps.
        on_step: called with the step's number before each step.
    """
    started = time.perf_counter()
    actions = RandomActions(spec, request.seed)
    observation, _ = env.reset(seed=request.seed, options={"scene_seed": request.scene_seed})
    out.image[0], out.state[0] = observation["image"], observation["state"]
    for step in range(spec.max_steps):
        if on_step is not None:
            on_step(step)
        action = out.action[step]
        actions.sample(action)
        observation, reward, terminated, truncated, info = env.step(action)
        out.image[step + 1], out.state[step + 1] = observation["image"], observation["state"]
        out.reward[step] = reward
        if terminated or truncated:
            break
    return EpisodeEnd(
        length=step + 1,
        terminated=bool(terminated),
        truncated=bool(truncated or not terminated),
        seconds=time.perf_counter() - started,
        info=scalars(info),
    )


def scalars(info: Mapping[str, object]) -> dict[str, float]:
    """Return the numbers and flags of an info dictionary."""
    return {key: float(value) for key, value in info.items() if isinstance(value, numbers.Real | np.bool_)}


def copy_episode(request: EpisodeRequest, arrays: EpisodeArrays, end: EpisodeEnd) -> Episode:
    """Return the episode with arrays of its own, cut to its length."""
    return Episode(
        request=request,
        image=arrays.image[: end.length + 1].copy(),
        state=arrays.state[: end.length + 1].copy(),
        action=arrays.action[: end.length].copy(),
        reward=arrays.reward[: end.length].copy(),
        terminated=end.terminated,
        truncated=end.truncated,
        seconds=end.seconds,
        info=end.info,
    )


def collect_episode(env: gymnasium.Env, spec: EnvSpec, request: EpisodeRequest) -> Episode:
    """Run one episode of random actions in this process."""
    arrays = EpisodeArrays(**{name: np.zeros(shape, kind) for name, (shape, kind) in episode_fields(spec).items()})
    return copy_episode(request, arrays, fill_episode(env, spec, request, arrays))


@dataclass(frozen=True)
class EpisodeJob:
    """Build one environment, then collect the episodes that the parent asks for."""

    config: dict[str, object]
    """Configuration for the registry."""
    spec: EnvSpec
    """What the configuration's environment looks like."""
    num_slots: int
    """Episodes that the shared memory holds."""

    def build(self, memory_fd: int) -> EpisodeServer:
        """Build the environment; see :class:`~f1rl_envs.worker_job.Job`."""
        memory = SharedEpisodes(self.spec, self.num_slots, memory_fd)
        return EpisodeServer(build_env(self.config, self.spec, memory.progress), self.spec, memory)


class EpisodeServer:
    """Takes ``(slot, request)`` and answers with an :class:`EpisodeEnd` once the episode is in its slot."""

    def __init__(self, env: gymnasium.Env, spec: EnvSpec, memory: SharedEpisodes) -> None:
        """Take the environment and the memory that the episodes go to."""
        self.about: dict[str, object] = dict(getattr(env, "about", {}))
        self._env, self._spec, self._memory = env, spec, memory

    def serve(self, connection: Connection) -> NoReturn:
        """Collect; see :class:`~f1rl_envs.worker_job.Server`."""
        progress, reset_stage = self._memory.progress, Stage.FIRST_RENDER
        while True:
            progress.mark(Stage.IDLE)
            slot, request = connection.recv()
            progress.mark(reset_stage, request.index)

            def on_step(step: int, episode: int = request.index) -> None:
                progress.mark(Stage.STEP, episode, step)

            connection.send(fill_episode(self._env, self._spec, request, self._memory.slots[slot], on_step))
            reset_stage = Stage.RESET
