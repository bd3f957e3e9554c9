"""The environment's part of a configuration; loads nothing heavy, for processes that only simulate."""

from __future__ import annotations

from typing import Any

from f1rl.config.schema import Config
from f1rl.typed import to_tree


def env_config(cfg: Config) -> dict[str, Any]:
    """Return what :func:`f1rl_envs.registry.make` takes, from the groups that describe the environment."""
    shared = {"id": cfg.env.id, "max_steps": cfg.env.max_steps}
    if cfg.env.id == "toy":
        camera = {"names": list(cfg.camera.names), "resolution": cfg.camera.resolution}
        return {**shared, "variant": cfg.env.variant, "camera": camera}
    simulator = {
        **shared,
        "camera": to_tree(cfg.camera),
        "control": to_tree(cfg.control),
        "sim_freq": cfg.env.sim_freq,
        "control_freq": cfg.env.control_freq,
        "render_device": cfg.env.render_device,
    }
    if cfg.env.id == "maniskill":
        return {**simulator, "task": cfg.env.task}
    return {
        **simulator,
        "embodiment": {"arms": list(cfg.embodiment.arms), "distance": cfg.embodiment.distance},
        "randomization": to_tree(cfg.randomization),
    }
