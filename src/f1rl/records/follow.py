"""A JSON-lines file that is read while somebody writes it: only what is new, only what is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

_BLOCK = 8 * 2**20  # bytes parsed at once: bounds the memory that a long file needs
_MARK = 256  # bytes before the position that must still be the same, or the file was cut and written anew


class JsonlFollower:
    """Reader that remembers how far it has come."""

    def __init__(self, path: Path, tail: int | None = None) -> None:
        """Follow ``path``, which may not exist yet.

        Args:
            path: the file.
            tail: bytes at the end with which to begin, from the first whole line in them; None: all.
        """
        self.damaged = 0
        """Lines that are no JSON object and were left out."""
        self.torn = False
        """Whether the file ends inside a record: its writer is at it, or was killed there."""
        self._path, self._tail = path, tail
        self._position = 0
        self._mark = b""

    def was_cut(self) -> bool:
        """Return whether what was read is no longer there; then :meth:`read` begins at the first record again.

        A resumed run cuts off what was written after its checkpoint and writes it anew.
        """
        if self._unchanged():
            return False
        self._position, self._mark, self.damaged = 0, b"", 0
        return True

    def read(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the records that came since the last call, in order, some thousands at a time."""
        self.torn = False
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            if self._tail is not None:
                self._position, self._tail = _line_near(file, self._tail), None
            file.seek(self._position)
            rest = b""
            while block := file.read(_BLOCK):
                whole, newline, rest = (rest + block).rpartition(b"\n")
                yield self._take(whole + newline)
            if rest and _parse(rest) is not None:  # complete, only its newline is missing
                yield self._take(rest)
                rest = b""
            self.torn = bool(rest)

    def _unchanged(self) -> bool:
        if not self._position:
            return True
        try:
            with self._path.open("rb") as file:
                file.seek(self._position - len(self._mark))
                return file.read(len(self._mark)) == self._mark
        except FileNotFoundError:
            return False

    def _take(self, text: bytes) -> list[dict[str, Any]]:
        self._position += len(text)
        self._mark = (self._mark + text)[-_MARK:]
        try:
            records = orjson.loads(b"[" + text.strip().replace(b"\n", b",") + b"]")  # one call: twice as fast
        except orjson.JSONDecodeError:
            records = [_parse(line) for line in text.splitlines() if line and not line.isspace()]
        good = [record for record in records if type(record) is dict]
        self.damaged += len(records) - len(good)
        return good


def _line_near(file: BinaryIO, tail: int) -> int:
    """Return where the first line begins that lies wholly in the last ``tail`` bytes."""
    size = file.seek(0, os.SEEK_END)
    if size <= tail:
        return 0
    file.seek(size - tail - 1)
    file.readline()
    return file.tell()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record in ``line``, None if it is none. Unlike JSON itself, other programs may write ``NaN``."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
