"""The batched form of ``random_exploration``: all scenes in one simulation, observations as tensors on its device.

Meant for a GPU, where ManiSkill simulates and draws hundreds of scenes at once. One scene on the CPU is the same code,
which is how the tests compare it with the process form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from f1rl_envs.sim import render
from f1rl_envs.sim.control import modes
from f1rl_envs.sim.embodiments import embodiment
from f1rl_envs.sim.engine import build_scenes
from f1rl_envs.sim.spec import spec
from f1rl_envs.spec import PADDED_DIM, EpisodeRequest
from f1rl_envs.vector.interface import StepResult, VectorEnv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from f1rl_envs.vector.interface import Numbers, Observation

_OWN_CLOCK = "elapsed_steps"
"""ManiSkill's step counter, which its info repeats."""


class BatchedVectorEnv(VectorEnv):
    """All scenes in one ManiSkill simulation; what it takes and gives are torch tensors on :attr:`device`.

    What differs from the process form: all scenes are built at once, so that a scene's ``scene_seed`` can change only
    in a :meth:`reset` of every scene. They have the same number of objects, that of the first scene (set
    ``randomization.num_objects`` to one number to have the scenes of the process form). On a GPU, starts that do not
    settle are not drawn anew, and the simulation does not repeat itself bit for bit. The measures of
    :mod:`f1rl_envs.sim.measures` are taken of single scenes only.

    Attributes:
        base: the ManiSkill environment underneath.
        device: where the tensors are.
    """

    form: ClassVar[str] = "batched"

    def __init__(self, env_config: Mapping[str, Any], num_envs: int) -> None:
        """Start the simulation; the scenes are built by the first :meth:`reset`.

        Args:
            env_config: configuration of ``random_exploration``; ``render_device`` is also where physics runs.
            num_envs: number of scenes.

        Raises:
            ValueError: if the configuration is wrong, its control mode plans, or several scenes are asked for where
                there is no CUDA device.
            RendererError: if there is no usable renderer.
        """
        mode = env_config["control"]["mode"]
        if mode in modes.PLANNING_MODES:
            raise ValueError(f"control.mode={mode}: paths are planned one scene at a time; use ProcessVectorEnv")
        renderer = render.setup(env_config["render_device"])
        self.device = torch.device(renderer.backend)
        super().__init__(spec(env_config), num_envs)
        if num_envs > 1 and self.device.type == "cpu":
            raise ValueError(
                f"num_envs is {num_envs}, but on {renderer.device} ManiSkill simulates one scene; "
                "use ProcessVectorEnv, or env.render_device=cuda:N where there is a CUDA device"
            )
        self.base = build_scenes(
            env_config, num_envs, sim_backend=f"physx_{renderer.backend}", obs_mode="rgb", reward_mode="none"
        )
        robot = embodiment(env_config["embodiment"])
        self._joint_names = [joint for arm in robot.arms for joint in (*arm.joints, arm.fingers[0].joint)]
        states = modes.states(robot)
        self._entries = torch.from_numpy(states.layout.entries).to(self.device)
        self._centre, self._half_range = (
            torch.from_numpy(a).to(self.device) for a in (states.centre, states.half_range)
        )
        self._action_entries = torch.from_numpy(np.flatnonzero(self.env_spec.action_mask)).to(self.device)
        self._actions: torch.Tensor | None = None
        self._steps = self._zeros("int64")
        self._seeds = np.zeros(num_envs, np.int64)
        self._scene_seeds: np.ndarray | None = None

    def close_extras(self) -> None:
        """Free the simulation; the renderer stays for the next environment of this process."""
        self.base.close()

    def _own_about(self) -> dict[str, object]:
        return {"renderer": self.base.renderer.as_record()}

    def _zeros(self, dtype: str) -> torch.Tensor:
        return torch.zeros(self.num_envs, dtype=getattr(torch, dtype), device=self.device)

    def _host(self, array: torch.Tensor) -> np.ndarray:
        return array.cpu().numpy()

    def _start(self, requests: Mapping[int, EpisodeRequest]) -> tuple[Observation, Numbers]:
        scenes = list(requests)
        seeds = self._seeds.copy()
        scene_seeds = np.zeros(self.num_envs, np.int64) if self._scene_seeds is None else self._scene_seeds.copy()
        for scene, request in requests.items():
            seeds[scene], scene_seeds[scene] = request.seed, request.scene_seed
        rebuild = self._scene_seeds is None or not np.array_equal(scene_seeds, self._scene_seeds)
        if rebuild and len(scenes) < self.num_envs:
            raise ValueError(
                f"reset() of scenes {scenes} alone would need them to be built anew, and all scenes are built at once: "
                "reset every scene, or request episodes with the scene_seed that each scene has"
            )
        options: dict[str, Any] = {"reconfigure": True, "scene_seed": scene_seeds} if rebuild else {}
        if len(scenes) < self.num_envs:
            options["env_idx"] = torch.tensor(scenes, device=self.device)
        # ManiSkill wants the seeds of all scenes also where only some are reset.
        observation, info = self.base.reset(seed=seeds.tolist(), options=options)
        self._seeds, self._scene_seeds = seeds, scene_seeds
        self._joints = torch.tensor(self.base.agent.joint_indices(self._joint_names), device=self.device)
        self._steps[scenes] = 0
        return self._observation(observation), self._numbers(info)

    def _send(self, actions: torch.Tensor) -> None:
        self._actions = torch.as_tensor(actions, dtype=torch.float32, device=self.device)[:, self._action_entries]

    def _receive(self) -> StepResult:
        observation, reward, terminated, _, info = self.base.step(self._actions)
        self._steps += 1
        return StepResult(
            observation=self._observation(observation),
            reward=reward.float(),
            terminated=terminated,
            truncated=(self._steps >= self.env_spec.max_steps) & ~terminated,
            numbers=self._numbers(info),
            lost=self._zeros("bool"),
            replays=self._zeros("int64"),
        )

    def _observation(self, raw: dict[str, Any]) -> Observation:
        pictures = [raw["sensor_data"][name]["rgb"] for name in self.env_spec.cameras]
        state = torch.zeros(self.num_envs, PADDED_DIM, device=self.device)
        positions = self.base.agent.robot.get_qpos()[:, self._joints]
        state[:, self._entries] = (positions - self._centre) / self._half_range
        return {"image": torch.stack(pictures, 1).movedim(-1, 2).contiguous(), "state": state}

    def _numbers(self, info: Mapping[str, Any]) -> Numbers:
        return {
            name: value.double()
            for name, value in info.items()
            if isinstance(value, torch.Tensor) and value.shape[:1] == (self.num_envs,) and name != _OWN_CLOCK
        }
