"""Read a run directory: while the run goes on, after it ended, after it was killed, and as a copy.

Every view (report, comparison, list, monitor, health) reads runs through :class:`RunRecords`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import yaml

from f1rl.errors import ConfigError
from f1rl.records.follow import JsonlFollower
from f1rl.records.status import RunStatus, run_status
from f1rl.records.table import MetricTable

RUN_FILE, LOG_FILE, EPISODE_FILE = "run.json", "training_log.json", "episode_metrics.jsonl"
LIVE_FILE = "live.json"

_TAIL = 2**16  # bytes
_PACE = 100  # newest records that tell how fast a run is
_NUMBER = re.compile(r"(\d+)(?!.*\d)")  # the last number of a name


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    done: int
    total: int | None
    """None if the configuration does not say it."""
    unit: str
    """``episode`` or, for logs of other programs, ``step``."""
    seconds_left: float | None
    """From the pace of the newest records; None if nothing can be said."""

    @property
    def share(self) -> float | None:
        """Part that is done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else None


class RunRecords:
    """What a run directory, or a lone ``training_log.json``, said at the last :meth:`refresh`."""

    def __init__(self, path: Path | str, *, newest_only: bool = False) -> None:
        """Read a run.

        Args:
            path: a run directory, or a file in the format of ``training_log.json``.
            newest_only: begin with the newest hundred or so records, which is enough to say how a run stands.

        Raises:
            ConfigError: there is no run at ``path``.
        """
        path = Path(path)
        if path.name == LOG_FILE and path.is_file():
            path = path.parent
        self.directory = path if path.is_dir() else path.parent
        self.info: dict[str, Any] = {}
        """``run.json``: identity, status, versions, devices, timings; empty for other programs' logs."""
        self.train = MetricTable()
        """One record per episode; the ``train_history`` where there is no ``episode_metrics.jsonl``."""
        self.val = MetricTable()
        """The ``val_history``: one record per evaluation."""
        self.log: dict[str, Any] = {}
        """The objects of ``training_log.json``: ``config``, ``best_checkpoint``, ``final_metrics``; what is there."""
        self.live: dict[str, Any] = {}
        """``live.json``: what the run is doing, or did when it was killed; empty after an orderly end."""
        self._log_path = self.directory / LOG_FILE if path.is_dir() else path
        self._has_directory = path.is_dir()
        self._episodes = JsonlFollower(self.directory / EPISODE_FILE, _TAIL if newest_only else None)
        self._is_whole = not newest_only
        self._seen: dict[Path, tuple[int, ...]] = {}
        self._unreadable: dict[str, str] = {}
        if not is_run(path):
            raise ConfigError(_no_run(path))
        self.refresh()

    def refresh(self) -> bool:
        """Read what is new on disk and return whether anything was.

        Costs what was appended; ``training_log.json`` is read again as a whole when it was replaced.
        """
        return any([self._refresh_info(), self._refresh_episodes(), self._refresh_log(), self._refresh_live()])

    @property
    def problems(self) -> list[str]:
        """What cannot be read, one sentence each."""
        damaged = self._episodes.damaged
        lines = [f"{EPISODE_FILE}: {damaged} damaged lines are left out"] if damaged else []
        return [*self._unreadable.values(), *lines]

    @property
    def name(self) -> str:
        """The run's name; that of the file or folder where there is none."""
        if "name" in self.info:
            return str(self.info["name"])
        return self._log_path.stem if self._log_path.name != LOG_FILE else self.directory.resolve().name

    @property
    def phase(self) -> str | None:
        """``teacher``, ``student``, ...; None for other programs' logs."""
        return self.info.get("phase")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration: ``config.yaml``, or what the log says."""
        path = self.directory / "config.yaml"
        found = None
        if self.info and path.exists():
            try:
                found = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            except (OSError, ValueError, yaml.YAMLError) as error:
                self._unreadable[path.name] = f"{path.name} cannot be read: {error}"
        return found if isinstance(found, dict) else self.log.get("config", {})

    @property
    def best(self) -> dict[str, Any] | None:
        """The best evaluation with the ``path`` of its checkpoint; None before the first one."""
        return self.log.get("best_checkpoint")

    @property
    def final_metrics(self) -> dict[str, Any]:
        """What the log says of its best metric; empty if nothing."""
        return self.log.get("final_metrics", {})

    def status(self, now: float | None = None) -> RunStatus:
        """Return how the run stands at Unix time ``now`` (default: the clock's)."""
        signs = [sign for sign in (self.train.last.get("timestamp"), self.live.get("updated")) if sign is not None]
        return run_status(self.info, self.directory, max(signs, default=None), now)

    @property
    def seconds_per_episode(self) -> float | None:
        """Pace of the newest hundred records of this segment; None if nothing can be said."""
        recent = [r for r in self.train.recent if r.get("segment") == self.train.last.get("segment")][-_PACE:]
        if len(recent) < 2 or not all("timestamp" in r and "episode" in r for r in (recent[0], recent[-1])):
            return None
        first, last = recent[0], recent[-1]
        episodes, seconds = last["episode"] - first["episode"], last["timestamp"] - first["timestamp"]
        if self._is_whole and len(recent) < _PACE and "wall_time" in last:
            # The streams' first episodes end all at once: only the time since the start tells what they took.
            episodes, seconds = episodes + 1, last["wall_time"]
        return seconds / episodes if episodes > 0 else None

    def progress(self) -> Progress:
        """Return how far the run is."""
        if not self.info and "episode" not in self.train and "episode" not in self.val:
            done = max(int(table.last.get("step") or 0) for table in (self.train, self.val))
            return Progress(done, None, "step", None)
        done = max(int(table.last.get("episode") or 0) for table in (self.train, self.val))
        phase = self.config.get("phase")
        total = phase.get("num_episodes") if isinstance(phase, dict) else None
        return Progress(done, total, "episode", self._seconds_left(done, total))

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints, by episode."""
        return self._files("checkpoint-*")

    def samples(self) -> list[Path]:
        """Return the pictures of predictions and truth, by episode."""
        return self._files("samples/*.png")

    def videos(self) -> list[Path]:
        """Return the videos, by episode."""
        return self._files("videos/*.mp4")

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self.directory.glob(pattern), key=number_in) if self._has_directory else []

    def _seconds_left(self, done: int, total: int | None) -> float | None:
        pace = self.seconds_per_episode
        return None if total is None or pace is None else max(total - done, 0) * pace

    def _refresh_info(self) -> bool:
        path = self.directory / RUN_FILE
        if not self._has_directory or not self._changed(path):
            return False
        self.info = self._load(path) or self.info
        self.__dict__.pop("config", None)  # a run that overwrites another one has its own
        return True

    def _refresh_episodes(self) -> bool:
        if not self._has_directory:
            return False
        news = self._episodes.was_cut()
        if news:
            self.train.clear()
        for records in self._episodes.read():
            self.train.extend(records)
            news = news or bool(records)
        return news

    def _refresh_log(self) -> bool:
        if not self._changed(self._log_path):
            return False
        log = self._load(self._log_path)
        if log is None:
            return False
        histories = {name: _records(log.pop(name, None)) for name in ("train_history", "val_history")}
        self.log = {name: part for name, part in log.items() if isinstance(part, dict)}
        self.val.clear()
        self.val.extend(histories["val_history"])
        if not (self._has_directory and (self.directory / EPISODE_FILE).exists()):
            self.train.clear()
            self.train.extend(histories["train_history"])
        return True

    def _refresh_live(self) -> bool:
        path = self.directory / LIVE_FILE
        if not self._has_directory or not path.exists():
            self.live = {}
            self._seen.pop(path, None)
            return False
        if not self._changed(path):
            return False
        self.live = self._load(path) or self.live
        return True

    def _changed(self, path: Path) -> bool:
        try:
            state = path.stat()
        except FileNotFoundError:
            return False
        seen = (state.st_mtime_ns, state.st_size, state.st_ino)
        changed = self._seen.get(path) != seen
        self._seen[path] = seen
        return changed

    def _load(self, path: Path) -> dict[str, Any] | None:
        """Return the object in a JSON file; None, and a problem noted, if there is none."""
        self._unreadable.pop(path.name, None)
        try:
            value = read_json(path)
        except (OSError, ValueError) as error:
            self._unreadable[path.name] = f"{path.name} cannot be read: {error}"
            return None
        if not isinstance(value, dict):
            self._unreadable[path.name] = f"{path.name} holds no JSON object"
            return None
        return value


def is_run(path: Path) -> bool:
    """Return whether ``path`` is a run directory or a file that may be a ``training_log.json``."""
    if path.is_dir():
        return any((path / name).is_file() for name in (RUN_FILE, LOG_FILE, EPISODE_FILE))
    return path.is_file() and path.suffix == ".json"


def find_runs(folder: Path) -> list[Path]:
    """Return the run directories in ``folder`` and below, by path; ``folder`` itself if it is one."""
    if is_run(folder):
        return [folder]
    if not folder.is_dir():
        return []
    below = sorted(e.path for e in os.scandir(folder) if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
    return [run for path in below for run in find_runs(Path(path))]


def read_json(path: Path) -> Any:
    """Return the value in a JSON file; ``NaN``, which is no JSON but written by some programs, is understood.

    Raises:
        ValueError: it is not JSON.
    """
    data = path.read_bytes()
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def number_in(path: Path) -> tuple[int, str]:
    """Return the last number in a file's name, to sort by: ``episode_0010_pred_vs_gt.png`` is 10."""
    found = _NUMBER.search(path.stem)
    return (int(found.group(1)) if found else -1, path.name)


def _records(history: Any) -> list[dict[str, Any]]:
    return [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []


def _no_run(path: Path) -> str:
    if not path.exists():
        return f"there is no {path}; python -m f1rl runs lists the runs below outputs/ and multirun/"
    below = find_runs(path) if path.is_dir() else []
    if below:
        return f"{path} is not a run, but holds {len(below)}, e.g. {below[0]}"
    wanted = f"{RUN_FILE}, {EPISODE_FILE} or {LOG_FILE}" if path.is_dir() else "a .json file in the log's format"
    return f"{path} holds no run (no {wanted}); python -m f1rl runs lists the runs below outputs/ and multirun/"
