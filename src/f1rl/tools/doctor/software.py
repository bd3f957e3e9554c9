"""Checks of what is installed and configured."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import f1rl_envs
from f1rl.errors import F1RLError
from f1rl.tools.doctor.child import CommandError, ask, output_of
from f1rl.tools.doctor.result import Result, fail, none, ok, warn

SETUP = "make setup"
PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 13)
ROBOTS = Path(f1rl_envs.__file__).parent / "assets"


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Result:
    """Compare Python's version with those that the packages exist for."""
    detail = f"{'.'.join(map(str, version))}, {sys.executable}"
    if PYTHON_FROM <= version[:2] < PYTHON_BELOW:
        return ok("Python", detail)
    return fail("Python", f"{detail}; 3.11 or 3.12 is needed", f"PYTHON=/path/to/python3.11 {SETUP}")


def packages(requirements: Iterable[str] | None = None) -> Result:
    """Compare the installed packages with those that the project asks for.

    Args:
        requirements: as in ``pyproject.toml``; None takes those of the installed project.
    """
    from packaging.requirements import Requirement

    try:
        parsed = [Requirement(text) for text in requirements or metadata.requires("f1rl") or ()]
    except metadata.PackageNotFoundError:
        return warn("packages", "f1rl itself is not installed, so that its requirements are unknown", SETUP)
    needed = [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})]
    faults = []
    for requirement in needed:
        version = _version(requirement.name)
        if version is None:
            faults.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    if faults:
        return fail("packages", "; ".join(faults), SETUP)
    return ok("packages", f"all {len(needed)} are installed in the versions asked for")


def configuration(words: Sequence[str]) -> Result:
    """Find the configuration files and compose the main job from them."""
    from f1rl.config.compose import compose, conf_dir, groups

    try:
        compose(words)
    except F1RLError as error:
        return fail("configuration", str(error), "restore the file that is named, or install f1rl again")
    return ok("configuration", f"{len(groups())} groups in {conf_dir()}")


def torch(found: dict[str, Any]) -> Result:
    """Read what :func:`f1rl.tools.doctor.probe.torch` found."""
    if "error" in found:
        return fail("torch", found["error"], f"{SETUP}; then python -c 'import torch' shows the whole error")
    return ok("torch", f"{found['version']}, built for {'CUDA ' + found['cuda'] if found['cuda'] else 'the CPU'}")


def maniskill(robots: Path = ROBOTS) -> Result:
    """Find ManiSkill, f1rl's own robot models, and what ManiSkill has downloaded."""
    version = _version("mani_skill")
    if version is None:
        return fail("ManiSkill", "not installed", SETUP)
    models = sorted({file.relative_to(robots).parts[0] for file in robots.rglob("*.urdf")})
    if not models:
        return fail("ManiSkill", f"{version}, but no robot model in {robots}", "install f1rl again")
    data = Path(os.environ.get("MS_ASSET_DIR") or Path.home() / ".maniskill") / "data"
    downloads = sum(1 for _ in data.iterdir()) if data.is_dir() else 0
    extra = f"; {downloads} downloads in {data}" if downloads else ""
    return ok("ManiSkill", f"{version}; robots: {', '.join(models)}{extra}")


def ompl(deadline: float = 30.0) -> Result:
    """Import the planner of ``control.planner=ompl``, in a process of its own."""
    names = {"ompl": "ompl", "toppra": "toppra", "fcl": "python-fcl"}  # modules, and what brings them
    missing = [name for name in names if _origin(name) is None]
    if missing:
        detail = f"{' and '.join(missing)} not installed; only control mode ee_pose plans"
        return none("planner ompl", detail, "pip install -e '.[planner]'")
    try:
        output_of([sys.executable, "-c", f"import {', '.join(names)}"], deadline)
    except CommandError as error:
        advice = f"pip install --force-reinstall {' '.join(names.values())}"
        return warn("planner ompl", f"the import of {' and '.join(names)} {error}", advice)
    return ok("planner ompl", ", ".join(f"{name} {_version(name)}" for name in names.values()))


def curobo(cuda_devices: int) -> Result:
    """Find the planner of ``control.planner=curobo``, which needs a CUDA device."""
    if _origin("curobo") is None:
        detail = "not installed; only control mode ee_pose plans, and planner=ompl does it without"
        return none("planner curobo", detail, "on a CUDA machine: pip install it from github.com/NVlabs/curobo")
    if not cuda_devices:
        return warn("planner curobo", "installed, but there is no CUDA device for it", "planner=ompl needs none")
    return ok("planner curobo", "installed")


def wandb(deadline: float = 30.0) -> Result:
    """Find Weights & Biases and whether its runs would go to a server; no server is asked."""
    version = _version("wandb")
    if version is None:
        return none("W&B", "not installed; records are files in any case", "pip install -e '.[wandb]'")
    found = ask("f1rl.tools.doctor.probe", "wandb", deadline)
    if "error" in found:
        return warn("W&B", f"{version}: {found['error']}", "pip install --force-reinstall wandb")
    if found["mode"] in ("offline", "disabled"):
        return ok("W&B", f"{version}, mode {found['mode']}")
    if found["key"]:
        return ok("W&B", f"{version}, with an API key for {found['server']}")
    advice = "wandb login, or logger.wandb.mode=offline; WANDB_BASE_URL names another server"
    return warn("W&B", f"{version}, no API key for {found['server']}", advice)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _origin(module: str) -> str | None:
    """Return the file of a module without importing it; a mere folder of that name on the path is none."""
    spec = importlib.util.find_spec(module)
    return spec.origin if spec else None
