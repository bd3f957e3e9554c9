"""Parquet files that grow. Their index is at the end, so they cannot be appended to.

The newest file of a kind is kept small, held in memory, and replaced as a whole, atomically, whenever something is
added; when it is full the next one is begun.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from f1rl.dataset import layout
from f1rl.records.files import write_atomically


class NewestFile:
    """The last file of a kind, in memory and on disk."""

    def __init__(self, root: Path, pattern: str, limit: int, pictures: list[str] | None = None) -> None:
        """Begin with file 0.

        Args:
            root: directory of the dataset.
            pattern: path of a file of this kind.
            limit: size, in any unit, beyond which the next file is begun.
            pictures: columns that are compressed already. If the list is given each table becomes a row group of its
                own, so that one can be read without the others.
        """
        self.number, self.size = 0, 0
        self._root, self._pattern, self._limit = root, pattern, limit
        self._grouped, self._pictures = pictures is not None, pictures or []
        self._tables: list[pa.Table] = []

    @property
    def path(self) -> Path:
        """The file."""
        return self._root / self._pattern.format(**layout.place(self.number))

    def resume(self, number: int, tables: list[pa.Table], size: int) -> None:
        """Go on with a file that exists."""
        self.number, self._tables, self.size = number, tables, size

    def reserve(self, size: int) -> dict[str, int]:
        """Return chunk and file index of the file that the next table of ``size`` will be in."""
        if self._tables and self.size + size > self._limit:
            self.number, self._tables, self.size = self.number + 1, [], 0
        self.size += size
        return layout.place(self.number)

    def append(self, table: pa.Table) -> None:
        """Add ``table`` and replace the file.

        Raises:
            EnvironmentFailure: the disk refuses; the file is as it was.
        """
        self._tables.append(table)
        buffer = io.BytesIO()
        coded = [name for name in table.schema.names if name not in self._pictures]
        with pq.ParquetWriter(buffer, table.schema, compression="snappy", use_dictionary=coded) as writer:
            for one in self._tables if self._grouped else [pa.concat_tables(self._tables)]:
                writer.write_table(one)
        write_atomically(self.path, buffer.getvalue())
