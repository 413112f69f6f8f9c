"""The hashes of all samples in files that are read in place: rows are added, and never changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .hash_table import Hashes, ViewTable
from .views import HASHED

# Of so many rows the hashes of one view lie side by side: 128 kB, which a processor's cache holds.
CHUNK_ROWS = 1 << 14
WORDS = 4


class StoreError(Exception):
    """The files are not those that were written."""


class HashStore:
    """The first `count` rows of the files in a folder; what lies beyond was never committed."""

    def __init__(self, folder: Path, count: int) -> None:
        """Open the files, made if there is no row yet; raises StoreError."""
        self.count = count
        self._paths = folder / "views64", folder / "views256"
        for path, wanted in zip(self._paths, self._sizes(), strict=True):
            if not path.exists():  # touched, it would pass for one that was written to
                path.touch()
            found = path.stat().st_size
            if found < wanted:
                raise StoreError(f"{path}: found {found} bytes, expected {wanted}")

    def _sizes(self) -> tuple[int, int]:
        chunks = -(-self.count // CHUNK_ROWS)
        return 8 * chunks * len(HASHED) * CHUNK_ROWS, 8 * self.count * len(HASHED) * WORDS

    @property
    def written(self) -> str:
        """When the files were last written to: another time, and they are not what we wrote."""
        return " ".join(str(path.stat().st_mtime_ns) for path in self._paths)

    @property
    def chunks(self) -> Hashes:
        """The 64-bit hashes, (chunks, len(HASHED), CHUNK_ROWS): anything beyond `count`."""
        return self._mapped(0, (-1, len(HASHED), CHUNK_ROWS))

    @property
    def views256(self) -> Hashes:
        """The 256-bit hashes, (count, len(HASHED), 4)."""
        return self._mapped(1, (self.count, len(HASHED), WORDS))

    def _mapped(self, file: int, shape: tuple[int, ...]) -> Hashes:
        if self.count == 0:
            return np.zeros([max(side, 0) for side in shape], dtype=np.uint64)
        words = self._sizes()[file] // 8
        mapped = np.memmap(self._paths[file], dtype=np.uint64, mode="r", shape=(words,))
        return np.asarray(mapped).reshape(shape)

    def rows(self, chosen: NDArray[np.int64]) -> ViewTable:
        """Return the hashes of these rows."""
        chunks, views256 = self.chunks, self.views256
        return ViewTable(chunks[chosen // CHUNK_ROWS, :, chosen % CHUNK_ROWS], views256[chosen])

    def table(self) -> ViewTable:
        """Return the hashes of all rows, those of 256 bits in place."""
        views64 = np.empty((self.count, len(HASHED)), dtype=np.uint64, order="F")
        for number, chunk in enumerate(self.chunks):
            rows = views64[number * CHUNK_ROWS : (number + 1) * CHUNK_ROWS]
            rows[:] = chunk.T[: len(rows)]
        return ViewTable(views64, self.views256)

    def append(self, table: ViewTable) -> None:
        """Write rows after the last one; they are on the disk when this returns."""
        start = self.count
        self.count += len(table)
        small, large = (path.open("r+b") for path in self._paths)
        with small, large:
            small.truncate(self._sizes()[0])
            large.seek(8 * start * len(HASHED) * WORDS)
            large.write(table.views256.tobytes())
            for chunk in range(start // CHUNK_ROWS, -(-self.count // CHUNK_ROWS)):
                self._write_chunk(small, table, start, chunk)
            for file in (small, large):
                file.flush()
                os.fsync(file.fileno())

    def _write_chunk(self, file: BinaryIO, table: ViewTable, start: int, chunk: int) -> None:
        """Write those rows of `table`, which begins at row `start`, that lie in a chunk."""
        begin, end = max(start, chunk * CHUNK_ROWS), min(self.count, (chunk + 1) * CHUNK_ROWS)
        for view in range(len(HASHED)):
            column = chunk * len(HASHED) + view
            file.seek(8 * (column * CHUNK_ROWS + begin % CHUNK_ROWS))
            file.write(table.views64[begin - start : end - start, view].tobytes())
