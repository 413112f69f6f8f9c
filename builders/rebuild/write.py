"""Writing of a rebuild: the folder anew, of the index and the pictures that are there again."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from occlufer.digest import file_sha256
from occlufer.errors import GateError
from occlufer.images import ImageStore
from occlufer.lock import INDEX, LOCK_NAME, MAIN, Lock, config_folder, write_lock
from occlufer.progress import progress

from ..published.shards import Row
from ..publishing.attribution import FILE_NAME as ATTRIBUTION_NAME
from ..publishing.columns import PIXELS, features, index_features
from ..publishing.documents import write_documents
from ..publishing.shards import ROWS_PER_GROUP, shard_name, shard_rows, write_rows
from ..takedown import params as takedown_params
from ..tombstones import Tombstones, write_bare
from .account import MISSING_NAME, write_missing
from .attribution import write_attribution
from .lock import Tally, lock_of_part
from .read import Copy
from .recipe import Recipe, Wanted, rows_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rebuilt:
    """What is to be written."""

    recipe: Recipe
    copies: tuple[Copy | None, ...]
    """By the position of the row; None is left out,"""
    reasons: dict[int, str]
    """{position: why}."""
    tombstones: Tombstones
    """The recipe's, and those of whoever rebuilds."""
    store: ImageStore

    @property
    def is_whole(self) -> bool:
        """Whether every row is there, to the bit."""
        return all(copy is not None and copy.exact for copy in self.copies)

    def rows(self, split: str) -> Iterator[tuple[Wanted, Row, Copy]]:
        """Yield the rows of the index that are there, saying what is really there."""
        for part in self.recipe.parts:
            for position, row in rows_of(part) if part.split == split else ():
                copy = self.copies[position]
                if copy is not None:
                    there = row | ({} if copy.exact else _of_copy(copy))
                    yield self.recipe.wanted[position], there, copy

    def missing(self) -> Iterator[tuple[Wanted, str]]:
        """Yield the rows that are left out, each with its reason."""
        for position, reason in sorted(self.reasons.items()):
            yield self.recipe.wanted[position], reason


def _of_copy(copy: Copy) -> dict[str, Any]:
    return {
        "sha256": copy.crop,
        "phash": f"{copy.phash:016x}",
        "source_sha256": copy.source_sha256,
    }


def write(fresh: Path, rebuilt: Rebuilt) -> Lock:
    """Write all of the dataset into the folder and return its lock.

    What is whole has the recipe's own index and lock, less what the lock says of pixels. Raises
    GateError if what was written is not what it should be.
    """
    shards, tally = _write_shards(fresh, rebuilt)
    index = _write_index(fresh, rebuilt)
    names = [*shards, *index, *write_bare(fresh, rebuilt.tombstones)]
    lock = _with_tombstones(rebuilt.recipe.lock, rebuilt.tombstones)
    if not rebuilt.is_whole:
        lock = lock_of_part(lock, tally, rebuilt.copies)
        write_missing(fresh, rebuilt.missing())
        names.append(MISSING_NAME)
    write_attribution(fresh, rebuilt.recipe, lock.sources, tally.samples)
    names.append(ATTRIBUTION_NAME)
    lock = dataclasses.replace(
        lock,
        pixels="all",
        files={name: file_sha256(fresh / name) for name in names},
        sizes={name: (fresh / name).stat().st_size for name in names},
        shards=_shard_counts(lock, [*shards, *index]),
    )
    write_lock(fresh, lock)
    write_documents(fresh, lock)
    _check(fresh, shards)
    if rebuilt.is_whole:
        _compare(rebuilt.recipe.lock, lock)
    return lock


# Shards and index ---------------------------------------------------------------------------------


def _places(rebuilt: Rebuilt) -> Iterator[tuple[str, str]]:
    """Yield every (config, split) that may have rows."""
    for config, splits in rebuilt.recipe.lock.shards.items():
        if config != INDEX:
            yield from ((config, split) for split in splits)


