"""The live page, in a browser, while a run grows."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from browser_support import Visit
from f1rl import cli
from f1rl.records.files import write_json
from f1rl.records.media import save_sample
from records_support import add_media, episode, make_run

FRAMES = np.zeros((4, 3, 32, 32), dtype=np.uint8)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'{{ 7*7 }}"


class Server:
    """The monitor's page, in a process of its own."""

    def __init__(self, run: Path) -> None:
        command = [sys.executable, "-m", "f1rl", "monitor", str(run), "--web", "--port", "0", "--refresh", "0.2"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
        )
        self.address = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def get(self, path: str, host: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    make_run(directory, 30, name=HOSTILE, tags=[HOSTILE]).close()
    add_media(directory)
    workers = [{"worker": 0, "stage": HOSTILE, "episode": 31, "restarts": 2, "rss_mb": 612.0}]
    write_json(directory / "live.json", {"updated": time.time(), "workers": workers})
    return directory


@pytest.fixture
def server(run: Path) -> Iterator[Server]:
    made = Server(run)
    yield made
    if made.process.poll() is None:
        made.stop()


def append(run: Path, number: int, **more: object) -> None:
    with (run / "episode_metrics.jsonl").open("a") as file:
        file.write(json.dumps(episode(number, **more)) + "\n")


def test_the_page_lives(browser: Browser, server: Server, run: Path) -> None:
    visit = Visit(browser, server.address, offline=False)
    page = visit.page
    titles = page.locator("h2").all_inner_texts()
    assert titles == ["Health", "Overview", "Newest prediction", "Curves", "Now", "Time"]
    expect(page.locator("h1")).to_have_text(HOSTILE)  # as text, not as elements
    assert visit.draw_all() >= 4
    expect(page.locator("#overview dd").first).to_contain_text("30")
    expect(page.locator("#now td").nth(1)).to_have_text(HOSTILE)
    expect(page.locator("#predictions figcaption").first).to_have_text("episode 10")
    page.wait_for_function("document.querySelector('#predictions img').naturalWidth > 0")
    page.wait_for_function("document.querySelector('#predictions video').readyState > 0")
    points = "document.getElementById('figure-loss').data[0].x.length"
    assert page.evaluate(points) == 30

    append(run, 31)
    append(run, 32, avg_loss=7.125)
    save_sample(run / "samples" / "episode_0032_pred_vs_gt.png", FRAMES, FRAMES)
    expect(page.locator("#overview dd").first).to_contain_text("32")
    page.wait_for_function(f"{points} == 32")
    expect(page.locator("#predictions figcaption").first).to_have_text("episode 32")
    info = json.loads((run / "run.json").read_text())
    write_json(run / "run.json", {**info, "process": {**info["process"], "pid": 2**22 + 1}})
    expect(page.locator(".badge")).to_have_text("dead")
    expect(page.locator("#health")).to_contain_text("the run is dead")

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert visit.complaints == []
    assert set(visit.requests) <= {"http", "data", "blob"}
    expect(page.locator("#lost")).to_be_hidden()
    assert server.stop() == 0
    expect(page.locator("#lost")).to_be_visible()


def test_it_serves_the_run_s_media_to_this_machine_and_nothing_else(server: Server) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    assert server.get("/media/episode_0010_pred_vs_gt.png")[0] == 200
    for path in ("/media/run.json", "/media/..%2Frun.json", "/media/../run.json", "/run.json", "/config.yaml"):
        assert server.get(path)[0] == 404, path
    assert server.get("/live.json", host="elsewhere.example")[0] == 400  # a name that leads here from another site
    first = json.loads(server.get("/live.json?version=")[1])
    assert "figures" in first
    assert "figures" not in json.loads(server.get(f"/live.json?version={first['version']}")[1])


def test_a_port_that_is_taken(server: Server, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = urlsplit(server.address).port
    assert cli.main(["monitor", str(run), "--web", "--port", str(port)]) == 4
    assert f"cannot listen at 127.0.0.1 port {port}" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "f1rl.tools.monitor.web.server", raising=False)
    assert cli.main(["monitor", str(run), "--web"]) == 2
    assert "--web needs uvicorn: pip install -e '.[web]'" in capsys.readouterr().err
