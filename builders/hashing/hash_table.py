"""A table of perceptual hashes: what is known of pictures where the pictures themselves are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError, UsageError, one_line
from occlufer.replacing import replaced

from .views import HASHED

Hashes = NDArray[np.uint64]

# Words of 64 bits in each column of the table.
SHAPES: dict[str, tuple[int, ...]] = {
    "phash64": (),
    "phash256": (4,),
    "dhash64": (),
    "views64": (len(HASHED),),
    "views256": (len(HASHED), 4),
}
ROWS_AT_ONCE = 1000
PUBLISHED = ("phash64", "phash256", "dhash64")
# Changes when any hash does: those of another version are not comparable. The stage has it too.
VERSION = "2"
VERSION_KEY = b"occlufer_hashes"


@dataclass(frozen=True)
class ViewTable:
    """What is searched of n pictures: the hashes of their views and parts."""

    views64: Hashes
    """(n, len(HASHED)), those of one view side by side in memory."""
    views256: Hashes
    """(n, len(HASHED), 4)."""

    def __post_init__(self) -> None:
        """Lay the hashes of one view side by side: a search reads one view of all pictures."""
        object.__setattr__(self, "views64", np.asfortranarray(self.views64))

    def __len__(self) -> int:
        """Return n."""
        return int(self.views64.shape[0])

    def rows(self, chosen: Any) -> ViewTable:
        """Return the table of the chosen rows, an index or mask of numpy's."""
        return ViewTable(self.views64[chosen], self.views256[chosen])


@dataclass(frozen=True)
class HashTable:
    """The hashes of n pictures; the first bit of a hash is the highest one of its first word."""

    phash64: Hashes
    """(n,), `imagehash.phash`."""
    phash256: Hashes
    """(n, 4), `imagehash.phash` with hash_size=16."""
    dhash64: Hashes
    """(n,), `imagehash.dhash`."""
    views64: Hashes
    """(n, len(HASHED)), of every view and part of the upright picture; (n, 0) if not wanted."""
    views256: Hashes
    """(n, len(HASHED), 4), likewise."""

    def __post_init__(self) -> None:
        """Lay out the views as ViewTable does."""
        object.__setattr__(self, "views64", np.asfortranarray(self.views64))

    def __len__(self) -> int:
        """Return n."""
        return int(self.phash64.shape[0])

    def rows(self, chosen: Any) -> HashTable:
        """Return the table of the chosen rows, an index or mask of numpy's."""
        return HashTable(*(getattr(self, field.name)[chosen] for field in fields(self)))


def joined_views(tables: Sequence[ViewTable]) -> ViewTable:
    """Return the rows of all tables, one table after the other."""
    views64 = np.concatenate([table.views64 for table in tables])
    views256 = np.concatenate([table.views256 for table in tables])
    return ViewTable(views64, views256)


def table_of(rows: Iterable[Mapping[str, Hashes]], views: bool = True) -> HashTable:
    """Return the table of the hashes of each picture, {column: words}."""
    rest, parts = iter(rows), [_columns_of([], views)]
    # Some at a time: arrays for each picture would take more than all hashes do.
    while some := list(islice(rest, ROWS_AT_ONCE)):
        parts.append(_columns_of(some, views))
    return HashTable(**{name: np.concatenate([p.pop(name) for p in parts]) for name in SHAPES})


def _columns_of(rows: Sequence[Mapping[str, Hashes]], views: bool) -> dict[str, Hashes]:
    """Return {column: words} of some pictures."""
    columns = {}
    for name, shape in SHAPES.items():
        if name not in PUBLISHED and not views:
            columns[name] = np.zeros((len(rows), 0, *shape[1:]), dtype=np.uint64)
            continue
        words = np.array([row[name] for row in rows], dtype=np.uint64)
        columns[name] = words.reshape(len(rows), *shape)
    return columns


def in_hex(words: Hashes) -> str:
    """Return the words in hex, as imagehash writes a hash."""
    return np.asarray(words).astype(">u8").tobytes().hex()


def from_hex(text: str) -> Hashes:
    """Return the words that `in_hex` wrote, uint64 (n,)."""
    return np.frombuffer(bytes.fromhex(text), dtype=">u8").astype(np.uint64)


def write_table(path: Path, names: list[str], table: HashTable) -> None:
    """Write the hashes of pictures by their names as Parquet; no picture can be made of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"name": pa.array(names, pa.string())}
    for name, shape in SHAPES.items():
        data = getattr(table, name).astype(">u8").tobytes()  # row by row, whatever the layout
        kind = pa.binary(8 * int(np.prod(shape)))
        columns[name] = pa.FixedSizeBinaryArray.from_buffers(
            kind, len(names), [None, pa.py_buffer(data)]
        )
    written = pa.table(columns).replace_schema_metadata({VERSION_KEY: VERSION.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as part:
        pq.write_table(written, part, compression="zstd")


def check_version(path: Path) -> None:
    """Raise UsageError if the table is of another version, without reading it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: found no Parquet table of hashes ({one_line(error)})") from None
    _check_schema(path, schema)


def _check_schema(path: Path, schema: Any) -> None:
    version = (schema.metadata or {}).get(VERSION_KEY, b"none").decode("ascii", "replace")
    if version != VERSION or schema.names != ["name", *SHAPES]:
        raise UsageError(
            f"{path}: found hashes of version {version}, expected {VERSION}; "
            "register the pictures anew with this version of occlufer"
        )


def read_table(path: Path) -> tuple[list[str], HashTable]:
    """Return the names and hashes that `write_table` wrote.

    Raises MissingError if there is no file, UsageError if it is another one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(path)
    except FileNotFoundError:
        raise MissingError(f"{path}: no such table of hashes") from None
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: found no Parquet table of hashes ({one_line(error)})") from None
    _check_schema(path, found.schema)
    names = found["name"]
    if names.type != pa.string() or names.null_count:
        raise UsageError(f"{path}: found name of {names.type}, expected a text in every row")
    columns = []
    for name, shape in SHAPES.items():
        kind = pa.binary(8 * int(np.prod(shape)))
        if found[name].type != kind or found[name].null_count:
            raise UsageError(
                f"{path}: found {name} of {found[name].type}, expected {kind} in every row"
            )
        columns.append(_words(found[name]).reshape(found.num_rows, *shape))
    return names.to_pylist(), HashTable(*columns)


def _words(column: Any) -> Hashes:
    """Return the words of a column of pyarrow's; row by row it would take ten times as long."""
    words: list[Hashes] = [np.zeros(0, dtype=np.uint64)]
    for chunk in column.chunks:
        if len(chunk):
            width = chunk.type.byte_width
            data = chunk.buffers()[1][width * chunk.offset : width * (chunk.offset + len(chunk))]
            words.append(np.frombuffer(data, dtype=">u8").astype(np.uint64))
    return np.concatenate(words)
