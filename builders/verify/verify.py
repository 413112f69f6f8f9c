"""Verification of a published folder: card against schema against lock against rows.

It needs the folder alone, no workspace and no sources. Everything that is wrong is told; whatever
somebody has done to a file is a fault, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from occlufer.engine import map_local
from occlufer.errors import MissingError
from occlufer.lock import INDEX, LOCK_NAME, Lock
from occlufer.progress import progress
from occlufer.version import __version__

from ..published.fault import Fault
from ..published.lock_file import read_lock
from ..published.schema import column_faults, schema_faults
from ..published.shards import (
    ENDING,
    DamagedShardError,
    Row,
    Shard,
    batches,
    read_schema,
    shards_of,
)
from ..publishing.columns import PIXELS
from ..publishing.documents import CARD_NAME
from ..tombstones import Tombstones
from .card import card_faults, read_header
from .documents import document_faults
from .files import file_faults, text_file_faults
from .rows import Place, holes_in, row_faults, see_picture
from .sides import Sides
from .takedown import Named, folder_tombstones, takedown_faults
from .totals import Totals


@dataclass(frozen=True)
class Verdict:
    """What a verification came to."""

    faults: list[Fault]
    rows: int = 0
    """Of all configs that may have pictures."""
    unchecked: list[str] = field(default_factory=list)
    """What no published folder can tell, in sentences."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "ok": not self.faults,
            "faults": [asdict(fault) for fault in self.faults],
            "rows": self.rows,
            "unchecked": self.unchecked,
        }


def verify(folder: Path, workers: int = 0) -> Verdict:
    """Return everything that is wrong with the published folder.

    Shards are read some rows at a time. Raises MissingError if there is no dataset.
    """
    _check_there(folder)
    lock, faults = read_lock(folder)
    if lock is None:
        return Verdict(faults)
    faults += file_faults(folder, lock)
    faults += text_file_faults(folder, lock)
    faults += document_faults(folder, lock)
    shards, wrong = shards_of(lock)
    tombstones, of_tombstones = folder_tombstones(folder, lock)
    reading = _Reading(folder, lock, workers, tombstones)
    for shard in shards:
        wrong += reading.faults(shard)
    wrong += reading.totals.faults(lock, reading.unread)
    wrong += reading.sides.faults(lock)
    wrong += [*of_tombstones, *takedown_faults(reading.named)]
    header, of_card = read_header(folder)
    if header is not None:
        of_card += card_faults(header, lock, shards, reading.schemas, reading.whole())
    unchecked = list(_unchecked(lock, reading.without_pixels))
    rows = sum(n for (config, _), n in reading.totals.rows.items() if config != INDEX)
    return Verdict([*faults, *of_card, *wrong], rows, unchecked)


def _check_there(folder: Path) -> None:
    marks = (folder / LOCK_NAME, folder / CARD_NAME)
    there = any(mark.is_file() for mark in marks) or any(folder.glob(f"*/*{ENDING}"))
    if not there:
        raise MissingError(
            f"{folder}: found no {LOCK_NAME}, {CARD_NAME} or shard, "
            "expected the folder that `occlufer build` publishes"
        )


class _Reading:
    """The shards, read one after the other, and what has come of them so far."""

    def __init__(self, folder: Path, lock: Lock, workers: int, tombstones: Tombstones) -> None:
        self.totals, self.sides, self.named = Totals(), Sides(), Named(tombstones)
        self.schemas: dict[str, Any] = {}
        self.unread: set[tuple[str, str]] = set()
        self.without_pixels = 0
        self._folder, self._lock, self._workers = folder, lock, workers

    def whole(self) -> dict[tuple[str, str], int]:
        """Return {(config, split): rows} of what could be read whole."""
        return {place: n for place, n in self.totals.rows.items() if place not in self.unread}

    def faults(self, shard: Shard) -> Iterator[Fault]:
        """Yield what is wrong with a shard, while its rows are counted."""
        path, place = self._folder / shard.name, (shard.config, shard.split)
        if not path.is_file():  # told with the files
            self.unread.add(place)
            return
        try:
            schema = read_schema(path)
            self.schemas.setdefault(shard.config, schema)
            ours = self._lock.made_with.get("occlufer") == __version__
            yield from schema_faults(shard.name, schema, shard.config, ours)
            if any(column_faults(shard.name, schema, shard.config)):
                self.unread.add(place)
                return
            yield from self._rows(shard, batches(path))
        except DamagedShardError as error:
            self.unread.add(place)
            yield Fault(shard.name, "shard", str(error), "a Parquet file that can be read")

    def _rows(self, shard: Shard, found: Iterator[list[Row]]) -> Iterator[Fault]:
        """Yield what is wrong with the rows of a shard, `found` a few at a time."""
        numbered = enumerate(progress(chain.from_iterable(found), None, shard.name))
        named = ((row, f"{shard.name}, row {number}") for number, row in numbered)
        look = partial(self._look, shard)
        for row, where, faults, seen in map_local(look, named, self._workers):
            yield from faults
            if holes_in(row):
                self.totals.rows[shard.config, shard.split] += 1
                continue
            self.totals.add(row, shard, where)
            self.named.add(row, shard, where, seen)
            if shard.config != INDEX:
                self.without_pixels += seen is None
                self.sides.add(row, shard, where, seen)

    def _look(self, shard: Shard, item: tuple[Row, str]) -> tuple[Row, str, list[Fault], Any]:
        """Return a row, its place, what is wrong with it, and the look at its picture."""
        row, where = item
        config = row["config"] if shard.config == INDEX else shard.config
        by_people = self._lock.labels.get("from") != "source"
        elected = config in self._lock.subsets or not by_people
        faults = list(row_faults(row, Place(where, elected)))
        if shard.config == INDEX:
            return row, where, faults, None
        seen = see_picture(row, where, self._lock.pixels)
        row[PIXELS] = None  # many rows are held at once, their pixels need not be
        return row, where, [*faults, *seen.faults], seen.look


def _unchecked(lock: Lock, without_pixels: int) -> Iterator[str]:
    leaks = lock.config.get("leaks")
    sets = leaks.get("test_sets") if isinstance(leaks, dict) else None
    if isinstance(sets, dict) and sets:
        yield (
            f"whether training samples are near {', '.join(sets)}: test sets are not "
            "published; the build has compared with them"
        )
    if without_pixels:
        yield (
            f"pictures and hashes of {without_pixels} samples: their pixels stay with the holders "
            "of the sources, `occlufer rebuild` checks them"
        )
