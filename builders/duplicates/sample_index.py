"""The index of samples: all that the search for duplicates has found, to be asked for a few.

A folder of the workspace: an SQLite file, and the hashes beside it. It holds nothing that cannot be
found again: what is damaged, or was made by other rules, is deleted and made anew.

Rows are distinct hashes. Every row has been searched against every other: `edges` holds what was
found, also of rows that no sample has any more. One transaction takes the index from one state to
the next; hashes are written before it ends, and beyond the rows that it counts nothing is read.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.damage import is_damage

from ..hashing.hash_store import HashStore, StoreError
from .edges import Edges
from .samples import Sample, Size

SCHEMA = f"3 {sys.byteorder}"

TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE samples (
    image TEXT PRIMARY KEY, row INTEGER NOT NULL, pixels INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, owner TEXT NOT NULL, rank INTEGER NOT NULL,
    undecided INTEGER NOT NULL, protected INTEGER NOT NULL,
    kept TEXT,                      -- the image that it is dropped for
    "group" TEXT                    -- its group in the results
) WITHOUT ROWID;
CREATE TABLE joins (name TEXT, image TEXT, PRIMARY KEY (name, image)) WITHOUT ROWID;
CREATE INDEX joins_by_image ON joins (image);
CREATE TABLE edges (                -- between rows; see edges.Edges
    a INTEGER, b INTEGER, seen INTEGER, taken INTEGER, bits64 INTEGER, bits256 INTEGER
);
CREATE INDEX edges_by_a ON edges (a);
CREATE INDEX edges_by_b ON edges (b);
"""
SAMPLES_BY = """
CREATE INDEX samples_by_row ON samples (row);
CREATE INDEX samples_by_group ON samples ("group");
"""
COLUMNS = "image, row, pixels, size_bytes, owner, rank, undecided, protected"
AT_ONCE = 500

log = logging.getLogger(__name__)

Outcome = tuple[str | None, str | None]
"""The image that a sample is dropped for, and its group; None where it is not known yet."""


