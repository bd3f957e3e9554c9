"""Run the live page until Ctrl-C."""

from __future__ import annotations

import socket

import uvicorn

from f1rl.errors import EnvironmentFailure
from f1rl.records.reader import RunRecords
from f1rl.tools.monitor.web.app import LOCAL, live_app


def serve(run: RunRecords, host: str, port: int, refresh: float) -> None:
    """Serve the page of ``run`` at ``host``:``port`` (0: any free one) until Ctrl-C.

    Raises:
        EnvironmentFailure: the address cannot be used.
    """
    with _bound(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        print(
            f"{run.name}: http://{name}:{listener.getsockname()[1]}/   (Ctrl-C ends the page, not the run)", flush=True
        )
        if host not in LOCAL:
            print("anybody who reaches this address can look at the run; there is no password", flush=True)
        config = uvicorn.Config(live_app(run, refresh, host), log_level="warning", access_log=False)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:  # the way to leave it
            print()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from here on a browser may come; it waits for the first answer
    except OSError as error:
        listener.close()
        raise EnvironmentFailure(
            f"cannot listen at {host} port {port}: {error.strerror or error}; choose another with --port (0: any free "
            "one) or --host"
        ) from error
    return listener
