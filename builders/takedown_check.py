"""Checking: which samples of a workspace, or of a published folder, a tombstone names, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from occlufer.engine import map_local
from occlufer.errors import GateError
from occlufer.lock import check_published
from occlufer.workspace import Workspace

from .hashes import Look, look
from .pixels import BadImageError
from .published.lock_file import read_lock
from .published.schema import check_columns
from .published.shards import DamagedShardError, Row, Shard, batches, shards_of
from .publishing.columns import PIXELS
from .takedown import taken_down
from .tombstones import TAKEDOWN_NAME, TakenDown, Tombstones, read_tombstones
from .verify.takedown import Named


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
    """Return the records of all samples that have hashes and that a tombstone takes down."""
    named = taken_down(workspace, tombstones)
    held_by = workspace.catalog.holders_of(sorted(named))
    found = [_found(one.id, named[image]) for image, held in held_by.items() for one in held]
    return sorted(found, key=lambda one: one.where)


def check_folder(folder: Path, tombstones: Tombstones, workers: int = 0) -> list[Found]:
    """Return the rows of a published folder that a tombstone names: of these, or of its own.

    Raises MissingError if there is no dataset, GateError if it cannot be read to its end.
    """
    check_published(folder)
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