def _write_shards(fresh: Path, rebuilt: Rebuilt) -> tuple[list[str], Tally]:
    """Write the shards, as large as a build's, and return their names and what their rows say."""
    tally = Tally()
    names = []
    for config, split in _places(rebuilt):
        sizes = [
            rebuilt.store.size(copy.crop)
            for row, copy in zip(rebuilt.recipe.wanted, rebuilt.copies, strict=True)
            if copy is not None and (row.config, row.split) == (config, split)
        ]
        counts = shard_rows(sizes)
        folder = config_folder(config)
        (fresh / folder).mkdir(exist_ok=True)
        rows = _with_pixels(config, split, rebuilt, tally)
        for number, count in enumerate(counts):
            name = shard_name(config, split, number, len(counts))
            shown = progress(islice(rows, count), count, name)
            write_rows(fresh / name, features().arrow_schema, shown)
            names.append(name)
        if not any((fresh / folder).iterdir()) and config != MAIN:
            (fresh / folder).rmdir()
    return names, tally


def _with_pixels(config: str, split: str, rebuilt: Rebuilt, tally: Tally) -> Iterator[Row]:
    """Yield the rows of a split with their pictures, counted on the way."""
    columns = [name for name in features() if name != PIXELS]
    for wanted, row, copy in rebuilt.rows(split):
        if wanted.config == config:
            tally.add(row, wanted.sha256)
            data = rebuilt.store.get(copy.crop)
            yield {PIXELS: {"bytes": data, "path": None}, **{name: row[name] for name in columns}}


def _write_index(fresh: Path, rebuilt: Rebuilt) -> list[str]:
    """Write the index of the rows that are there; the recipe's own files if these are all."""
    (fresh / INDEX).mkdir()
    names = []
    if rebuilt.is_whole:
        for part in rebuilt.recipe.parts:
            names.append(f"{INDEX}/{part.path.name}")
            shutil.copyfile(part.path, fresh / names[-1])
        return names
    there = zip(rebuilt.recipe.wanted, rebuilt.copies, strict=True)
    for split in dict.fromkeys(row.split for row, copy in there if copy is not None):
        names.append(shard_name(INDEX, split))
        rows = (row for _, row, _ in rebuilt.rows(split))
        write_rows(fresh / names[-1], index_features().arrow_schema, rows)
    return names


def _with_tombstones(lock: Lock, tombstones: Tombstones) -> Lock:
    """Return the lock with these tombstones in its config, where there are any."""
    taken_down = takedown_params(tombstones)
    config = {} if taken_down is None else {"takedown": taken_down}
    return dataclasses.replace(lock, config={**lock.config, **config})


def _shard_counts(lock: Lock, names: list[str]) -> dict[str, dict[str, int]]:
    """Return {config: {split: its files}}; only the default config has splits without a file."""
    counted = {
        config: {
            split: sum(name.startswith(f"{config_folder(config)}/{split}-") for name in names)
            for split in splits
        }
        for config, splits in lock.shards.items()
    }
    return {
        config: {split: n for split, n in splits.items() if n or config == MAIN}
        for config, splits in counted.items()
        if config == MAIN or any(splits.values())
    }


# Checks -------------------------------------------------------------------------------------------


def _check(fresh: Path, shards: list[str]) -> None:
    """Raise GateError if a picture in a shard is not the one that its row names."""
    import pyarrow.parquet as pq

    for name in shards:
        with pq.ParquetFile(fresh / name) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=[PIXELS, "sha256"]):
                for row in batch.to_pylist():
                    found = hashlib.sha256(row[PIXELS]["bytes"]).hexdigest()
                    if found != row["sha256"]:
                        raise GateError(
                            f"{name}: found the picture {found}, expected {row['sha256']}"
                        )


def _compare(recipe: Lock, lock: Lock) -> None:
    """Log every file that is not, to the byte, what the recipe's lock names."""
    if recipe.pixels != "all":
        return
    for name, sha256 in recipe.files.items():
        if lock.files.get(name) != sha256:
            versions = ", ".join(f"{k} {v}" for k, v in sorted(recipe.made_with.items()))
            log.warning(
                "%s: every row is exact, yet the file is not, to the byte, what %s names; it was "
                "written with %s",
                *(name, LOCK_NAME, versions),
            )
