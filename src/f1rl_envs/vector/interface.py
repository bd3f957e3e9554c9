"""The interface that every form of many scenes has, and what does not depend on the form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from f1rl_envs.errors import EnvError
from f1rl_envs.spec import PADDED_DIM, EnvSpec, EpisodeRequest
from f1rl_envs.vector.statistics import Array, EpisodeStatistics

Observation = dict[str, Array]
"""``image`` ``uint8 [N, C, 3, H, W]`` and ``state`` ``float32 [N, S]``."""
Numbers = dict[str, Array]
"""The numbers of the scenes' info dictionaries by name, ``float64 [N]``, or ``[N, ...]`` where each is an array.

NaN where a scene did not report one.
"""


class StepResult(NamedTuple):
    """What a step of all scenes gave, before statistics."""

    observation: Observation
    reward: Array
    """``float32 [N]``."""
    terminated: Array
    """``bool [N]``."""
    truncated: Array
    """``bool [N]``."""
    numbers: Numbers
    lost: Array
    """``bool [N]``: scenes whose episode cannot go on for a reason outside of it."""
    replays: Array
    """``int64 [N]``: how often a new process had to repeat the running episode."""


class VectorEnv(gymnasium.vector.VectorEnv, ABC):
    """``N`` scenes that are stepped together; each plays the episode that was requested for it.

    Nothing resets by itself (Gymnasium's ``AutoresetMode.DISABLED``): the step that ends an episode returns its last
    observation, and the scene waits until :meth:`reset` gives it its next request. So the last observation is never
    mistaken for, or replaced by, the first one of the next episode, and every episode has seeds that its caller knows.

    Arrays are numpy's in the process form, torch's on the simulation's device in the batched form. An observation is
    valid until the second call of :meth:`reset` or :meth:`receive` (:meth:`step`) after the one that returned it: the
    previous observation can still be read when the next one is there. Everything else that is returned is the caller's.

    Attributes:
        env_spec: what each scene looks like.
        requests: the episode that each scene plays or has finished; None before its first.
        finished: ``bool [N]`` numpy array: which scenes wait for a request.
        form: ``process`` or ``batched``.
        fallback_reason: why it is not the form that was hoped for; None if it is.
    """

    form: ClassVar[str]

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}

    def __init__(self, env_spec: EnvSpec, num_envs: int) -> None:
        """Take what each of the scenes looks like, and their number ``N``.

        Raises:
            ValueError: if there is to be no scene.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: it must be >= 1")
        self.env_spec, self.num_envs = env_spec, num_envs
        box = gymnasium.spaces.Box
        self.single_observation_space = gymnasium.spaces.Dict(
            {
                "image": box(0, 255, env_spec.image_shape, np.uint8),
                "state": box(-np.inf, np.inf, (PADDED_DIM,), np.float32),
            }
        )
        self.single_action_space = box(-1.0, 1.0, (PADDED_DIM,), np.float32)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.requests: list[EpisodeRequest | None] = [None] * num_envs
        self.finished = np.ones(num_envs, np.bool_)
        self._statistics = EpisodeStatistics(self._zeros)
        self.fallback_reason: str | None = None
        self._num_drawn = 0
        self._awaits_receive = False

    # ------------------------------------------------------------------------------------------- what a form adds
    @abstractmethod
    def _own_about(self) -> dict[str, object]:
        """Return what the environment says it runs on."""

    @abstractmethod
    def _zeros(self, dtype: str) -> Array:
        """Return zeros ``[N]`` of the form's kind of array."""

    @abstractmethod
    def _host(self, array: Array) -> np.ndarray:
        """Return an array of the form as numpy's."""

    @abstractmethod
    def _start(self, requests: Mapping[int, EpisodeRequest]) -> tuple[Observation, Numbers]:
        """Start an episode in each of these scenes, and return what all scenes look like then."""

    @abstractmethod
    def _send(self, actions: Array) -> None:
        """Begin a step with checked actions."""

    @abstractmethod
    def _receive(self) -> StepResult:
        """Wait for the step."""

    # ----------------------------------------------------------------------------------------------- the interface
    @property
    def about(self) -> dict[str, object]:
        """The form, and what the environment says it runs on, e.g. its renderer, once one is built; for records."""
        vector = {"form": self.form, "num_envs": self.num_envs, "fallback_reason": self.fallback_reason}
        return {"vector": vector, **self._own_about()}

    @cached_property
    def observation_space(self) -> gymnasium.Space:
        """Space of all scenes; made when it is asked for, because Gymnasium keeps the bounds of every single pixel."""
        return batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self,
        requests: Sequence[EpisodeRequest | None] | None = None,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in some or all scenes; the others stay as they are.

        Args:
            requests: for each scene the episode to start, or None to leave it alone. An episode may be cut short.
            seed: without ``requests``, scene ``i`` starts the episode with ``seed + i`` as both of its seeds; without
                either, seeds are drawn from this object's generator.
            options: without ``requests``, ``reset_mask`` (``bool [N]``) says which scenes to reset.

        Returns:
            The observation of all scenes, and the numbers of the info dictionaries of those that were started.

        Raises:
            ValueError: if there is not one request per scene, or none at all.
            EnvError: after :meth:`send` without :meth:`receive`, or if the environment cannot go on.
        """
        self._require_idle()
        super().reset(seed=seed)
        if requests is None:
            requests = self._drawn_requests(seed, (options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_)))
        if len(requests) != self.num_envs or not any(requests):
            raise ValueError(
                f"reset() got {len(requests)} requests, {sum(map(bool, requests))} of them for an episode; it takes "
                f"{self.num_envs}, one for each scene: an episode, or None to leave it alone, but not None for all"
            )
        chosen = {scene: request for scene, request in enumerate(requests) if request is not None}
        observation, numbers = self._start(chosen)
        for scene, request in chosen.items():
            self.requests[scene], self.finished[scene] = request, False
        self._statistics.begin(list(chosen))
        return observation, dict(numbers)

    def step(self, actions: Array) -> tuple[Observation, Array, Array, Array, dict[str, Any]]:
        """Step all scenes: :meth:`send`, then :meth:`receive`."""
        self.send(actions)
        return self.receive()

    def send(self, actions: Array) -> None:
        """Begin a step of all scenes and return; the caller may do something else before :meth:`receive`.

        Args:
            actions: ``float32 [N, A]`` in [-1, 1]; taken over before this returns.

        Raises:
            ValueError: if the shape is wrong or, on the CPU, a number is not finite.
            EnvError: if a scene has finished its episode (reset it first), or a step is under way already.
        """
        self._require_idle()
        if tuple(actions.shape) != (self.num_envs, PADDED_DIM):
            raise ValueError(f"actions have shape {tuple(actions.shape)}; they must be {(self.num_envs, PADDED_DIM)}")
        if self.finished.any():
            scenes = np.flatnonzero(self.finished).tolist()
            raise EnvError(f"scenes {scenes} have no episode under way; reset() them before the next step")
        self._send(actions)
        self._awaits_receive = True

    def receive(self) -> tuple[Observation, Array, Array, Array, dict[str, Any]]:
        """Wait for the step that :meth:`send` began.

        Returns:
            The observation of all scenes, ``reward`` ``float32 [N]``, ``terminated`` and ``truncated`` ``bool [N]``,
            and infos: the numbers of the scenes' info dictionaries, ``lost`` and ``replays`` (see
            :class:`StepResult`), and, if an episode has ended, ``episode`` (see
            :meth:`~f1rl_envs.vector.statistics.EpisodeStatistics.results`) with ``_episode`` ``bool [N]``, which tells
            for which scenes it holds.

        Raises:
            EnvError: if no step was begun, or the environment cannot go on.
        """
        if not self._awaits_receive:
            raise EnvError("receive() was called before send()")
        self._awaits_receive = False
        result = self._receive()
        self._statistics.add(result.reward, {name: a for name, a in result.numbers.items() if a.ndim == 1})
        ended = result.terminated | result.truncated
        self.finished = self._host(ended).copy()
        infos = {**result.numbers, "lost": result.lost, "replays": result.replays}
        if self.finished.any():
            infos |= {"episode": self._statistics.results(), "_episode": ended}
        return result.observation, result.reward, result.terminated, result.truncated, infos

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # ------------------------------------------------------------------------------------------------- its checks
    def _require_idle(self) -> None:
        """Refuse to go on when closed or in the middle of a step."""
        if self.closed:
            raise EnvError("this vector environment is closed; make a new one")
        if self._awaits_receive:
            raise EnvError("a step is under way; call receive() first")

    def _drawn_requests(self, seed: int | None, mask: np.ndarray) -> list[EpisodeRequest | None]:
        """Return a request for each scene in ``mask``, with seeds that follow from ``seed`` or are drawn."""
        requests: list[EpisodeRequest | None] = [None] * self.num_envs
        for scene in np.flatnonzero(mask).tolist():
            number = int(self.np_random.integers(2**31)) if seed is None else seed + scene
            requests[scene] = EpisodeRequest(self._num_drawn, seed=number, scene_seed=number)
            self._num_drawn += 1
        return requests
