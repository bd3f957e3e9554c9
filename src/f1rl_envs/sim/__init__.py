"""The simulator environments: ManiSkill 3 on SAPIEN 3.

Importing this package loads neither torch nor ManiSkill; :func:`make` does. :func:`f1rl_envs.sim.spec.spec` answers
what there is to know of an environment without either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from f1rl_envs.sim.gym import RandomExplorationEnv


def make(config: Mapping[str, Any]) -> RandomExplorationEnv:
    """Build the single-scene Gymnasium form of ``random_exploration``.

    Args:
        config: as :data:`f1rl_envs.registry.SCHEMAS` says; every key is required.

    Raises:
        ValueError: if the configuration is incomplete or a value is out of range; the message names the key.
        RendererError: if there is no usable Vulkan driver; the message says what to install.
    """
    from f1rl_envs.sim.gym import RandomExplorationEnv

    return RandomExplorationEnv(config)


__all__ = ["make"]
