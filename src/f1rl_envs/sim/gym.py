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

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.control.single import make_control
from f1rl_envs.sim.embodiments import embodiment
from f1rl_envs.sim.engine import build_scenes
from f1rl_envs.sim.measures import Measures
from f1rl_envs.sim.single_scene import SingleSceneEnv
from f1rl_envs.sim.spec import spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from f1rl_envs.sim.random_exploration import RandomExploration


class RandomExplorationEnv(SingleSceneEnv):
    """One scene, stepped in this process.

    State: joint positions by joint limits and the gripper's opening where :mod:`f1rl_envs.layout` says, then zeros.
    What an action means is in :mod:`f1rl_envs.sim.control.modes`. The rest is as :class:`SingleSceneEnv` says.

    The info of a step has the measures of :meth:`f1rl_envs.sim.measures.Measures.measure`, ``success`` (false),
    ``resampled`` and what the control mode reports; the reward is 0, and nothing terminates an episode.
    """

    base: RandomExploration

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
        env_spec = spec(config)
        robot = embodiment(config["embodiment"])
        self.control = make_control(robot, config["control"], config["control_freq"])
        """From actions to drive targets."""
        self._states = modes.states(robot)
        base = build_scenes(config, 1, sim_backend="physx_cpu", obs_mode="none")
        self._substeps = config["sim_freq"] // config["control_freq"]
        super().__init__(config, env_spec, base, base.renderer)

    def _bind(self) -> None:
        super()._bind()
        scene, agent = self.base.scene.sub_scenes[0], self.base.agent
        self._step_physics = scene.physx_system.step
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
        episode_seed, scene_seed = self._choose_seeds(seed, options)
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

    def _advance(self, action: np.ndarray) -> tuple[float, bool, dict[str, Any]]:
        for _ in self.control.periods(self.control.command(action)):
            for _ in range(self._substeps):
                self._step_physics()
        info = {"success": False, "resampled": self.base.resampled, **self._measures.measure(), **self.control.report()}
        return 0.0, False, info

    def _read_state(self, out: np.ndarray) -> None:
        self._states.normalize(self._articulation.qpos[self._state_joints], out=out)
