"""Where every run starts: devices are bound first, then everything heavy is imported."""

from __future__ import annotations

from typing import Any

from f1rl.config.schema import Config
from f1rl.launch.devices import setup_sapien_gpu, wait_without_spinning


def run(cfg: Config) -> dict[str, Any]:
    """Train as ``cfg`` says and return the final held-out metrics.

    Raises:
        F1RLError: of the kind that fits; its exit code ends the process.
    """
    # SAPIEN and torch open devices and start threads when they are imported, so this comes before them.
    setup_sapien_gpu()
    wait_without_spinning()

    from f1rl.launch.training import train

    return train(cfg)
