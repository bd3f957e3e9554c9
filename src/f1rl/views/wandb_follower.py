"""The process that shows a run in W&B: it follows the run directory, so that W&B can neither slow nor end training.

It ends when its standard input does, which also happens when the training process is killed, and by then has taken
everything that was written. Each line on its standard output is something that is not as it was asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from f1rl.records.reader import RUN_FILE, read_json
from f1rl.views.news import SegmentNews
from f1rl.views.wandb_server import why_not_online
from f1rl.views.wandb_tables import EvaluationTables

INTERVAL = 1.0  # seconds between looks at the files
LAST_SECONDS = 30  # to finish in, once training has ended
DATA_FOLDER = Path("wandb", "data")
MEDIA_KINDS = {"media/sample": "Image", "media/video": "Video"}

_TAG_LENGTH = 64  # longer ones are refused
_CONNECT_TIMEOUT = 10.0  # seconds; wandb itself would wait 90
_SECTIONS = ("train", "env", "time", "explorer", "adversary", "eval", "health", "media")
Report = Callable[[str], None]


def main(words: Sequence[str]) -> None:
    """Follow one segment of a run until it ends. Whatever goes wrong is said, so the exit code need not."""
    parser = argparse.ArgumentParser(prog="python -m f1rl.views.wandb_follower")
    parser.add_argument("run", type=Path)
    parser.add_argument("--segment", type=int, required=True)
    parser.add_argument("--since", type=int, required=True, help="media modified later (ns) are this segment's")
    options = parser.parse_args(words)
    report, ended = _own_stdout(), _end_of_input()
    os.nice(5)
    # Tables leave files there until they are uploaded: with the rest of the run, not in the user's home directory.
    os.environ.setdefault("WANDB_DATA_DIR", str(options.run.resolve() / DATA_FOLDER))
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the training process, whose end is the end of this one
        signal.signal(number, signal.SIG_IGN)
    try:
        import wandb

        follow(wandb, options.run, SegmentNews(options.run, options.segment, options.since), ended, report)
    except ModuleNotFoundError as error:
        report(f"nothing is shown: {error}; pip install -e '.[wandb]' installs it")
    except Exception as error:  # a view of the records; they are elsewhere
        traceback.print_exc()
        report(f"nothing more is shown: {type(error).__name__}: {error}")


def follow(wandb: ModuleType, run: Path, news: SegmentNews, ended: threading.Event, report: Report) -> None:
    """Log what ``news`` brings, until ``ended`` is set."""
    shown = _open(wandb, run, report)
    for section in _SECTIONS:
        shown.define_metric(f"{section}/*", step_metric="env_step")
    last, tables = False, EvaluationTables(wandb)
    while not last:
        last = ended.wait(INTERVAL)  # what was written before the end is read after it
        rows, media = news.read()
        for row in rows:
            shown.log({**row, **tables.scores(row)})  # never with step=, which drops rows that come late
        for file in media:
            shown.log({file.name: getattr(wandb, MEDIA_KINDS[file.name])(str(file.path)), **file.clocks})
        for row in tables.pictures(rows, media, last=last):
            shown.log(row)
    status = read_json(run / RUN_FILE).get("status")
    shown.finish(exit_code=0 if status in ("done", "interrupted", "preempted") else 1)


def identity(run: Path) -> dict[str, Any]:
    """Return what W&B is told about a run; its id is the one in ``run.json`` and stays the same over resumes."""
    info, config = read_json(run / RUN_FILE), yaml.safe_load((run / "config.yaml").read_text())
    settings = config["logger"]["wandb"]
    tags = [*info["tags"], f"phase:{info['phase']}", f"env:{config['env']['id']}", f"seed:{info['seed']}"]
    return {
        "id": info["id"],
        "name": info["name"],
        "project": settings["project"],
        "entity": settings["entity"],
        "group": settings["group"] or _group(run, info),
        "job_type": info["phase"],
        "tags": [tag[:_TAG_LENGTH] for tag in tags],
        "config": {**config, "run": {key: info.get(key) for key in ("parents", "git", "versions", "devices")}},
        "dir": str(run),
        "resume": "allow",
    }


def _group(run: Path, info: dict[str, Any]) -> str | None:
    """Return the name of the sweep or of the pipeline that a run is part of; None if it is of neither."""
    above = run.resolve().parent
    return above.name if info.get("pipeline") or (above / "multirun.yaml").exists() else None


def _open(wandb: ModuleType, run: Path, report: Report) -> Any:
    """Return the W&B run: online if that is asked for and works, else offline."""
    told = identity(run)
    mode = told["config"]["logger"]["wandb"]["mode"]
    settings = wandb.Settings(
        silent=True,
        console="off",  # this process says nothing; the run's own messages are in logs/
        disable_git=True,
        save_code=False,
        init_timeout=_CONNECT_TIMEOUT,
        x_stats_pid=os.getppid(),
    )
    if mode == "auto":
        reason = why_not_online()
        mode = "offline" if reason else "online"
        if reason:
            report(f"offline, because {reason}. python -m f1rl sync {run} uploads it later")
    if mode == "online":
        try:
            return wandb.init(mode="online", settings=settings, **told)
        except wandb.Error as error:
            report(f"offline, because going online failed: {error}. python -m f1rl sync {run} uploads it later")
            wandb.teardown()
    return wandb.init(mode="offline", settings=settings, **told)


def _own_stdout() -> Report:
    """Return what writes a line to standard output; everybody else's output goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report(text: str) -> None:
        out.write(json.dumps(" ".join(text.split())) + "\n")

    return report


def _end_of_input() -> threading.Event:
    """Return an event that is set when standard input ends; from then on the process has :data:`LAST_SECONDS`."""
    ended = threading.Event()

    def wait() -> None:
        while os.read(0, 2**16):  # not by sys.stdin, which this thread would hold locked when the process ends
            pass
        signal.alarm(LAST_SECONDS)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


if __name__ == "__main__":
    main(sys.argv[1:])
