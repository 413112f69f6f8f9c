"""Checking: which samples of a workspace, or of a published folder, a tombstone names, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from occlufer.engine import map_local
from occlufer.errors import GateError, MissingError
from occlufer.lock import INDEX, LOCK_NAME
from occlufer.workspace import Workspace

from .hashes import Look, look
from .pixels import BadImageError
from .publishing.columns import PIXELS
from .takedown import HASHED, IMAGES_AT_ONCE, taken_down
from .tombstones import TAKEDOWN_NAME, Suspect, TakenDown, Tombstones, hits, read_tombstones
from .verify.files import read_lock
from .verify.schema import check_columns
from .verify.shards import DamagedShardError, Row, Shard, batches, shards_of


@dataclass(frozen=True)
class Found:
    """One sample that a tombstone names."""

    where: str
    """Its record, or its shard and row."""
    how: str
    added: str
    """The day of the tombstone."""
    reason: str


def check_workspace(workspace: Workspace, tombstones: Tombstones) -> list[Found]:
    """Return the records of all samples that have hashes and that a tombstone names."""
    images = workspace.catalog.images_passing(HASHED)
    found = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        named = taken_down(workspace, images[start : start + IMAGES_AT_ONCE], tombstones)
        for image, records in sorted(workspace.catalog.holders_of(sorted(named)).items()):
            found += [_found(record.id, named[image]) for record in records]
    return sorted(found, key=lambda one: one.where)


def check_folder(folder: Path, tombstones: Tombstones, workers: int = 0) -> list[Found]:
    """Return the rows of a published folder that a tombstone names: of these, or of its own.

    Raises MissingError if there is no dataset, GateError if it cannot be read to its end.
    """
    if not (folder / LOCK_NAME).is_file():
        raise MissingError(
            f"{folder}: found no {LOCK_NAME}, expected the folder that `occlufer build` publishes"
        )
    lock, faults = read_lock(folder)
    if lock is None:
        raise GateError(faults[0].line())
    named = Named(tombstones.plus(read_tombstones(folder / TAKEDOWN_NAME).stones))
    shards, wrong = shards_of(lock)
    if wrong:
        raise GateError(wrong[0].line())
    for where, shard, row, seen in map_local(_look, _rows(folder, shards), workers):
        named.add(row, shard, where, seen)
    return [_found(where, hit) for where, hit in named.found()]


def _found(where: str, hit: TakenDown) -> Found:
    return Found(where, hit.how, hit.stone.added, hit.stone.reason)


def _rows(folder: Path, shards: list[Shard]) -> Iterator[tuple[str, Shard, Row]]:
    for shard in shards:
        try:
            check_columns(folder / shard.name, shard.config)
            for number, row in enumerate(chain.from_iterable(batches(folder / shard.name))):
                yield f"{shard.name}, row {number}", shard, row
        except DamagedShardError as error:
            raise GateError(f"{folder / shard.name}: found {error}, expected a shard") from None


def _look(item: tuple[str, Shard, Row]) -> tuple[str, Shard, Row, Look | None]:
    where, shard, row = item
    data = (row.pop(PIXELS, None) or {}).get("bytes")
    try:
        return where, shard, row, None if data is None else look(data)
    except BadImageError as error:
        raise GateError(f"{where}: found {error}, expected a picture that decodes") from None


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
