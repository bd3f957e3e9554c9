"""What the single-scene simulator environments share: spaces, seeds, steps and chunks of steps, pictures."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import gymnasium
import numpy as np

from f1rl_envs.sim.cameras import FAR, Pictures
from f1rl_envs.spec import PADDED_DIM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mani_skill.envs.sapien_env import BaseEnv

    from f1rl_envs.sim.render import Renderer
    from f1rl_envs.spec import EnvSpec

STATE_BOUND = 2.0
"""Bound of the state entries: limits are at 1, and the physics lets a joint go over its limit by a little."""
FAR_MM = int(1000 * FAR)
"""Most that a depth can be, in millimetres."""
_SCENE_STREAM = 2
"""Tells the scene seed that is derived from an episode's seed from that episode's other draws."""


def derive_scene_seed(seed: int) -> int:
    """Return the scene seed of an episode whose request names none."""
    return int(np.random.SeedSequence([seed, _SCENE_STREAM]).generate_state(1)[0] >> 1)


class SingleSceneEnv(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """One scene on ManiSkill, stepped in this process.

    Observation: ``image`` ``uint8 [C, 3, H, W]``, cameras in the configured order, and ``state`` ``float32 [32]``; with
    ``camera.depth`` also ``depth`` ``uint16 [C, 1, H, W]``, millimetres along the camera's axis, 0 where there is
    nothing. Action: ``float32 [32]`` in [-1, 1]; values outside are clipped, padding is ignored.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, config: Mapping[str, Any], env_spec: EnvSpec, base: BaseEnv, renderer: Renderer) -> None:
        """Make spaces and arrays.

        Args:
            config: as :data:`f1rl_envs.registry.SCHEMAS` says.
            env_spec: what the environment is.
            base: the ManiSkill environment underneath, with one scene on the CPU.
            renderer: what draws.
        """
        self.env_spec = env_spec
        self.base = base
        """The ManiSkill environment underneath."""
        self.renderer = renderer
        self.about = {"renderer": renderer.as_record()}
        self.metadata = {**self.metadata, "render_fps": config["control_freq"]}
        self.copy_observations = True
        """Whether observations are fresh arrays; if false, each step overwrites the arrays that the last one gave."""
        self._pictures = Pictures(len(env_spec.cameras), env_spec.resolution, config["camera"]["depth"])
        self._state = np.zeros(PADDED_DIM, np.float32)
        self._used_actions = np.array(env_spec.action_mask)
        self._steps = 0
        self._scene_seed: int | None = None
        spaces = {
            "image": gymnasium.spaces.Box(0, 255, env_spec.image_shape, np.uint8),
            "state": gymnasium.spaces.Box(-STATE_BOUND, STATE_BOUND, (PADDED_DIM,), np.float32),
        }
        if self._pictures.depth is not None:
            spaces["depth"] = gymnasium.spaces.Box(0, FAR_MM, self._pictures.depth.shape, np.uint16)
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (PADDED_DIM,), np.float32)

    @abstractmethod
    def _advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        """Carry out one action without a picture; return reward, whether the episode is terminated, and info."""

    @abstractmethod
    def _read_state(self, out: np.ndarray) -> None:
        """Write the real entries of the state."""

    def _bind(self) -> None:
        """Look up the SAPIEN objects of the scene, which change at each reset, so that a step touches no wrapper."""
        scene = self.base.scene
        self._update_render = scene.sub_scenes[0].update_render
        self._cameras = [scene.sensors[name].camera._render_cameras[0] for name in self.env_spec.cameras]

    def _choose_seeds(self, seed: int | None, options: Mapping[str, Any]) -> tuple[int, int]:
        """Return the episode's seed and the scene's; what is not named comes from the other or from the generator."""
        scene_seed = options.get("scene_seed")
        if scene_seed is None and (seed is not None or self._scene_seed is None):
            scene_seed = derive_scene_seed(seed if seed is not None else int(self.np_random.integers(2**31)))
        scene_seed = self._scene_seed if scene_seed is None else int(scene_seed)
        return int(self.np_random.integers(2**31)) if seed is None else int(seed), scene_seed

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Carry out one action: for one control period (``1 / control_freq`` seconds), or as many as a plan takes.

        Returns:
            Observation, reward, whether the episode was terminated (by its task) or truncated (by ``max_steps``), and
            what the environment says of the step.

        Raises:
            ValueError: if an action entry is not a number.
        """
        reward, terminated, truncated, info = self._count(action)
        return self._observe(), reward, terminated, truncated, info

    def step_chunk(
        self, actions: np.ndarray, observe: Literal["last", "all"] = "last"
    ) -> tuple[dict[str, np.ndarray], np.ndarray, bool, bool, dict[str, Any]]:
        """Carry out actions one after another, as :meth:`step` does, and take pictures only when they are wanted.

        Where the episode ends within the chunk, the rest of the actions is left out.

        Args:
            actions: ``[k, 32]``, at least one.
            observe: ``last`` renders once, after the last step; ``all`` after each.

        Returns:
            As :meth:`step`: the observation after the last of the ``n <= k`` steps that were made, or with ``all``
            those after each (leading axis ``n``); rewards ``float32 [n]``; the last step's info, with ``steps``: ``n``.

        Raises:
            ValueError: if there is no action, ``observe`` is something else, or an entry is not a number; nothing has
                moved then.
        """
        actions = np.asarray(actions)
        if observe not in ("last", "all"):
            raise ValueError(f"observe must be last or all, got {observe!r}")
        if actions.ndim != 2 or len(actions) == 0 or not np.isfinite(actions[:, self._used_actions]).all():
            raise ValueError(f"actions must be finite, [k, {PADDED_DIM}] with k of at least 1, got {actions}")
        observations, rewards = [], []
        for action in actions:
            reward, terminated, truncated, info = self._count(action)
            rewards.append(reward)
            if observe == "all":
                observations.append({key: value.copy() for key, value in self._observe().items()})
            if terminated or truncated:
                break
        if observe == "last":
            observation = self._observe()
        else:
            observation = {key: np.stack([each[key] for each in observations]) for key in observations[0]}
        return observation, np.array(rewards, np.float32), terminated, truncated, {**info, "steps": len(rewards)}

    def _count(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        """Advance by one step and tell whether it was the last one."""
        reward, terminated, info = self._advance(action)
        self._steps += 1
        return reward, terminated, self._steps >= self.env_spec.max_steps, info

    def _observe(self) -> dict[str, np.ndarray]:
        """Take the pictures and read the state."""
        self._read_state(self._state)
        observation = {**self._pictures.take(self._update_render, self._cameras), "state": self._state}
        if self.copy_observations:
            return {key: value.copy() for key, value in observation.items()}
        return observation

    def render(self) -> np.ndarray | None:
        """Return a larger picture for people, ``uint8 [H, W, 3]``, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self.base.render_rgb_array()[0].cpu().numpy()

    def close(self) -> None:
        """Free the scene; the renderer stays for the next environment of this process."""
        self.base.close()
