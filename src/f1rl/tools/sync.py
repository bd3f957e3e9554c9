"""``python -m f1rl sync``: upload to W&B what runs kept for it offline, by wandb's own means."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from f1rl.errors import ConfigError, EnvironmentFailure
from f1rl.records.reader import RunRecords, find_runs
from f1rl.tools.arguments import Parser
from f1rl.tools.runs import FOLDERS
from f1rl.views.wandb_follower import DATA_FOLDER
from f1rl.views.wandb_server import why_not_online


def main(words: Sequence[str]) -> int:
    """Upload the segments that are not uploaded yet, those of a run in their order.

    Raises:
        ConfigError: a named folder does not exist, or wandb is not installed.
        EnvironmentFailure: the server cannot be used, or did not take everything.
        UsageError: the words make no sense.
    """
    parser = Parser("sync", "Upload to W&B what runs kept for it offline (logger=wandb).")
    parser.add_argument("folders", nargs="*", type=Path, metavar="RUN", help="runs, or folders of them")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be uploaded")
    options = parser.parse_args(words)
    for folder in options.folders:
        if not folder.exists():
            raise ConfigError(f"there is no folder {folder}")
    runs = [run for folder in options.folders or FOLDERS for run in find_runs(folder)]
    waiting = {run: segments for run in runs if (segments := waiting_segments(run))}
    if not waiting:
        print(f"nothing to upload in {len(runs)} runs")
        return 0
    for run, segments in waiting.items():
        print(f"{run}: {len(segments)} to upload ({', '.join(segment.name for segment in segments)})")
    if not options.dry_run:
        _check_server()
        for run, segments in waiting.items():
            _upload(run, segments)
    return 0


def waiting_segments(run: Path) -> list[Path]:
    """Return the offline segments of a run that are complete and not uploaded yet, the oldest first."""
    segments = sorted((run / "wandb").glob("offline-run-*"))  # their names begin with when they began
    if segments and RunRecords(run, newest_only=True).status().is_going_on:
        segments = segments[:-1]  # wandb would take a part of it, and mark it as done
    return [segment for segment in segments if not any(segment.glob("*.wandb.synced"))]


def _check_server() -> None:
    try:
        reason = why_not_online()
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}; pip install -e '.[wandb]' installs it") from error
    if reason:
        raise EnvironmentFailure(f"nothing was uploaded, and nothing is lost: {reason}")


def was_moved(run: Path, segment: Path) -> bool:
    """Return whether a segment looks for the files of its tables elsewhere than in ``run``, where they lie."""
    written = b"".join(file.read_bytes() for file in segment.glob("*.wandb"))
    return b"/artifacts/staging/" in written and os.fsencode((run / DATA_FOLDER).resolve()) not in written


def _upload(run: Path, segments: Sequence[Path]) -> None:
    if any(was_moved(run, segment) for segment in segments):
        print(
            f"{run} was moved or copied: all is uploaded but its evaluation tables, which wandb seeks at the old place"
        )
    # One call for all: wandb uploads segments of the same run one after another, in the order in which they began.
    subprocess.run([sys.executable, "-m", "wandb", "sync", *map(str, segments)], check=False)
    missing = [segment.name for segment in segments if not any(segment.glob("*.wandb.synced"))]
    if missing:
        raise EnvironmentFailure(
            f"{run}: {', '.join(missing)} was not uploaded as a whole; wandb's messages are above. Call it again later"
        )
