"""``python -m f1rl doctor [--json]``: ask the probes, run the checks, show the table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from f1rl.errors import EnvironmentFailure, UsageError
from f1rl.tools.doctor import cluster, graphics, machine, software
from f1rl.tools.doctor.cgroup import limits
from f1rl.tools.doctor.child import Probe, ask
from f1rl.tools.doctor.probe import JOB
from f1rl.tools.doctor.result import Result, fail
from f1rl.tools.doctor.table import Groups, as_json, can_run, notice, show

JOB_COMMAND = " ".join(("python -m f1rl", *JOB))

DEADLINE = 60.0
"""Seconds for importing torch, or for the first answer of a graphics driver; cold network disks are slow."""
ENVIRONMENT_DEADLINE = 240.0
"""Seconds for everything that a worker does before its first episode: about 10 on a free machine."""

_MIB = 2**20
OUTPUTS = 512 * _MIB, 2048 * _MIB
"""Needed by the checkpoints, records, pictures and videos of the main job; wanted, for further runs."""
CACHE = 64 * _MIB, 256 * _MIB
"""Needed by the shaders and a few tokenizers; wanted, for many of them."""


def doctor(words: Sequence[str]) -> int:
    """Show what works on this machine; return 0, or the exit code of a broken machine if the main job cannot run.

    Raises:
        UsageError: if the words are anything but ``--json`` or ``--help``.
    """
    if {"-h", "--help"} & set(words):
        print("usage: python -m f1rl doctor [--json]\n\nWhat works on this machine, and what to do about the rest.")
        return 0
    unknown = [word for word in words if word != "--json"]
    if unknown:
        raise UsageError(f"{unknown[0]!r} means nothing to doctor, which takes --json or no word at all")
    with notice("looking at this machine, which takes about ten seconds", sys.stderr):
        groups = examine()
    if words:
        print(as_json(groups, JOB_COMMAND))
    else:
        show(groups, JOB_COMMAND, sys.stdout)
    return 0 if can_run(groups) else EnvironmentFailure.exit_code


def examine() -> Groups:
    """Run every check, in groups."""
    torch, devices, picture, environment = ask_probes()
    cgroup = limits()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "f1rl"
    return {
        "Software": [
            attempt("Python", software.python),
            attempt("packages", software.packages),
            attempt("configuration", software.configuration, JOB),
            attempt("torch", software.torch, torch),
            attempt("ManiSkill", software.maniskill),
            attempt("planner ompl", software.ompl),
            attempt("planner curobo", software.curobo, len(torch.get("devices", ()))),
            attempt("W&B", software.wandb),
        ],
        "Graphics and GPUs": [
            attempt("Vulkan", graphics.vulkan, devices),
            attempt("picture", graphics.picture, picture),
            attempt("environment", graphics.environment, environment),
            attempt("CUDA", graphics.cuda, torch),
            attempt("CUDA to Vulkan", graphics.mapping, torch, devices),
        ],
        "Machine": [
            attempt("CPU cores", machine.cores, cgroup),
            attempt("memory", machine.memory, cgroup),
            attempt("/dev/shm", machine.shared_memory),
            attempt("disk: outputs", machine.disk, "disk: outputs", Path("outputs"), "output_dir=...", *OUTPUTS),
            attempt("disk: cache", machine.disk, "disk: cache", cache, "XDG_CACHE_HOME=...", *CACHE),
            attempt("SLURM", cluster.slurm),
        ],
    }


def ask_probes() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
    """Ask torch, and meanwhile the graphics driver, step by step: what fails early would fail later with other words.

    Returns:
        The answers for torch, devices, picture and environment; None for what was not asked.
    """
    own, simulator = "f1rl.tools.doctor.probe", "f1rl_envs.sim.probe"
    picture = environment = None
    with Probe(own, "torch", DEADLINE) as torch:
        devices = ask(simulator, "devices", DEADLINE)
        if graphics.can_draw(devices):
            picture = ask(simulator, "picture", DEADLINE)
        if picture is not None and "error" not in picture:
            environment = ask(own, "environment", ENVIRONMENT_DEADLINE)
        return torch.answer(), devices, picture, environment


def attempt(name: str, check: Callable[..., Result], *arguments: Any) -> Result:
    """Return the result of ``check``, or a failed one if it breaks: the others still have something to say."""
    try:
        return check(*arguments)
    except Exception as error:
        return fail(name, f"the check itself failed: {type(error).__name__}: {error}", "make setup, then try again")
