"""Episodes of a policy: many scenes stepped together, with the histories that a model sees.

A policy is called once for all scenes, never once for each. Episodes come from a queue of requests, so that the same
numbers give the same episodes whoever plays them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from f1rl.models.interface import WorldModelInputs
from f1rl.rollout.histories import Histories
from f1rl.rollout.source import Encode, TokenizedEpisode
from f1rl_envs.spec import Episode, EpisodeRequest
from f1rl_envs.vector.interface import VectorEnv


@dataclass
class _Recording:
    """An episode while it is played."""

    request: EpisodeRequest
    image: list[np.ndarray]
    state: list[np.ndarray]
    tokens: list[np.ndarray]
    action: list[np.ndarray] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    visited: set[int] = field(default_factory=set)

    def finish(self, *, terminated: bool, truncated: bool, info: dict[str, float]) -> TokenizedEpisode:
        """Return the whole episode."""
        arrays = (np.stack(self.image), np.stack(self.state), np.stack(self.action), np.float32(self.reward))
        episode = Episode(self.request, *arrays, terminated=terminated, truncated=truncated, info=info)
        return TokenizedEpisode(episode, np.stack(self.tokens).astype(np.int16), frozenset(self.visited))


@dataclass
class Outcome:
    """What one step of all scenes led to; rows of idle scenes mean nothing."""

    reward: torch.Tensor
    """``float32 [N]``, the task's own."""
    success: torch.Tensor
    """``bool [N]``."""
    terminated: torch.Tensor
    """``bool [N]``."""
    truncated: torch.Tensor
    """``bool [N]``."""
    tokens: torch.Tensor
    """``int64 [N, L]``: the predicted camera's frames after the step, also those that end an episode."""
    finished: dict[int, TokenizedEpisode]
    """Episodes that ended in this step, by scene."""


class EpisodeStreams:
    """Plays a queue of episodes in ``N`` scenes.

    After :meth:`step`, :meth:`inputs` shows what the step led to, the last frames of ended episodes included; then
    :meth:`refill` starts the next episodes in the scenes where some ended.

    Attributes:
        active: ``bool [N]`` numpy array: which scenes play an episode of the queue.
    """

    def __init__(
        self, env: VectorEnv, encode: Encode, camera: int, n_obs: int, stride: int, num_tokens: int, part: int = 0
    ) -> None:
        """Take the scenes.

        Args:
            env: on the CPU (its arrays are numpy's).
            encode: frames ``uint8 [M, 3, H, W]`` to tokens ``int [M, L]``.
            camera: index of the predicted camera.
            n_obs: entries of a history.
            stride: steps between two of them.
            num_tokens: ``L``.
            part: number of these scenes among those that are played at the same time, for whoever draws noise.
        """
        self.part = part
        self._env, self._encode, self._camera = env, encode, camera
        action_dim = len(env.env_spec.action_mask)
        self._histories = Histories(env.num_envs, n_obs, stride, num_tokens, action_dim)
        self._queue: Iterator[EpisodeRequest] = iter(())
        self._recordings: list[_Recording | None] = [None] * env.num_envs
        self._observation: dict[str, np.ndarray] = {}
        self.active = np.zeros(env.num_envs, np.bool_)
        self.waited = 0.0
        """Seconds spent waiting for the scenes so far."""

    @property
    def requests(self) -> list[EpisodeRequest | None]:
        """The episode that each scene plays."""
        return self._env.requests

    def begin(self, requests: Iterable[EpisodeRequest]) -> None:
        """Start the first episodes of ``requests``; an earlier queue is forgotten."""
        self._queue = iter(requests)
        self.active[:] = False
        self._fill(np.arange(len(self.active)))

    def refill(self) -> np.ndarray:
        """Start the next episodes in scenes that have none, and return which were started, ``bool [N]``.

        At the end of the queue a scene without an episode plays its last one again, unrecorded: all scenes are stepped
        together.
        """
        return self._fill(np.flatnonzero(self._env.finished))

    def _fill(self, waiting: np.ndarray) -> np.ndarray:
        following = {scene: request for scene in waiting if (request := next(self._queue, None)) is not None}
        started = np.zeros_like(self.active)
        if following or (self.active.any() and len(waiting)):
            unused = EpisodeRequest(-1, seed=0, scene_seed=0)
            requests: list[EpisodeRequest | None] = [None] * len(started)
            for scene in waiting:
                requests[scene] = following.get(scene) or self._env.requests[scene] or unused
            asked = time.perf_counter()
            self._observation, _ = self._env.reset(requests)
            self.waited += time.perf_counter() - asked
            started[list(following)] = self.active[list(following)] = True
            self._start(waiting, following)
        return started

    def _start(self, waiting: np.ndarray, following: dict[int, EpisodeRequest]) -> None:
        image, state = self._observation["image"], self._observation["state"]
        tokens = self._encode(image[waiting, self._camera])
        self._histories.begin(torch.from_numpy(waiting), torch.from_numpy(tokens).long())
        for scene, code in zip(waiting, tokens, strict=True):
            if scene in following:
                start = ([image[scene].copy()], [state[scene].copy()], [code])
                self._recordings[scene] = _Recording(following[scene], *start)

    def inputs(self) -> WorldModelInputs:
        """Return what all scenes look like now, as a window of one step; its ``action_history`` is empty (zero)."""
        history = self._histories
        return WorldModelInputs(
            image=torch.from_numpy(self._observation["image"].copy())[:, None],
            state=torch.from_numpy(self._observation["state"].copy())[:, None],
            prev_action=history.prev_action[:, None],
            action_history=torch.zeros_like(history.actions_with(history.prev_action))[:, None],
            token_history=history.tokens[:, None],
            is_first=history.is_first[:, None],
        )

    def actions_with(self, action: torch.Tensor) -> torch.Tensor:
        """Return the action histories ``float32 [N, n_obs, A]`` that end with ``action [N, A]``."""
        return self._histories.actions_with(action)

    def step(self, action: torch.Tensor) -> Outcome:
        """Step all scenes by ``action float32 [N, A]`` in [-1, 1]."""
        given, asked = action.numpy(), time.perf_counter()
        self._observation, reward, terminated, truncated, infos = self._env.step(given)
        self.waited += time.perf_counter() - asked
        tokens = self._encode(self._observation["image"][:, self._camera])
        self._histories.append(action, torch.from_numpy(tokens).long())
        finished = {}
        for scene in np.flatnonzero(self.active):
            self._record(scene, given[scene], float(reward[scene]), tokens[scene])
            if "ee_voxel" in infos:
                places = infos["ee_voxel"][scene]
                self._recordings[scene].visited.update(places[np.isfinite(places)].astype(int).tolist())
            if terminated[scene] or truncated[scene]:
                info = {name: float(values[scene]) for name, values in infos.items() if _is_number(values)}
                ends = {"terminated": bool(terminated[scene]), "truncated": bool(truncated[scene])}
                finished[int(scene)] = self._recordings[scene].finish(**ends, info=info)
                self.active[scene] = False
        success = np.nan_to_num(infos.get("success", np.zeros(len(given)))) > 0
        columns = (np.float32(reward), success, terminated, truncated, tokens.astype(np.int64))
        return Outcome(*map(torch.from_numpy, columns), finished)

    def _record(self, scene: int, action: np.ndarray, reward: float, tokens: np.ndarray) -> None:
        recording = self._recordings[scene]
        recording.action.append(action.copy())
        recording.reward.append(reward)
        recording.image.append(self._observation["image"][scene].copy())
        recording.state.append(self._observation["state"][scene].copy())
        recording.tokens.append(tokens)


def _is_number(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1
