"""What the large libraries of this machine can do, as one line of JSON; see :mod:`f1rl_envs.sim.probe`."""

from __future__ import annotations

import sys
from typing import Any

from f1rl_envs.sim.probe import answer

JOB = ("phase=teacher", "env=franka")
"""The main job, as words of the command line."""


def torch() -> dict[str, Any]:
    """Return torch's ``version``, the ``cuda`` version that it was built for or None, and the ``devices`` it sees.

    A product is computed on each of them, because a device that is listed may still be unusable; ``fault`` is the
    reason then, else None.
    """
    import torch

    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "devices": [], "fault": None}
    for index in range(torch.cuda.device_count()):
        try:
            ones = torch.ones(16, 16, device=f"cuda:{index}")
            if (ones @ ones).sum().item() != 16**3:
                found["fault"] = f"cuda:{index} computes wrong numbers"
            device = torch.cuda.get_device_properties(index)
        except RuntimeError as error:
            return {**found, "fault": f"cuda:{index} cannot be used: {error}"}
        pci = f"{device.pci_domain_id:04x}:{device.pci_bus_id:02x}:{device.pci_device_id:02x}.0"
        found["devices"].append({"name": device.name, "memory": device.total_memory, "pci": pci})
    return found


def environment() -> dict[str, Any]:
    """Build the main job's environment, reset it and take a step.

    Returns:
        ``id``, and ``contrast``: for each camera the standard deviation of its picture, whose values are 0 to 255.

    Raises:
        EnvError: if it cannot be built.
    """
    from f1rl.config.compose import compose
    from f1rl.launch.environment import env_config
    from f1rl_envs import registry

    config = env_config(compose(JOB))
    env = registry.make(config)
    env.reset(seed=0, options={"scene_seed": 0})
    observation, *_ = env.step(env.action_space.sample())
    cameras = registry.spec(config).cameras
    contrast = {name: float(image.std()) for name, image in zip(cameras, observation["image"], strict=True)}
    env.close()
    return {"id": config["id"], "contrast": contrast}


def wandb() -> dict[str, Any]:
    """Return W&B's ``server``, its ``mode``, and whether there is an API ``key`` for it, without asking the server.

    wandb takes all three from the environment, from settings files of its own and from ``.netrc``.
    """
    import wandb
    from wandb.sdk.lib.wbauth import authenticate_session

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    key = authenticate_session(host=settings.base_url, source="f1rl doctor", prompt=False, verify=False)
    return {"server": settings.base_url, "mode": settings.mode, "key": key is not None}


PROBES = {"torch": torch, "environment": environment, "wandb": wandb}


if __name__ == "__main__":
    answer(PROBES[sys.argv[1]])
