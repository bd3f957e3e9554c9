"""Configurations of environments for tests: the settings of ``conf/``, with what a test changes."""

from __future__ import annotations

import copy
from typing import Any

from f1rl_envs.registration import CONFIGURATIONS

_TOY = CONFIGURATIONS["f1rl/Toy-v0"]
_SIMULATOR = CONFIGURATIONS["f1rl/RandomExploration-v0"]
_MANISKILL = CONFIGURATIONS["f1rl/ManiSkill-v0"]


def toy(**changes: Any) -> dict[str, Any]:
    """Return the toy environment's configuration; see :func:`changed` for ``changes``."""
    return changed(_TOY, **changes)


def simulator(**changes: Any) -> dict[str, Any]:
    """Return the simulator's configuration; see :func:`changed` for ``changes``."""
    return changed(_SIMULATOR, **changes)


def maniskill(**changes: Any) -> dict[str, Any]:
    """Return the configuration of a ManiSkill task; see :func:`changed` for ``changes``."""
    return changed(_MANISKILL, **changes)


def changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a copy of ``config`` with keys replaced; ``camera__resolution=32`` replaces one inside a group."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = config
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return config


def without(config: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a copy of ``config`` that lacks the key at the dotted ``path``."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return config
