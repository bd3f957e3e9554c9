"""Pictures and videos in the page of a run: the page holds some of them, and links to nothing that it needs."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from f1rl.records.reader import RunRecords, number_in
from f1rl.tools.page.render import Section, fragment

_SAMPLES, _VIDEOS = 12, 4
_LARGEST = 4 * 2**20  # bytes of one file that the page takes in; larger ones are linked
_TYPES = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class Item:
    """One picture or video."""

    name: str
    label: str
    source: str
    """The file itself as a data address, or its relative address."""
    link: str
    """Its relative address."""


def media(run: RunRecords, page: Path) -> Section | None:
    """Return the section; None if the run has neither pictures nor videos."""
    samples, videos = run.samples(), run.videos()
    if not samples and not videos:
        return None
    shown = [_item(path, page) for path in spread(samples, _SAMPLES)]
    played = [_item(path, page) for path in spread(videos, _VIDEOS)]
    left_out = ""
    if len(shown) < len(samples) or len(played) < len(videos):
        left_out = f"Shown are {len(shown)} of {len(samples)} pictures and {len(played)} of {len(videos)} videos, "
        left_out += "evenly spaced, with the newest."
    body = fragment("media", samples=shown, videos=played, left_out=left_out)
    return Section("predictions", "Predictions", body)


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """Return at most ``count`` of ``paths``, evenly spaced, always with the last."""
    if len(paths) <= count:
        return list(paths)
    last = len(paths) - 1
    return [paths[last - round(step * last / (count - 1))] for step in reversed(range(count))]


def _item(path: Path, page: Path) -> Item:
    link = quote(os.path.relpath(path.resolve(), page.resolve().parent))
    source = link
    if path.stat().st_size <= _LARGEST:
        source = f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return Item(path.name, f"episode {number_in(path)[0]:,}", source, link)
