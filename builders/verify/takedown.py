"""Takedown in a published folder: its tombstones, and that none of its rows is named by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from occlufer.errors import UsageError
from occlufer.lock import INDEX, LOCK_NAME, Lock

from ..hashes import Look
from ..published.fault import Fault, shown
from ..published.shards import Row, Shard
from ..tombstones import (
    IMAGES_AT_ONCE,
    TAKEDOWN_NAME,
    Suspect,
    TakenDown,
    Tombstones,
    hits,
    read_tombstones,
)


def folder_tombstones(folder: Path, lock: Lock) -> tuple[Tombstones, list[Fault]]:
    """Return the tombstones of a published folder, and what is wrong with them."""
    if TAKEDOWN_NAME not in lock.files and "takedown" not in lock.config:
        return Tombstones(), []
    try:
        tombstones = read_tombstones(folder / TAKEDOWN_NAME)
    except UsageError as error:
        found = shown(str(error).removeprefix(f"{folder / TAKEDOWN_NAME}"))
        return Tombstones(), [Fault(TAKEDOWN_NAME, "tombstones", found, "hashes, a line each")]
    return tombstones, list(_faults(tombstones, lock))


def _faults(tombstones: Tombstones, lock: Lock) -> Iterator[Fault]:
    told = lock.config.get("takedown")
    sha256 = told.get("sha256") if isinstance(told, dict) else None
    if sha256 != tombstones.digest():
        expected = f"the tombstones of {TAKEDOWN_NAME}, {tombstones.digest()}"
        yield Fault(f"{LOCK_NAME}, config", "takedown", shown(sha256), expected)
    if any(stone.added or stone.reason for stone in tombstones.stones):
        yield Fault(TAKEDOWN_NAME, "tombstones", "a day or a reason", "hashes alone")


class Named:
    """The rows of a published folder that tombstones name; takes them while they pass by."""

    def __init__(self, tombstones: Tombstones) -> None:
        """Begin without a row."""
        self._search = partial(hits, tombstones)
        self._empty = not tombstones
        self._where: list[str] = []
        self._suspects: list[Suspect] = []
        self._found: list[tuple[str, TakenDown]] = []

    def add(self, row: Row, shard: Shard, where: str, seen: Look | None) -> None:
        """Take a row, of the index too, and what was seen of its picture."""
        if self._empty:
            return
        names = ("sha256", "source_sha256") if shard.config == INDEX else ("sha256",)
        files = tuple(str(row[name]) for name in names if row.get(name))
        urls = (str(row["url"]),) if shard.config == INDEX and row.get("url") else ()
        self._where.append(where)
        self._suspects.append(Suspect(files, urls, None if seen is None else seen.hashes))
        if len(self._where) >= IMAGES_AT_ONCE:
            self._search_all()

    def found(self) -> list[tuple[str, TakenDown]]:
        """Return (place, why it must go) of all rows that are named, in the order of rows."""
        self._search_all()
        return self._found

    def _search_all(self) -> None:
        found = self._search(self._suspects)
        self._found += [(self._where[i], hit) for i, hit in sorted(found.items())]
        self._where, self._suspects = [], []


def takedown_faults(named: Named) -> Iterator[Fault]:
    """Yield every row that a tombstone names, once all rows have passed."""
    for where, hit in named.found():
        expected = "nothing that was taken down"
        yield Fault(where, "takedown", f"it named by a tombstone ({hit.how})", expected)
