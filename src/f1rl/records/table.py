"""Records as columns: hundreds of thousands of them stay cheap to append to, to count and to draw."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

_RECENT = 1000  # newest records that are kept as they were written


class MetricTable:
    """Records that were appended over time, by column; a nested value ``{"a": {"b": 1}}`` is column ``a.b``."""

    def __init__(self) -> None:
        """Start without records."""
        self.recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)
        """The newest records as they were written, oldest first; at most 1000."""
        self._chunks: dict[str, list[np.ndarray]] = {}
        self._length = 0

    def __len__(self) -> int:
        """Return the number of records."""
        return self._length

    def __contains__(self, name: object) -> bool:
        """Return whether ``name`` is a numeric column."""
        return name in self._chunks and self._is_numeric(name)

    @property
    def last(self) -> dict[str, Any]:
        """The newest record as it was written; empty if there is none."""
        return self.recent[-1] if self.recent else {}

    def names(self) -> list[str]:
        """Return all columns in the order of their appearance."""
        return list(self._chunks)

    def numeric(self) -> list[str]:
        """Return the columns that hold nothing but numbers, truth values and gaps."""
        return [name for name in self._chunks if self._is_numeric(name)]

    def column(self, name: str) -> np.ndarray:
        """Return a numeric column, ``float64 [len(self)]``; NaN where a record lacks it or says ``null``.

        Raises:
            KeyError: there is no such column, or it holds something else than numbers.
        """
        if name not in self:
            raise KeyError(f"no numeric column {name!r}; there are {', '.join(self.numeric()) or 'none'}")
        return self._joined(name)

    def rows(self) -> Iterator[list[Any]]:
        """Yield the values of each record in the order of :meth:`names`; None where a record lacks one."""
        columns = [_plain(self._joined(name)) for name in self._chunks]
        return (list(row) for row in zip(*columns, strict=True))

    def extend(self, records: Sequence[dict[str, Any]]) -> None:
        """Append ``records``."""
        if not records:
            return
        self.recent.extend(records[-_RECENT:])
        columns = _columns(records)
        for name, column in columns.items():
            self._chunks.setdefault(name, [_gap(self._length)]).append(column)
        for name in self._chunks.keys() - columns.keys():
            self._chunks[name].append(_gap(len(records)))
        self._length += len(records)

    def clear(self) -> None:
        """Forget everything."""
        self.recent.clear()
        self._chunks.clear()
        self._length = 0

    def _is_numeric(self, name: str) -> bool:
        return all(chunk.dtype == np.float64 for chunk in self._chunks[name])

    def _joined(self, name: str) -> np.ndarray:
        chunks = self._chunks[name]
        if len(chunks) > 1:
            self._chunks[name] = chunks = [np.concatenate(chunks)]
        return chunks[0]


def _columns(records: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    keys = set(map(tuple, records))
    if len(keys) == 1:  # as a rule: all records of a run are alike
        names = list(keys.pop())
        values: Iterable[Sequence[Any]] = zip(*map(dict.values, records), strict=True)
    else:
        names = list(dict.fromkeys(chain.from_iterable(records)))
        values = ([record.get(name) for record in records] for name in names)
    columns = {name: _array(column) for name, column in zip(names, values, strict=True)}
    if any(isinstance(value, dict) for column in columns.values() if column.dtype == object for value in column):
        return _columns([_flat(record) for record in records])
    return columns


def _array(values: Sequence[Any]) -> np.ndarray:
    """Return ``values`` as floats, or as they are if they hold anything else than numbers."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = None
    if numbers is not None and numbers.ndim == 1:  # not lists, not even empty ones
        return numbers
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # NumPy would take lists of one length for a matrix
        array[place] = value
    return array


def _gap(length: int) -> np.ndarray:
    return np.full(length, np.nan)


def _plain(array: np.ndarray) -> list[Any]:
    """Return a column as Python values: whole numbers as ``int``, gaps as None."""
    values = array.tolist()
    if array.dtype == object:
        return [None if isinstance(value, float) and value != value else value for value in values]
    if np.all(np.isnan(array) | (array == np.floor(array))):
        return [None if value != value else int(value) for value in values]
    return [None if value != value else value for value in values]


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
