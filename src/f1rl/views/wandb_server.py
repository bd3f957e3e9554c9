"""Whether the W&B server can be used from here, found out in seconds."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

PATIENCE = 3.0  # seconds for the server to accept a connection


def why_not_online() -> str | None:
    """Return why nothing can be uploaded now, with what to do about it; None if all is well.

    Raises:
        ModuleNotFoundError: the package wandb is not installed.
    """
    import wandb

    url = wandb.setup(wandb.Settings(silent=True)).settings.base_url
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:  # before wandb asks, which would try again and again
        socket.create_connection((parts.hostname, port), timeout=PATIENCE).close()
    except OSError as error:
        return f"{url} does not answer ({error}); WANDB_BASE_URL names another server"
    try:
        known = wandb.login(prompt=False)
    except wandb.Error as error:
        return f"{url} does not accept the API key ({error})"
    return None if known else f"there is no API key for {url}; wandb login stores one, WANDB_API_KEY gives one"
