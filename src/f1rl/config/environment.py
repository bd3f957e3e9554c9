"""What the environments get to see of a configuration."""

from __future__ import annotations

from typing import Any

from f1rl.config.schema import Config
from f1rl.config.typed import to_tree


def env_config(config: Config) -> dict[str, Any]:
    """Return the plain mapping that ``f1rl_envs.registry`` builds an environment from.

    It holds what the environment has, no more: robot and control for the simulator, the variant for the toy.
    ``scene_reset_interval`` is not in it, because whoever asks for episodes chooses their scene seeds.
    """
    env = {key: value for key, value in to_tree(config.env).items() if value is not None}
    del env["scene_reset_interval"]
    if config.env.id == "toy":
        return env
    robot = {"embodiment": config.embodiment.name, "control_mode": config.control.mode}
    return env | robot | {"action_scale": config.control.action_scale}
