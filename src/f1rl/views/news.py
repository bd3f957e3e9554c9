"""What one segment of a run has written since one last looked: records, evaluations, pictures, videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f1rl.records.fields import ADVERSARY, EXPLORER
from f1rl.records.follow import JsonlFollower
from f1rl.records.reader import EPISODE_FILE, LOG_FILE, number_in, read_json

CLOCKS = ("env_step", "decision_step", "optimizer_step", "episode", "segment")
"""Keys that every row has under their own names."""

_OTHER_NAMES = {"total_steps", "step", "epoch"}  # of clocks, for readers of the customary formats
_SECTIONS = {
    "env": {"episode_reward", "length", "success", "seed", "scene_seed", "attempts", "rank", "worker"},
    "time": {"env_steps_per_s", "wall_time", "timestamp"},
    "explorer": set(EXPLORER),
    "adversary": set(ADVERSARY),
}
_SECTION_OF = {key: section for section, keys in _SECTIONS.items() for key in keys}
_SHARE = "_share"  # of the time, behind the name of what it was spent on
_MEDIA = {"media/sample": "samples/*.png", "media/video": "videos/*.mp4"}


@dataclass(frozen=True)
class MediaFile:
    """A picture or a video of an episode."""

    name: str
    """``media/sample`` or ``media/video``."""
    path: Path
    clocks: dict[str, int]
    """The episode's."""


def episode_row(record: Mapping[str, Any]) -> dict[str, float]:
    """Return a line of ``episode_metrics.jsonl``: clocks, and numbers as ``train/avg_loss``, ``env/length``, ..."""
    return _row(record, lambda key: f"{_SECTION_OF.get(key, 'time' if key.endswith(_SHARE) else 'train')}/{key}")


def evaluation_row(entry: Mapping[str, Any], number: int) -> dict[str, float]:
    """Return an entry of the ``val_history``: clocks, and numbers as ``eval/loss``, ``eval/memory_gain``, ...

    ``eval/number`` is ``number``, which counts the run's evaluations from 1.
    """
    row = _row(entry, lambda key: f"eval/{key.removeprefix('val_').removeprefix('eval_')}")
    return {**row, "eval/number": number}


class SegmentNews:
    """Follower of one segment's files, which may not exist yet."""

    def __init__(self, run: Path, segment: int, since: int) -> None:
        """Follow ``run``.

        Args:
            run: run directory.
            segment: records of other segments are left out.
            since: modification time in ns, on the clock of the file system; older media are of other segments.
        """
        self._run, self._segment = run, segment
        self._episodes = JsonlFollower(run / EPISODE_FILE)
        self._env_steps: dict[int, int] = {}
        self._evaluated: set[int] = set()
        self._log_seen = 0
        self._since = since
        self._media_seen: dict[Path, int] = {}

    def read(self) -> tuple[list[dict[str, float]], list[MediaFile]]:
        """Return the rows and the media files that came since the last call.

        Raises:
            OSError: a file cannot be read.
            ValueError: ``training_log.json`` is damaged.
        """
        media = list(self._new_media())  # before the records, so that the episodes they show are among these
        rows = [*self._new_episodes(), *self._new_evaluations()]
        newest = max(self._env_steps.values(), default=0)
        files = []
        for name, path in media:
            episode = number_in(path)[0]
            clocks = {"episode": episode, "env_step": self._env_steps.get(episode, newest), "segment": self._segment}
            files.append(MediaFile(name, path, clocks))
        return rows, files

    def _new_episodes(self) -> Iterator[dict[str, float]]:
        self._episodes.was_cut()  # by a resumed run, of an older segment's end; then reading begins anew
        for records in self._episodes.read():
            for record in records:
                if record.get("segment") == self._segment and record["episode"] not in self._env_steps:
                    self._env_steps[record["episode"]] = record["env_step"]
                    yield episode_row(record)

    def _new_evaluations(self) -> Iterator[dict[str, float]]:
        path = self._run / LOG_FILE
        written = path.stat().st_mtime_ns if path.exists() else 0
        if written == self._log_seen:
            return
        self._log_seen = written
        for number, entry in enumerate(read_json(path)["val_history"], 1):
            if entry.get("segment") == self._segment and entry["env_step"] not in self._evaluated:
                self._evaluated.add(entry["env_step"])
                yield evaluation_row(entry, number)

    def _new_media(self) -> Iterator[tuple[str, Path]]:
        for name, pattern in _MEDIA.items():
            for path in sorted(self._run.glob(pattern), key=number_in):
                written = path.stat().st_mtime_ns
                if written > self._media_seen.get(path, self._since):
                    self._media_seen[path] = written
                    yield name, path


def _row(record: Mapping[str, Any], name: Callable[[str], str]) -> dict[str, float]:
    row = {key: record[key] for key in CLOCKS if key in record}
    for key, value in record.items():
        if isinstance(value, Mapping):  # a section of its own, such as the health
            row |= {f"{key}/{inner}": number for inner, number in value.items() if _is_number(number)}
        elif key not in CLOCKS and key not in _OTHER_NAMES and _is_number(value):
            row[name(key)] = value
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
