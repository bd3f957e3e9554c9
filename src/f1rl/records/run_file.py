"""``run.json``: what the run is, where it stands, what it runs on, what it had to fall back to."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from f1rl.errors import ConfigError
from f1rl.records.files import write_json

SNAPSHOT_FILE = "snapshot.json"
"""Beside the code of a submitted job: the state of the checkout that it was copied from."""
_PACKAGES = ("f1rl", "torch", "lightning", "mani_skill", "sapien", "transformers", "diffusers", "numpy", "hydra-core")


class RunFile:
    """The run's identity and status on disk; each change is written at once."""

    def __init__(self, path: Path) -> None:
        """Read ``path`` if it exists, else start empty.

        Raises:
            ConfigError: it is not what this program writes.
        """
        self._path = path
        try:
            self.data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        except ValueError as error:
            raise ConfigError(
                f"{path} is damaged ({error}); repair or delete it, or choose another output_dir"
            ) from error

    def update(self, **values: Any) -> None:
        """Set ``values`` and write the file."""
        self.data.update(values, updated=time.time())
        write_json(self._path, self.data)

    def timing(self, name: str, seconds: float) -> None:
        """Record how long a stage of the start-up took, in seconds."""
        self.update(timings={**self.data.get("timings", {}), name: round(seconds, 3)})

    def fallback(self, what: str, reason: str) -> None:
        """Record that something other than the first choice is used."""
        known = self.data.get("fallbacks", [])
        if {"what": what, "reason": reason} not in known:
            self.update(fallbacks=[*known, {"what": what, "reason": reason}])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's results."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return commit and cleanliness of the checkout that holds ``directory``; None outside a checkout.

    For a copy made at submission they are those of the checkout it was made from.
    """
    snapshot = directory / SNAPSHOT_FILE
    if snapshot.exists():
        return json.loads(snapshot.read_text())["git"]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