class SampleIndex:
    """An open index."""

    def __init__(self, folder: Path, rules: str) -> None:
        """Open the index in `folder`; it is made if it is missing or made by other rules."""
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
        try:
            self._open(folder, rules)
        except BaseException:
            self._db.close()
            raise

    def _open(self, folder: Path, rules: str) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {TABLES} {SAMPLES_BY} PRAGMA user_version = 1; COMMIT")
            self._set("rules", f"{SCHEMA} {rules}")
        elif self._get("rules") != f"{SCHEMA} {rules}":
            raise OtherRulesError("made by other rules")
        self.hashes = HashStore(folder, self._get("rows") or 0)
        if self.hashes.count and self._get("written") != self.hashes.written:
            raise StoreError("somebody else has written to the hashes, or a run that was killed")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def changing(self, state: str) -> Iterator[None]:
        """Change the index to a new state in the block, or not at all if it raises."""
        rows = self.hashes.count
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._set("rows", self.hashes.count)
            self._set("written", self.hashes.written)
            self._set("state", state)
            self._db.execute("COMMIT")
        except BaseException:
            self.hashes.count = rows
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @property
    def state(self) -> str | None:
        """The name of the state that it is in."""
        state: str | None = self._get("state")
        return state

    # What is asked -------------------------------------------------------------------------------

    def sizes(self) -> tuple[dict[str, Size], dict[str, int]]:
        """Return {image: its size} and {image: its row} of all samples."""
        sizes, rows = {}, {}
        query = "SELECT image, row, pixels, size_bytes FROM samples"
        for image, row, *size in self._db.execute(query):
            sizes[image], rows[image] = Size(*size), row
        return sizes, rows

    def rows(self) -> dict[str, int]:
        """Return {image: the row of its hashes} of all samples."""
        return dict(self._db.execute("SELECT image, row FROM samples"))

    def near_pairs(self, bits256: int) -> NDArray[np.int64]:
        """Return the pairs of rows with an edge of at most so many bits of 256, (n, 2)."""
        query = "SELECT DISTINCT a, b FROM edges WHERE bits256 <= ?"
        found = self._db.execute(query, (bits256,)).fetchall()
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def samples(self, images: Iterable[str]) -> dict[str, Sample]:
        """Return {image: sample} of those that there are."""
        return self._samples("image", images)

    def samples_of_rows(self, rows: Iterable[int]) -> dict[str, Sample]:
        """Return the samples with these hashes."""
        return self._samples("row", rows)

    def _samples(self, column: str, wanted: Iterable[Any]) -> dict[str, Sample]:
        found = list(self._select(f"SELECT {COLUMNS} FROM samples", column, wanted))
        joins: dict[str, list[str]] = {}
        for name, image in self._select(
            "SELECT name, image FROM joins", "image", [row[0] for row in found]
        ):
            joins.setdefault(image, []).append(name)
        return {
            image: Sample(
                image, row, Size(*rest[:2]), rest[2], rest[3], bool(rest[4]), bool(rest[5]),
                tuple(sorted(joins.get(image, ()))),
            )
            for image, row, *rest in found
        }  # fmt: skip

    def outcomes(self, images: Iterable[str]) -> dict[str, Outcome]:
        """Return {image: what became of it}."""
        query = 'SELECT image, kept, "group" FROM samples'
        return {row[0]: (row[1], row[2]) for row in self._select(query, "image", images)}

    def members(self, groups: Iterable[str]) -> set[str]:
        """Return the images of these groups."""
        query = "SELECT image FROM samples"
        return {row[0] for row in self._select(query, '"group"', groups)}

    def joined(self, names: Iterable[str]) -> set[str]:
        """Return the images that share one of these joins."""
        return {row[0] for row in self._select("SELECT image FROM joins", "name", names)}

    def edges(self, rows: Iterable[int] | None = None) -> Edges:
        """Return the edges, between rows; with `rows` those of them."""
        query = "SELECT a, b, seen, taken, bits64, bits256 FROM edges"
        if rows is None:
            found = list(self._db.execute(query))
        else:
            ends = list(rows)
            both = [*self._select(query, "a", ends), *self._select(query, "b", ends)]
            found = sorted(set(both))
        return Edges(*np.array(found, dtype=np.int64).reshape(-1, 6).T)

    # What is told --------------------------------------------------------------------------------

    def put(self, samples: Iterable[Sample]) -> None:
        """Write samples, whose outcomes are not known yet, in place of those of their images."""
        known = list(samples)
        self._db.executemany(
            f"INSERT INTO samples ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"
            " ON CONFLICT (image) DO UPDATE SET owner = excluded.owner, rank = excluded.rank,"
            " undecided = excluded.undecided, protected = excluded.protected",
            map(_columns, known),
        )
        self._db.executemany("DELETE FROM joins WHERE image = ?", ((s.image,) for s in known))
        self._put_joins(known)

    def replace(self, samples: Sequence[Sample], outcomes: Iterable[Outcome]) -> None:
        """Write all samples and what became of each, in place of all that were known."""
        self._db.execute("DELETE FROM samples")
        self._db.execute("DELETE FROM joins")
        # In the order of the table, and of its indexes at the end: a third of the time.
        self._db.execute("DROP INDEX samples_by_row")
        self._db.execute("DROP INDEX samples_by_group")
        rows = sorted((*_columns(s), *o) for s, o in zip(samples, outcomes, strict=True))
        self._db.executemany("INSERT INTO samples VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
        for statement in SAMPLES_BY.strip().splitlines():
            self._db.execute(statement)
        self._put_joins(samples)

    def _put_joins(self, samples: Iterable[Sample]) -> None:
        joins = sorted((name, sample.image) for sample in samples for name in sample.joins)
        self._db.executemany("INSERT INTO joins VALUES (?,?)", joins)

    def put_kept(self, kept: Mapping[str, str | None]) -> None:
        """Write for which image each is dropped."""
        rows = ((value, image) for image, value in kept.items())
        self._db.executemany("UPDATE samples SET kept = ? WHERE image = ?", rows)

    def put_groups(self, groups: Mapping[str, str]) -> None:
        """Write the group of each image."""
        rows = ((value, image) for image, value in groups.items())
        self._db.executemany('UPDATE samples SET "group" = ? WHERE image = ?', rows)

    def forget(self, images: Iterable[str]) -> None:
        """Delete samples; their hashes stay, and what is near them."""
        gone = [(image,) for image in images]
        self._db.executemany("DELETE FROM samples WHERE image = ?", gone)
        self._db.executemany("DELETE FROM joins WHERE image = ?", gone)

    def add_edges(self, edges: Edges) -> None:
        """Add edges between rows."""
        columns = (getattr(edges, name).tolist() for name in vars(edges))
        rows = zip(*columns, strict=True)
        self._db.executemany("INSERT INTO edges VALUES (?,?,?,?,?,?)", rows)

    # ---------------------------------------------------------------------------------------------

    def _select(self, query: str, column: str, wanted: Iterable[Any]) -> Iterator[Sequence[Any]]:
        rest = iter(wanted)
        while some := list(itertools.islice(rest, AT_ONCE)):
            places = ",".join("?" * len(some))
            yield from self._db.execute(f"{query} WHERE {column} IN ({places})", some)

    def _get(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _set(self, key: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?,?)", (key, value))


def _columns(sample: Sample) -> tuple[Any, ...]:
    s = sample
    return s.image, s.row, *vars(s.size).values(), s.owner, s.rank, s.undecided, s.protected


class OtherRulesError(Exception):
    """The index was made by other rules."""


@contextlib.contextmanager
def open_index(folder: Path, rules: str) -> Iterator[SampleIndex]:
    """Open the index in `folder` until the block ends; `rules` name what its contents depend on.

    Where it is damaged or made by other rules, an empty one takes its place.
    """
    try:
        index = SampleIndex(folder, rules)
    except (OtherRulesError, StoreError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
            raise
        log.info("dedup: the index is made anew: %s", error)
        shutil.rmtree(folder)
        index = SampleIndex(folder, rules)
    try:
        yield index
    finally:
        index.close()


@contextlib.contextmanager
def open_known(folder: Path, rules: str, state: str) -> Iterator[SampleIndex | None]:
    """Open the index in `folder` until the block ends, None if it is not there in this state."""
    index = None
    with contextlib.suppress(OtherRulesError, StoreError):
        if (folder / "index.sqlite").is_file():  # or it would be made
            index = SampleIndex(folder, rules)
    try:
        yield index if index is not None and index.state == state else None
    finally:
        if index is not None:
            index.close()
