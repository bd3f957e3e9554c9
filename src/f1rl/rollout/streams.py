"""Episodes of a policy: many scenes stepped together, with the histories that a model sees.

A policy is called once for all scenes, never once for each. Episodes come from a queue of requests, so that the same
numbers give the same episodes whoever plays them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from f1rl.errors import EnvironmentFailure
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
    end: dict[str, Any] | None = None
    """How it ended, once it has."""

    def finish(self) -> TokenizedEpisode:
        """Return the whole episode."""
        arrays = (np.stack(self.image), np.stack(self.state), np.stack(self.action), np.float32(self.reward))
        episode = Episode(self.request, *arrays, **self.end)
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
    ended: list[int]
    """Scenes whose episode of the queue ended in this step."""


@dataclass
class Sight:
    """What all scenes looked like after each of the last ``T`` steps."""

    window: WorldModelInputs
    """``T`` steps of ``N`` streams; its ``action_history`` is empty (zero)."""
    action_history: torch.Tensor
    """``float32 [N, n_obs, A]``: actions up to the one that led to the last frames."""
    tokens: torch.Tensor
    """``int64 [N, L]``: the predicted camera's last frames, also those that end an episode."""
    finished: dict[int, TokenizedEpisode]
    """Episodes that ended, by scene."""


@dataclass
class _Unseen:
    """A step that no :class:`Sight` has shown yet."""

    action: torch.Tensor
    image: np.ndarray
    state: np.ndarray
    played: np.ndarray
    """Scenes that played an episode of the queue, ``int64 [M]``."""


class EpisodeStreams:
    """Plays a queue of episodes in ``N`` scenes.

    After one or several calls of :meth:`step`, :meth:`look` shows what these led to, the last frames of ended episodes
    included; then :meth:`refill` starts the next episodes in the scenes where some ended. Frames are encoded when they
    are looked at, all at once, which costs a fraction of encoding them step by step.

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
        self._unseen: list[_Unseen] = []
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
        self._unseen.clear()
        self.active[:] = False
        self._fill(np.arange(len(self.active)))

    def refill(self) -> np.ndarray:
        """Start the next episodes in scenes that have none, and return which were started, ``bool [N]``.

        At the end of the queue a scene without an episode plays its last one again, unrecorded: all scenes are stepped
        together.

        Raises:
            RuntimeError: an episode ended, and nobody has looked at it.
        """
        waiting = np.flatnonzero(self._env.finished)
        if any(np.isin(waiting, one.played).any() for one in self._unseen):
            raise RuntimeError("episodes can be started only after look() has shown how those before them ended")
        return self._fill(waiting)

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
        """Return what all scenes look like now, as a window of one step; its ``action_history`` is empty (zero).

        Ask for it only when all steps have been looked at: histories know no others.
        """
        return self._window(self._observation["image"].copy(), self._observation["state"].copy())

    def _window(self, image: np.ndarray, state: np.ndarray) -> WorldModelInputs:
        history = self._histories
        return WorldModelInputs(
            image=torch.from_numpy(image)[:, None],
            state=torch.from_numpy(state)[:, None],
            prev_action=history.prev_action[:, None],
            action_history=torch.zeros_like(history.actions)[:, None],
            token_history=history.tokens[:, None],
            is_first=history.is_first[:, None],
        )

    def step(self, action: torch.Tensor) -> Outcome:
        """Step all scenes by ``action float32 [N, A]`` in [-1, 1].

        Raises:
            EnvironmentFailure: a scene whose process died could not be brought back to where it was.
        """
        given, asked = action.numpy(), time.perf_counter()
        self._observation, reward, terminated, truncated, infos = self._env.step(given)
        self.waited += time.perf_counter() - asked
        image, state = (self._observation[name].copy() for name in ("image", "state"))
        played, ended = np.flatnonzero(self.active), []
        self._require_none_lost(infos, played)
        self._unseen.append(_Unseen(action.clone(), image, state, played))
        for scene in played.tolist():
            recording = self._recordings[scene]
            recording.action.append(given[scene].copy())
            recording.reward.append(float(reward[scene]))
            recording.image.append(image[scene])
            recording.state.append(state[scene])
            if "ee_voxel" in infos:
                places = infos["ee_voxel"][scene]
                recording.visited.update(places[np.isfinite(places)].astype(int).tolist())
            if terminated[scene] or truncated[scene]:
                info = {name: float(values[scene]) for name, values in infos.items() if _is_number(values)}
                recording.end = {
                    "terminated": bool(terminated[scene]),
                    "truncated": bool(truncated[scene]),
                    "info": info,
                }
                self.active[scene] = False
                ended.append(scene)
        success = np.nan_to_num(infos.get("success", np.zeros(len(given)))) > 0
        return Outcome(*map(torch.from_numpy, (np.float32(reward), success, terminated, truncated)), ended)

    def _require_none_lost(self, infos: Mapping[str, np.ndarray], played: np.ndarray) -> None:
        lost = [self._env.requests[scene].index for scene in played if infos["lost"][scene]]
        if lost:
            raise EnvironmentFailure(
                f"the process that simulated episode {', '.join(map(str, lost))} died, and its replacement, given the "
                "same seeds and actions, did not see the same: the environment is not deterministic. resume=auto goes "
                "on from the newest checkpoint; logs/env says why the process died"
            )

    def look(self) -> Sight:
        """Show what the steps since the last look led to; there must be one at least."""
        frames = np.stack([one.image[:, self._camera] for one in self._unseen])
        codes = self._encode(frames.reshape(-1, *frames.shape[2:]))
        codes = codes.reshape(*frames.shape[:2], -1)
        windows = []
        for one, code in zip(self._unseen, codes, strict=True):
            self._histories.append(one.action, torch.from_numpy(code).long())
            windows.append(self._window(one.image, one.state))
            for scene in one.played:
                self._recordings[scene].tokens.append(code[scene])
        played = {scene for one in self._unseen for scene in one.played.tolist()}
        finished = {n: self._recordings[n].finish() for n in sorted(played) if self._recordings[n].end is not None}
        self._unseen.clear()
        window, tokens = WorldModelInputs.joined(windows), torch.from_numpy(codes[-1].astype(np.int64))
        return Sight(window, self._histories.actions.clone(), tokens, finished)


def _is_number(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1
