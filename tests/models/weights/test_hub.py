"""Weights from the hub, by its real client, from a server on this machine that speaks as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

REVISION = "a" * 40
FILES = {"model.safetensors": save({"weight": torch.ones(2, 3)}), "README.md": b"# Not weights"}
LOOK = """\
import sys
from f1rl.errors import CheckpointError
from f1rl.models.weights.files import WeightFile, find_files
try:
    print([(path.name, WeightFile(path).shapes) for path in find_files(sys.argv[1])])
except CheckpointError as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """One repository, ``owner/name``."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def _answer(self) -> bytes:
        about, _, name = self.path.partition("/resolve/")
        content = FILES.get(name.rpartition("/")[2]) if about == "/owner/name" else self._listing(about)
        self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def _listing(self, path: str) -> bytes | None:
        if not path.startswith("/api/models/owner/name/"):
            return None
        if "/tree/" in path:
            files = [{"type": "file", "path": n, "size": len(c), "oid": REVISION} for n, c in FILES.items()]
            return json.dumps(files).encode()
        return json.dumps({"id": "owner/name", "sha": REVISION, "siblings": [{"rfilename": n} for n in FILES]}).encode()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("source", ["owner/name", "owner/name/model.safetensors"])
def test_weights_come_from_the_hub_and_then_from_the_cache(source: str, address: str, tmp_path: Path) -> None:
    expected = "[('model.safetensors', {'weight': (2, 3)})]\n"
    assert look(source, tmp_path, HF_ENDPOINT=address) == expected
    assert look(source, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE="1") == expected


def test_what_the_hub_does_not_have_is_named(address: str, tmp_path: Path) -> None:
    said = look("owner/name/other.pth", tmp_path, HF_ENDPOINT=address)
    assert said.startswith("owner/name/other.pth is not on this disk, and the hub did not give it: ")


def look(source: str, cache: Path, **settings: str) -> str:
    """Return what a process with a cache of its own finds; the client reads its settings when it is imported."""
    env = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **settings}
    command = [sys.executable, "-c", LOOK, source]
    return subprocess.run(command, env=env, cwd=cache, capture_output=True, text=True, check=True, timeout=120).stdout
