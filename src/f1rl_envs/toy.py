"""A toy robot drawn with numpy: the spaces of the real environments, thousands of steps a second, no simulator.

Variants (``config["variant"]``):

* ``arm``: a small arm over a textured table, to see a world model learn within a minute;
* ``clock``: pictures that spell their own step and the action that led to them, to prove temporal alignment;
* ``cue``: a colour that can only be predicted from memory, to prove that the memory works.

All three move alike: seven joints and a gripper, driven by actions in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import gymnasium
import numpy as np

from f1rl_envs.spec import PADDED_DIM, EnvSpec
from f1rl_envs.toy_views import NUM_CUES, NUM_JOINTS, NUM_REAL, VIEWS, ToyState

_JOINT_STEP = 0.15
"""How far an action of 1 moves a joint, in joint units; the limits are -1 and 1."""
_GRIPPER_PART = 0.5
"""Which part of the way to its command the gripper moves in a step."""


def spec(config: Mapping[str, object]) -> EnvSpec:
    """Describe the toy environment; ``config`` has been checked by the registry."""
    mask = tuple(index < NUM_REAL for index in range(PADDED_DIM))
    return EnvSpec(
        name=f"toy-{config['variant']}",
        cameras=tuple(config["camera"]["names"]),
        resolution=config["camera"]["resolution"],
        max_steps=config["max_steps"],
        control_freq=20.0,
        action_mask=mask,
        state_mask=mask,
        grippers=(NUM_JOINTS,),
    )


def make(config: Mapping[str, object]) -> ToyEnv:
    """Build the toy environment; ``config`` has been checked by the registry."""
    return ToyEnv(spec(config), str(config["variant"]))


class ToyEnv(gymnasium.Env):
    """Seven joints and a gripper seen by one or two drawn cameras; no reward, ended by its step limit alone."""

    metadata: ClassVar[dict[str, object]] = {"render_modes": []}

    def __init__(self, spec: EnvSpec, variant: str) -> None:
        """Build the environment.

        Args:
            spec: cameras, resolution and step limit.
            variant: ``arm``, ``clock`` or ``cue``.
        """
        self.env_spec = spec
        self._view = VIEWS[variant](spec.resolution)
        self._state = ToyState()
        self._scene_seed: int | None = None
        self.observation_space = gymnasium.spaces.Dict(
            {
                "image": gymnasium.spaces.Box(0, 255, spec.image_shape, np.uint8),
                "state": gymnasium.spaces.Box(-1.0, 1.0, (PADDED_DIM,), np.float32),
            }
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (PADDED_DIM,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, bool]]:
        """Start an episode.

        Args:
            seed: decides the start, the cue and, without ``options``, the scene; None continues the last seed's
                sequence.
            options: ``scene_seed`` decides the table; an unchanged one keeps it.

        Returns:
            The observation and ``{"success": False}``.
        """
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        scene_seed = int((options or {}).get("scene_seed", seed))
        if scene_seed != self._scene_seed:
            self._view.build_scene(scene_seed)
            self._scene_seed = scene_seed
        rng = np.random.default_rng((0, seed))
        start = rng.uniform(-0.6, 0.6, size=NUM_REAL).astype(np.float32)
        cue = int(rng.integers(NUM_CUES))
        self._state = ToyState(seed=seed, cue=cue, joints=start[:NUM_JOINTS], gripper=float(start[NUM_JOINTS]))
        return self._observe(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, bool]]:
        """Move by ``action``, ``float32 [A]`` in [-1, 1]; entries outside are clipped, padding is ignored."""
        state = self._state
        moved = np.clip(action[:NUM_REAL], -1.0, 1.0)
        state.joints += _JOINT_STEP * moved[:NUM_JOINTS]
        np.clip(state.joints, -1.0, 1.0, out=state.joints)
        state.gripper += _GRIPPER_PART * (float(moved[NUM_JOINTS]) - state.gripper)
        state.last_action[:NUM_REAL] = moved
        state.step += 1
        return self._observe(), 0.0, False, state.step >= self.env_spec.max_steps, {"success": False}

    def _observe(self) -> dict[str, np.ndarray]:
        """Draw every camera; the arrays are new, because whoever gets them may keep them."""
        image = np.empty(self.env_spec.image_shape, dtype=np.uint8)
        for camera, picture in zip(self.env_spec.cameras, image, strict=True):
            self._view.draw(camera, self._state, picture)
        state = np.zeros(PADDED_DIM, dtype=np.float32)
        state[:NUM_JOINTS] = self._state.joints
        state[NUM_JOINTS] = self._state.gripper
        return {"image": image, "state": state}
