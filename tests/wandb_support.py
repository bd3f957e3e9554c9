"""A W&B server on this machine that keeps what is uploaded, and a reader of W&B's own files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Uploads:
    """What the server was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.runs: list[dict[str, Any]] = []
        """Variables of each announcement of a run."""
        self.history: list[dict[str, Any]] = []
        """Rows in the order of their arrival."""
        self.offsets: list[int] = []
        """Where each batch of rows claimed to begin."""
        self.files: set[str] = set()
        self.artifacts: list[dict[str, Any]] = []
        """What was said of each artifact, in the order of their arrival."""
        self.views: list[dict[str, Any]] = []
        """What was said of each saved view."""
        self.refused = ""
        """Part of the queries that are answered with an error."""

    def environment(self) -> dict[str, str]:
        """Return what makes wandb use this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": "local-" + "0" * 40}


def handler_of(uploads: Uploads) -> type[BaseHTTPRequestHandler]:
    project = {"id": "P", "name": "f1rl", "entity": {"id": "E", "name": "me"}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

        def answer(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def do_GET(self) -> None:
            self.answer({})

        def do_PUT(self) -> None:
            if self.body():
                uploads.files.add(self.path.removeprefix("/upload/"))
            self.answer({})

        def do_POST(self) -> None:
            body = self.body()
            if "file_stream" in self.path:
                self.answer(self.stream(json.loads(body).get("files") or {}))
            elif "graphql" in self.path:
                sent = json.loads(body)
                if uploads.refused and uploads.refused in sent["query"]:
                    self.answer({"errors": [{"message": "permission denied"}], "data": None})
                    return
                self.answer({"data": self.query(sent["query"], sent.get("variables") or {})})
            else:  # measurements of wandb's own
                self.answer({})

        def stream(self, files: dict[str, Any]) -> dict[str, Any]:
            for name, part in files.items():
                if "history" in name:
                    uploads.offsets.append(part["offset"])
                    uploads.history += [json.loads(line) for line in part["content"]]
            return {"limits": {}}

        def query(self, text: str, variables: dict[str, Any]) -> dict[str, Any]:
            known = {"historyLineCount": len(uploads.history), "config": "{}", "displayName": "", "project": project}
            if "upsertBucket" in text:
                uploads.runs.append(variables)
                bucket = {"id": "B", "name": variables.get("name"), "description": "", "sweepName": None, **known}
                return {"upsertBucket": {"bucket": bucket, "inserted": len(uploads.runs) == 1}}
            if "historyTail" in text:
                return {"model": {**project, "bucket": self.tail(known) if uploads.runs else None}}
            if "createArtifact" in text or "commitArtifact" in text:
                return self.artifact(text, variables.get("input") or variables)
            if "upsertView" in text:
                uploads.views.append(variables)
                return {"upsertView": {"view": {"id": "V", "name": variables["name"]}, "inserted": True}}
            if "createRunFiles" in text:
                files = [{"name": name, "uploadUrl": f"{uploads.url}/upload/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}
            server = {"features": [], "cliVersionInfo": {}, "latestLocalVersionInfo": None}
            viewer = {"id": "U", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
            return {"serverInfo": server, "viewer": viewer}

        def artifact(self, text: str, told: dict[str, Any]) -> dict[str, Any]:
            upload = {"uploadUrl": f"{uploads.url}/upload/manifest", "uploadHeaders": []}
            if "createArtifactManifest" in text:
                return {"createArtifactManifest": {"artifactManifest": {"id": "M", "file": {"id": "F", **upload}}}}
            if "createArtifactFiles" in text:
                names = [f"artifact/{file['name']}" for file in told["artifactFiles"]]
                node = {**upload, "uploadMultipartUrls": None, "artifact": {"id": "A"}}
                nodes = [{**node, "storagePath": name, "uploadUrl": f"{uploads.url}/upload/{name}"} for name in names]
                return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
            if "commitArtifact" in text:
                return {"commitArtifact": {"artifact": {"id": "A", "digest": "D"}}}
            uploads.artifacts.append(told)
            sequence = {"latestArtifact": None}
            return {"createArtifact": {"artifact": {"id": "A", "state": "PENDING", "artifactSequence": sequence}}}

        def tail(self, known: dict[str, Any]) -> dict[str, Any]:
            lines = [json.dumps(row) for row in uploads.history[-1:]]
            counts = {"logLineCount": 0, "eventsLineCount": 0, "eventsTail": "[]", "historyTail": json.dumps(lines)}
            return {**known, **counts, "id": "B", "summaryMetrics": "{}", "tags": [], "wandbConfig": '{"t": 1}'}

    return Handler


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, address: Any) -> None:
        """Say nothing of connections that wandb drops when it ends; print every other mistake."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)


@contextmanager
def wandb_server() -> Iterator[Uploads]:
    """Serve on this machine until the block ends."""
    uploads = Uploads()
    server = QuietServer(("127.0.0.1", 0), handler_of(uploads))
    uploads.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield uploads
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def segments(run: Path) -> list[Path]:
    """Return the offline segments of a run, the oldest first."""
    return sorted((run / "wandb").glob("offline-run-*"))


def records(segment: Path, kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind in a segment, as wandb's own reader gives them; none if there is no file yet."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(segment)]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = [json.loads(line) for line in text.splitlines()]
    return [record[kind] for record in found if record["type"] == kind]


def rows(segment: Path) -> list[dict[str, Any]]:
    """Return the logged rows of a segment without what wandb adds to them."""
    items = [record["item"] for record in records(segment, "history")]
    return [{key: value for key, value in item.items() if key[0] != "_"} for item in items]
