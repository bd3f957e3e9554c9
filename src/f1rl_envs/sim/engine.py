"""From the configuration of ``random_exploration`` to its ManiSkill environment, whatever form it is to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f1rl_envs.sim.agents import agent_class
from f1rl_envs.sim.control import modes
from f1rl_envs.sim.embodiments import embodiment
from f1rl_envs.sim.random_exploration import RandomExploration

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_scenes(config: Mapping[str, Any], num_envs: int, **form: Any) -> RandomExploration:
    """Return the ManiSkill environment of a configuration.

    Args:
        config: as :data:`f1rl_envs.registry.SCHEMAS` says.
        num_envs: number of scenes.
        **form: further arguments of ``BaseEnv``, e.g. ``sim_backend`` and ``obs_mode``.

    Raises:
        RendererError: if there is no usable Vulkan driver.
    """
    control, camera = config["control"], config["camera"]
    return RandomExploration(
        num_envs=num_envs,
        control_mode="qpos" if control["mode"] in modes.PLANNING_MODES else control["mode"],
        robot_uids=agent_class(embodiment(config["embodiment"])).uid,
        cameras=tuple(camera["names"]),
        resolution=camera["resolution"],
        head_fov=camera["head_fov"],
        wrist_fov=camera["wrist_fov"],
        action_scale=control["action_scale"],
        randomization=config["randomization"],
        render_device=config["render_device"],
        sim_config={"sim_freq": config["sim_freq"], "control_freq": config["control_freq"]},
        **form,
    )
