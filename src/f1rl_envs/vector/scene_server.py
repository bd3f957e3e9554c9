"""What runs in a worker of a vector environment: a few scenes, started, stepped and brought back on command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple, NoReturn

import gymnasium
import numpy as np

from f1rl_envs.collect import scalars
from f1rl_envs.shared_memory import Progress, Stage
from f1rl_envs.spec import EnvSpec, EpisodeRequest
from f1rl_envs.vector.memory import SharedScenes
from f1rl_envs.worker_job import build_env


class Start(NamedTuple):
    """Start episodes; answered with the info numbers of these scenes, in order of scene."""

    requests: Mapping[int, EpisodeRequest]
    """By scene."""
    half: int
    """Half of the memory that takes the observations."""


class Step(NamedTuple):
    """Step all scenes of the worker; answered with the info numbers of each."""

    half: int
    """Half of the memory that takes the observations."""


class Replay(NamedTuple):
    """Bring scenes to where a process was that is gone; not answered."""

    played: Mapping[int, tuple[EpisodeRequest, int]]
    """Episode and number of steps to repeat, by scene."""
    half: int
    """Half of the memory that holds what was last observed."""


def carried(info: Mapping[str, object]) -> dict[str, float | np.ndarray]:
    """Return the numbers, flags and arrays of numbers of an info dictionary."""
    arrays = {key: value for key, value in info.items() if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"}
    return scalars(info) | arrays


class Scene:
    """One scene and its rows of the memory."""

    def __init__(self, env: gymnasium.Env, row: int, memory: SharedScenes, progress: Progress) -> None:
        """Take the environment and the scene's number among all scenes."""
        self._env, self._row, self._memory, self._progress = env, row, memory, progress
        self._reset_stage = Stage.FIRST_RENDER
        self._episode = -1
        self._step = 0

    def start(self, request: EpisodeRequest, half: int) -> dict[str, float | np.ndarray]:
        """Start an episode and return the numbers of its info."""
        observation, info = self._reset(request)
        self._write(observation, half)
        self._report(0.0, False, False, lost=False)
        return carried(info)

    def step(self, half: int) -> dict[str, float | np.ndarray]:
        """Take the action that is next in the memory and return the numbers of the step's info."""
        memory, row = self._memory, self._row
        if memory.lost[row]:
            memory.image[half, row], memory.state[half, row] = memory.image[1 - half, row], memory.state[1 - half, row]
            self._report(0.0, False, True, lost=True)
            return {}
        observation, reward, terminated, truncated, info = self._act()
        self._write(observation, half)
        self._report(float(reward), terminated, truncated, lost=False)
        return carried(info)

    def replay(self, request: EpisodeRequest, steps: int, half: int) -> None:
        """Repeat an episode up to a step, and note whether it looks as it did."""
        observation, _ = self._reset(request)
        for _ in range(steps):
            observation = self._act()[0]
        before = {"image": self._memory.image[half, self._row], "state": self._memory.state[half, self._row]}
        self._memory.lost[self._row] = not all(np.array_equal(observation[key], before[key]) for key in before)

    def _reset(self, request: EpisodeRequest) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        self._progress.mark(self._reset_stage, request.index)
        result = self._env.reset(seed=request.seed, options={"scene_seed": request.scene_seed})
        self._reset_stage, self._episode, self._step = Stage.RESET, request.index, 0
        return result

    def _act(self) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, object]]:
        self._progress.mark(Stage.STEP, self._episode, self._step)
        result = self._env.step(self._memory.action[self._row, self._step])
        self._step += 1
        return result

    def _write(self, observation: Mapping[str, np.ndarray], half: int) -> None:
        self._memory.image[half, self._row] = observation["image"]
        self._memory.state[half, self._row] = observation["state"]

    def _report(self, reward: float, terminated: bool, truncated: bool, *, lost: bool) -> None:
        memory, row = self._memory, self._row
        memory.reward[row], memory.lost[row] = reward, lost
        memory.terminated[row] = terminated
        memory.truncated[row] = truncated or (self._step == memory.action.shape[1] and not terminated)


@dataclass(frozen=True)
class SceneJob:
    """Build some of the scenes of a vector environment, and do with them what the parent says."""

    config: dict[str, object]
    """Configuration for the registry."""
    spec: EnvSpec
    """What the configuration's environment looks like."""
    num_scenes: int
    """Scenes of all workers."""
    num_workers: int
    """How many workers there are."""
    worker: int
    """Which of them this one is."""
    rows: range
    """Its scenes."""

    def build(self, memory_fd: int) -> SceneServer:
        """Build the environments; see :class:`~f1rl_envs.worker_job.Job`."""
        memory = SharedScenes(self.spec, self.num_scenes, self.num_workers, memory_fd)
        progress = memory.progresses[self.worker]
        envs = [build_env(self.config, self.spec, progress) for _ in self.rows]
        scenes = {row: Scene(env, row, memory, progress) for row, env in zip(self.rows, envs, strict=True)}
        return SceneServer(scenes, progress, dict(getattr(envs[0], "about", {})))


class SceneServer:
    """Takes :class:`Start`, :class:`Step` and :class:`Replay`; answers with a list of info numbers."""

    def __init__(self, scenes: Mapping[int, Scene], progress: Progress, about: dict[str, object]) -> None:
        """Take the scenes by their numbers."""
        self.about = about
        self._scenes, self._progress = scenes, progress

    def serve(self, connection: Connection) -> NoReturn:
        """Do as told; see :class:`~f1rl_envs.worker_job.Server`."""
        while True:
            self._progress.mark(Stage.IDLE)
            match connection.recv():
                case Step(half):
                    connection.send([scene.step(half) for scene in self._scenes.values()])
                case Start(requests, half):
                    connection.send([self._scenes[row].start(request, half) for row, request in requests.items()])
                case Replay(played, half):
                    for row, (request, steps) in played.items():
                        self._scenes[row].replay(request, steps, half)
