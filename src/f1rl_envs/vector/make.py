"""The form of a vector environment that suits the machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from f1rl_envs import registry
from f1rl_envs.sim.control.modes import PLANNING_MODES
from f1rl_envs.vector.interface import VectorEnv
from f1rl_envs.vector.process import ProcessVectorEnv

FORMS = ("auto", "process", "batched")

_log = logging.getLogger(__name__)


def make_vector(
    env_config: Mapping[str, Any],
    num_envs: int,
    num_workers: int,
    *,
    form: str = "auto",
    start_timeout: float,
    step_timeout: float,
    max_restarts: int,
    log_dir: Path | None,
) -> VectorEnv:
    """Make the batched form where there is a GPU for it, else the process form; which and why is in ``env.about``.

    Args:
        env_config: configuration for :func:`f1rl_envs.registry.make`.
        num_envs: number of scenes.
        num_workers: processes of the process form, at most one for each scene; the batched form has none.
        form: ``auto``, or ``process`` or ``batched`` to insist.
        start_timeout: of the process form, as the next three; see :class:`ProcessVectorEnv`.
        step_timeout: see there.
        max_restarts: see there.
        log_dir: see there.

    Raises:
        ValueError: if the configuration or the form is wrong, or the batched form is insisted on where it cannot be.
        EnvError: if there is not enough memory, no renderer, or a process cannot be started.
    """
    if form not in FORMS:
        raise ValueError(f"form={form!r}: must be one of {', '.join(FORMS)}")
    registry.spec(env_config)  # refuses wrong values before the machine is asked anything
    obstacle = None if form == "process" else why_not_batched(env_config)
    if form == "batched" and obstacle is not None:
        raise ValueError(f"form=batched cannot be: {obstacle}; use form=auto or form=process")
    if form != "process" and obstacle is None:
        from f1rl_envs.sim.batched import BatchedVectorEnv  # loads torch and the simulator

        return BatchedVectorEnv(env_config, num_envs)
    num_workers = min(num_workers, num_envs)
    env = ProcessVectorEnv(
        env_config,
        num_envs,
        num_workers,
        start_timeout=start_timeout,
        step_timeout=step_timeout,
        max_restarts=max_restarts,
        log_dir=log_dir,
    )
    env.fallback_reason = obstacle
    if obstacle is not None:
        _log.warning("%d scenes run in %d processes, not as one batch: %s", num_envs, num_workers, obstacle)
    return env


def why_not_batched(env_config: Mapping[str, Any]) -> str | None:
    """Say what keeps an environment from being simulated as one batch here; None if nothing does."""
    if env_config["id"] != "random_exploration":
        return f"environment {env_config['id']!r} has no batched form"
    mode = env_config["control"]["mode"]
    if mode in PLANNING_MODES:
        return f"control.mode={mode} plans paths, one scene at a time"
    if env_config["render_device"] == "cpu":
        return "env.render_device is cpu"
    from f1rl_envs.sim.cuda import why_no_gpu  # loads torch, which whoever trains has loaded anyway

    return why_no_gpu(env_config["render_device"])
