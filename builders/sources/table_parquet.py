"""Parquet files of pictures: rows without their pictures, and one picture at a time."""

from __future__ import annotations

import errno
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from occlufer.errors import UsageError

from ..pixels import BadImageError
from .arrow_columns import BYTES, STRUCT, class_names, is_plain, storage_of, texts
from .entry import text_stamp
from .files import stamp_of
from .table_rows import Row, Table

ROWS_AT_A_TIME = 4096
# Pictures are read forward, and those just read are kept: several are under way at a time.
PICTURES_AT_A_TIME = 32
BATCHES_KEPT = 8


def open_parquet(path: Path) -> Table:
    """Return a table of the Parquet file; raises UsageError if it is none."""
    schema = _open(path).schema_arrow
    return Table(
        path,
        list(schema.names),
        partial(_rows, path),
        lambda column: storage_of(schema.field(column).type),
        lambda column: is_plain(schema.field(column).type),
        lambda column: class_names(schema, column),
    )


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Mapped: a column of pictures may be larger than the memory.
        file = pq.ParquetFile(path, memory_map=True, pre_buffer=False)
        _ = file.schema_arrow.names  # may be no UTF-8: a ValueError
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(_unreadable(path, error)) from None
    return file


def _unreadable(place: Path | str, error: Exception) -> str:
    return f"{place}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})"


def _rows(path: Path, wanted: list[str]) -> Iterator[Row]:
    """Yield the rows; of pictures that are stored in them, nothing but the path is read."""
    import pyarrow as pa

    file = _open(path)
    kinds = {column: file.schema_arrow.field(column).type for column in wanted}
    places = {column: column for column in wanted if storage_of(kinds[column]) != BYTES}
    for column in wanted:
        if storage_of(kinds[column]) == STRUCT:
            places[column] = f"{column}.path"
            if kinds[column].get_field_index("path") < 0:
                del places[column]
    number = 0
    try:
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=list(places.values())):
            found = {column: _texts(batch.column(column)) for column in places}
            for i in range(batch.num_rows):
                cells = {column: found[column][i] if column in found else "" for column in wanted}
                yield _row(path, number, cells)
                number += 1
        if number != file.metadata.num_rows:  # Arrow ends early at some kinds of damage
            raise OSError(f"found {number} rows, expected {file.metadata.num_rows}")
    except (pa.ArrowException, OSError) as error:
        raise UsageError(_unreadable(f"{path}, row {number}", error)) from None


def _texts(cells: Any) -> list[str]:
    import pyarrow as pa

    return texts(cells.field("path") if pa.types.is_struct(cells.type) else cells)


def _row(path: Path, number: int, cells: dict[str, str]) -> Row:
    stamp = text_stamp(repr(list(cells.values())))
    return Row(number, f"{path.name}, row {number}", stamp, cells)


@lru_cache(maxsize=2)
def pictures(path: Path, column: str, stamp: str) -> Pictures:
    """Return the pictures in a column, opened once as long as the file's `stamp` is the same.

    Raises OSError if it is another one by now.
    """
    if stamp_of(path) != stamp:
        raise OSError(errno.EAGAIN, f"{path.name} was changed while it was read")
    return Pictures(path, column)


class Pictures:
    """A column of stored pictures, read forward a few at a time; several threads may ask."""

    def __init__(self, path: Path, column: str) -> None:
        """Open the file."""
        self._path, self._column = path, column
        self._file = _open(path)
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = list(accumulate(sizes, initial=0))
        self._kept: deque[tuple[int, Any]] = deque(maxlen=BATCHES_KEPT)
        self._ahead: Iterator[Any] = iter(())
        self._group, self._next = -1, 0
        self._lock = threading.Lock()

    def __getitem__(self, number: int) -> Any:
        """Return what the row holds: bytes, {"bytes", "path"} or None.

        Raises BadImageError if it cannot be read.
        """
        import pyarrow as pa

        with self._lock:
            try:
                while (found := self._found(number)) is None:
                    self._read_on(number)
            except (pa.ArrowException, OSError) as error:
                self._group = -1  # what was read ahead has ended with the error
                raise BadImageError("malformed_row", _unreadable(self._path, error)) from None
        return found.as_py()

    def _found(self, number: int) -> Any:
        for start, cells in self._kept:
            if start <= number < start + len(cells):
                return cells[number - start]
        return None

    def _read_on(self, number: int) -> None:
        if not 0 <= number < self._starts[-1]:
            raise OSError(f"found no row {number}")
        group = bisect_right(self._starts, number) - 1
        if group != self._group or number < self._next:
            self._group, self._next = group, self._starts[group]
            self._ahead = self._file.iter_batches(
                PICTURES_AT_A_TIME, row_groups=[group], columns=[self._column], use_threads=False
            )
        batch = next(self._ahead, None)
        if batch is None:
            raise OSError(f"found no row {number}")
        self._kept.append((self._next, batch.column(0)))
        self._next += batch.num_rows
