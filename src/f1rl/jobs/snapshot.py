"""The code as it is now, copied beside a submission: its jobs run this and not what is there when they start."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from f1rl import __file__ as package_file
from f1rl.config.compose import conf_dir
from f1rl.records.run_file import SNAPSHOT_FILE, git_state
from f1rl_envs import __file__ as envs_file

TASK_PROLOG = Path(__file__).resolve().parents[3] / "launchers" / "task_prolog.sh"
"""Where a checkout has it."""
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def take_snapshot(folder: Path) -> Path:
    """Copy the packages and the configuration files below ``folder``, and return what goes on ``PYTHONPATH``.

    Files that git does not know, or that have changed since the last commit, are copied as they are.
    """
    source = folder / "src"
    packages = [Path(package_file).parent, Path(envs_file).parent]
    for package in packages:
        shutil.copytree(package, source / package.name, ignore=_IGNORED, dirs_exist_ok=True)
    (source / "hydra_plugins").mkdir(exist_ok=True)  # others' plugins share this folder where packages are installed
    shutil.copy(packages[0].parent / "hydra_plugins" / "f1rl_launchers.py", source / "hydra_plugins")
    if not (source / "f1rl" / "conf").is_dir():  # a checkout has them beside src/
        shutil.copytree(conf_dir(), folder / "conf", ignore=_IGNORED, dirs_exist_ok=True)
    if TASK_PROLOG.exists():
        shutil.copy(TASK_PROLOG, folder)
    taken = {"taken": time.time(), "git": git_state(packages[0])}
    (source / "f1rl" / SNAPSHOT_FILE).write_text(json.dumps(taken))
    return source
