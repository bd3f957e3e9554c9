"""The single-scene Gymnasium form of ``random_exploration``, with nothing in a step that is not needed.

A ManiSkill step wraps each number in batched tensors, copies textures it does not return and computes camera matrices:
2 ms of 6 on a CPU. Here the same scene, built and reset by the same
:class:`~f1rl_envs.sim.random_exploration.RandomExploration`, is stepped through SAPIEN's own objects: set nine drive
targets, step the physics, take the pictures, copy them into arrays that exist already.

**The same (seed, scene seed) gives the same episode, bit for bit**: states, velocities and pictures, contacts included,
in any process of one machine, on a fresh scene as on a reused one, whatever was played before. A scene that is merely
put back to its start does not keep this: PhysX carries contact manifolds and solver warm starts over, the first step
differs by 1e-7 and an episode that touches something by centimetres. Each reset therefore moves the bodies into a new
physics scene, see :func:`f1rl_envs.sim.physics.renew_physics`. Not claimed: equality across processor models,
driver versions, or between a GPU's pictures and the software renderer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from f1rl_envs.sim.cameras import FAR, Pictures
from f1rl_envs.sim.control import modes
from f1rl_envs.sim.control.single import make_control
from f1rl_envs.sim.embodiments import embodiment
from f1rl_envs.sim.engine import build_scenes
from f1rl_envs.sim.measures import Measures
from f1rl_envs.sim.spec import spec
from f1rl_envs.spec import PADDED_DIM

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_BOUND = 2.0
"""Bound of the state entries: limits are at 1, and the physics lets a joint go over its limit by a little."""
FAR_MM = int(1000 * FAR)
"""Most that a depth can be, in millimetres."""
_SCENE_STREAM = 2
"""Tells the scene seed that is derived from an episode's seed from that episode's other draws."""


def derive_scene_seed(seed: int) -> int:
    """Return the scene seed of an episode whose request names none."""
    return int(np.random.SeedSequence([seed, _SCENE_STREAM]).generate_state(1)[0] >> 1)


class RandomExplorationEnv(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """One scene, stepped in this process.

    Observation: ``image`` ``uint8 [C, 3, H, W]``, cameras in the configured order, and ``state`` ``float32 [32]``:
    joint positions by joint limits and the gripper's opening where :mod:`f1rl_envs.layout` says, then zeros; with
    ``camera.depth`` also ``depth`` ``uint16 [C, 1, H, W]``, millimetres along the camera's axis, 0 where there is
    nothing. Action: ``float32 [32]`` in [-1, 1], its meaning in :mod:`f1rl_envs.sim.control.modes`; values outside are
    clipped.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, config: Mapping[str, Any], render_mode: str | None = "rgb_array") -> None:
        """Build the environment; a scene exists at once, an episode after :meth:`reset`.

        Args:
            config: as :data:`f1rl_envs.registry.SCHEMAS` says; every key is required.
            render_mode: ``rgb_array``, or None to do without :meth:`render`.

        Raises:
            ValueError: if the configuration is incomplete or a value is out of range.
            RendererError: if there is no usable Vulkan driver.
            PlannerError: if the control mode plans and its planner is not installed.
        """
        self.render_mode = render_mode
        self.spec = EnvSpec(
            "f1rl/RandomExploration-v0",
            entry_point="f1rl_envs.sim.gym:RandomExplorationEnv",
            disable_env_checker=True,
            kwargs={"config": config},
        )
        self.metadata = {**self.metadata, "render_fps": config["control_freq"]}
        self.env_spec = spec(config)
        self.copy_observations = True
        """Whether observations are fresh arrays; if false, each step overwrites the arrays that the last one gave."""
        robot, camera = embodiment(config["embodiment"]), config["camera"]
        self.control = make_control(robot, config["control"], config["control_freq"])
        """From actions to drive targets."""
        self._states = modes.states(robot)
        self.base = build_scenes(config, 1, sim_backend="physx_cpu", obs_mode="none")
        """The ManiSkill environment underneath."""
        self.renderer = self.base.renderer
        self.about = {"renderer": self.renderer.as_record()}
        self._substeps = config["sim_freq"] // config["control_freq"]
        self._pictures = Pictures(len(camera["names"]), camera["resolution"], camera["depth"])
        self._state = np.zeros(PADDED_DIM, np.float32)
        self._used_actions = np.array(self.env_spec.action_mask)
        self._steps = 0
        self._scene_seed: int | None = None
        spaces = {
            "image": gymnasium.spaces.Box(0, 255, self.env_spec.image_shape, np.uint8),
            "state": gymnasium.spaces.Box(-STATE_BOUND, STATE_BOUND, (PADDED_DIM,), np.float32),
        }
        if camera["depth"]:
            spaces["depth"] = gymnasium.spaces.Box(0, FAR_MM, self._pictures.depth.shape, np.uint16)
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (PADDED_DIM,), np.float32)

    def _bind(self) -> None:
        """Look up the SAPIEN objects of the scene, which change at each reset, so that a step touches no wrapper."""
        scene = self.base.scene.sub_scenes[0]
        self._update_render = scene.update_render
        self._step_physics = scene.physx_system.step
        self._cameras = [self.base.scene.sensors[name].camera._render_cameras[0] for name in self.env_spec.cameras]
        agent = self.base.agent
        self._articulation = agent.robot._objs[0]
        joints = [joint for arm in agent.embodiment.arms for joint in (*arm.joints, arm.fingers[0].joint)]
        self._state_joints = np.array(agent.joint_indices(joints))
        self.control.bind(agent, scene)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: the episode seed; None draws one from this environment's own generator.
            options: ``scene_seed`` names the scene; without it, it is derived from ``seed`` (and the scene stays as it
                is when that is None too). A scene is rebuilt only when its seed changes, or if ``rebuild`` is true.

        Returns:
            The first observation, and an info dictionary: ``seed``, ``scene_seed``, ``rebuilt``, ``success``, and how
            the start was found: ``resampled`` starts would not settle, the one that did is that of ``start_seed``. They
            follow from the two seeds, which alone reproduce the episode.

        Raises:
            SceneError: if no start at rest was found.
        """
        super().reset(seed=seed)
        options = options or {}
        scene_seed = options.get("scene_seed")
        if scene_seed is None and (seed is not None or self._scene_seed is None):
            scene_seed = derive_scene_seed(seed if seed is not None else int(self.np_random.integers(2**31)))
        scene_seed = self._scene_seed if scene_seed is None else int(scene_seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else int(seed)
        rebuilt = bool(options.get("rebuild", False)) or scene_seed != self._scene_seed
        if rebuilt:
            self._scene_seed = None
            self.base.reset(seed=episode_seed, options={"reconfigure": True, "scene_seed": scene_seed})
            self._scene_seed = scene_seed
        else:
            self.base.restart(episode_seed)
        self._bind()
        self._steps = 0
        self.control.reset(episode_seed)
        self._measures = Measures(self.base.scene.px, self.base.agent, self.base.bodies)
        (start_seed,) = self.base.start_seeds
        info = {"seed": episode_seed, "scene_seed": scene_seed, "rebuilt": rebuilt, "success": False}
        return self._observe(), {**info, "resampled": self.base.resampled, "start_seed": start_seed}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Carry out one action: for one control period (``1 / control_freq`` seconds), or as many as a plan takes.

        Returns:
            Observation, reward (0), whether the episode was terminated (never) or truncated, and the measures of
            :meth:`f1rl_envs.sim.measures.Measures.measure` with ``success`` (false), ``resampled`` and what the control
            mode reports.

        Raises:
            ValueError: if an action entry is not a number.
        """
        truncated, info = self._advance(action)
        return self._observe(), 0.0, False, truncated, info

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
            truncated, info = self._advance(action)
            rewards.append(0.0)
            if observe == "all":
                observations.append({key: value.copy() for key, value in self._observe().items()})
            if truncated:
                break
        if observe == "last":
            observation = self._observe()
        else:
            observation = {key: np.stack([each[key] for each in observations]) for key in observations[0]}
        return observation, np.array(rewards, np.float32), False, truncated, {**info, "steps": len(rewards)}

    def _advance(self, action: np.ndarray) -> tuple[bool, dict[str, Any]]:
        """Carry out one action without a picture; return whether the episode is truncated, and the step's info."""
        for _ in self.control.periods(self.control.command(action)):
            for _ in range(self._substeps):
                self._step_physics()
        self._steps += 1
        info = {"success": False, "resampled": self.base.resampled, **self._measures.measure(), **self.control.report()}
        return self._steps >= self.env_spec.max_steps, info

    def _observe(self) -> dict[str, np.ndarray]:
        """Take the pictures and read the joints."""
        self._states.normalize(self._articulation.qpos[self._state_joints], out=self._state)
        observation = {**self._pictures.take(self._update_render, self._cameras), "state": self._state}
        if self.copy_observations:
            return {key: value.copy() for key, value in observation.items()}
        return observation

    def render(self) -> np.ndarray | None:
        """Return a larger picture from the side, ``uint8 [512, 512, 3]``, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self.base.render_rgb_array()[0].cpu().numpy()

    def close(self) -> None:
        """Free the scene; the renderer stays for the next environment of this process."""
        self.base.close()
