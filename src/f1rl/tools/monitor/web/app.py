"""The server of the live page. It reads the run and serves nothing else: no path, no command, no way to write."""

from __future__ import annotations

import time
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from f1rl.records.reader import RunRecords
from f1rl.tools.monitor.snapshot import Snapshot, Watch
from f1rl.tools.monitor.web.parts import sections
from f1rl.tools.page.render import Section, asset, fragment, plotly
from f1rl.tools.report.page import header

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self'; connect-src 'self'"
)
LOCAL = ("127.0.0.1", "localhost")
"""Addresses that only this machine reaches."""

_ASSETS = {"style.css": "text/css", "page.js": "text/javascript", "live.js": "text/javascript"}


class LivePage:
    """The page of one run. Its handlers share one event loop, so they never look at the run at the same time."""

    def __init__(self, run: RunRecords, refresh: float) -> None:
        """Show ``run``; browsers ask every ``refresh`` seconds."""
        self._run, self._watch, self._refresh = run, Watch(run), refresh
        self._looked = float("-inf")
        self._moment: Snapshot | None = None
        self._sections: list[Section] = []
        self._version = 0

    async def page(self, request: Request) -> Response:
        """Return the whole page."""
        self._look()
        values = {"title": f"{self._moment.name} (live)", "header": header(self._run), "refresh": self._refresh}
        html = fragment("live", **values, sections=self._sections, figures=self._figures())
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    async def live(self, request: Request) -> Response:
        """Return the parts of the page, and the curves if they are newer than the browser's."""
        self._look()
        parts = {"header": header(self._run), **{section.key: section.body for section in self._sections}}
        answer: dict[str, Any] = {"version": str(self._version), "parts": parts}
        if request.query_params.get("version") != answer["version"]:
            answer["figures"] = self._figures()
        return JSONResponse(answer)

    async def media(self, request: Request) -> Response:
        """Return a picture or video of the run."""
        known = {path.name: path for path in (*self._run.samples(), *self._run.videos())}
        path = known.get(request.path_params["name"])
        return FileResponse(path) if path else Response(status_code=404)

    async def asset(self, request: Request) -> Response:
        """Return one of the page's own files."""
        name = request.url.path.lstrip("/")
        if name == "plotly.js":  # large, and as good as never another one
            return Response(plotly(), media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})
        return Response(asset(name), media_type=_ASSETS[name], headers={"Cache-Control": "no-cache"})

    def _look(self) -> None:
        """Look at the run, unless another browser has just made us."""
        if time.monotonic() - self._looked < self._refresh / 2:
            return
        self._moment = self._watch.look()
        self._sections = sections(self._run, self._moment)
        self._version += self._watch.has_news
        self._looked = time.monotonic()

    def _figures(self) -> list[dict[str, Any]]:
        return [figure.as_json() for section in self._sections for figure in section.figures]


def live_app(run: RunRecords, refresh: float, host: str) -> Starlette:
    """Return the application that shows ``run`` to browsers that reach it as ``host``.

    Bound to this machine, it answers to the names of this machine only, so that no other site's script can read it
    under a name of its own.
    """
    live = LivePage(run, refresh)
    names = list(LOCAL) if host in LOCAL else ["*"]
    routes = [
        Route("/", live.page),
        Route("/live.json", live.live),
        Route("/media/{name}", live.media),
        *(Route(f"/{name}", live.asset) for name in (*_ASSETS, "plotly.js")),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names)])
