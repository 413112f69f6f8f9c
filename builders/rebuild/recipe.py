"""The recipe of a rebuild: a lock, its index without pixels, and what every row of it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from occlufer.digest import file_sha256
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.lock import INDEX, LOCK_NAME, MAIN, Lock, config_folder
from occlufer.schema import LABELS, OCCLUSION_TYPES, RIGHTS, SPLITS

from ..cut import Square
from ..published.lock_file import is_within, read_lock
from ..published.shards import DamagedShardError, Row, Shard, batches, read_schema, shards_of
from ..publishing.columns import index_features
from ..publishing.subsets import SPLIT as SUBSET_SPLIT

CONFIG = re.compile(r"[A-Za-z0-9_]+")
SHA256, PHASH = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{16}")
ALL_SPLITS = (*SPLITS, SUBSET_SPLIT)

Key = tuple[str, Square | None]
"""What a picture is made of: the sha256 of its source's bytes, and the square that is cut out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be known of a row to find its picture again."""

    config: str
    split: str
    source: str
    source_id: str
    source_sha256: str
    cut: Square | None
    """None where the picture is published whole."""
    sha256: str
    phash: int
    url: str | None

    @property
    def key(self) -> Key:
        """What its picture is made of; rows of several configs may have one picture."""
        return self.source_sha256, self.cut


@dataclass(frozen=True)
class Part:
    """One Parquet file of the index."""

    path: Path
    split: str
    start: int
    """How many rows the parts before it have."""


@dataclass(frozen=True)
class Recipe:
    """A published folder of which nothing but lock and index has to be there."""

    folder: Path
    lock: Lock
    parts: tuple[Part, ...]
    wanted: tuple[Wanted, ...]
    """In the order of the index; a row is known by its position here."""


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe in a published folder.

    Raises MissingError without lock or index, GateError if one is not what it should be, and
    UsageError for an index of a version that says less.
    """
    folder = folder.resolve()
    lock = _lock(folder)
    shards = sorted(
        (shard for shard in shards_of(lock)[0] if shard.config == INDEX), key=lambda s: s.name
    )
    if not shards:
        raise MissingError(
            f"{folder / LOCK_NAME}: found no index in it, expected {INDEX}/*.parquet"
        )
    parts: list[Part] = []
    wanted: list[Wanted] = []
    for shard in shards:
        path = _checked(folder, shard, lock)
        here = len(wanted)
        parts.append(Part(path, shard.split, len(wanted)))
        try:
            wanted += _wanted(path)
        except DamagedShardError as error:
            raise GateError(f"{path}: found no index that can be read ({error})") from None
        for row in wanted[here:]:
            if row.split != shard.split or not _has_place(row, lock):
                found = f"a row of {row.config!r}, {row.split!r}"
                raise GateError(f"{path}: found {found}, expected rows of {shard.split!r} alone")
    _check_once(folder, wanted)
    return Recipe(folder, lock, tuple(parts), tuple(wanted))


def _has_place(row: Wanted, lock: Lock) -> bool:
    """Return whether a row is of a config and split that are written."""
    splits = SPLITS if row.config == MAIN else (SUBSET_SPLIT,)
    there = lock.shards.get(row.config, {})
    return row.config != INDEX and row.split in splits and row.split in there


def _check_once(folder: Path, wanted: Iterable[Wanted]) -> None:
    """Raise GateError for a record that stands twice in a config."""
    seen = set()
    for row in wanted:
        record = (row.config, row.source, row.source_id)
        if record in seen:
            name = f"{row.source}/{row.source_id}"
            raise GateError(f"{folder / INDEX}: found {name!r} twice in config {row.config!r}")
        seen.add(record)


def rows_of(part: Part) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a part of the index, each with its position."""
    rows = (row for batch in batches(part.path) for row in batch)
    yield from enumerate(rows, start=part.start)


def _lock(folder: Path) -> Lock:
    if not (folder / LOCK_NAME).is_file():
        raise MissingError(
            f"{folder}: found no {LOCK_NAME}, expected a published folder, with pixels or without"
        )
    lock, faults = read_lock(folder)
    if lock is None:
        raise GateError(faults[0].line())
    _check_names(folder, lock)
    return lock


def _check_names(folder: Path, lock: Lock) -> None:
    """Raise GateError for a name by which files would be written elsewhere than in the folder."""
    named = [("name", lock.name, PurePosixPath(lock.name).name == lock.name)]
    named += [
        ("config", config, bool(CONFIG.fullmatch(config)) and config != config_folder(MAIN))
        for config in lock.shards
    ]
    named += [("split", split, split in ALL_SPLITS) for s in lock.shards.values() for split in s]
    for what, name, holds in named:
        if not holds or not is_within(name) or name in ("", "."):
            place = folder / LOCK_NAME
            raise GateError(f"{place}: found the {what} {name!r}, expected a name within a folder")


def _checked(folder: Path, shard: Shard, lock: Lock) -> Path:
    """Return the path of a part of the index; raises if it is not the one that the lock names."""
    path = folder / shard.name
    if not path.is_file():
        raise MissingError(f"{path}: no such file, expected the index, which names every row")
    found = file_sha256(path)
    if found != lock.files[shard.name]:
        expected = lock.files[shard.name]
        raise GateError(f"{path}: found sha256 {found}, expected {expected} as in {LOCK_NAME}")
    try:
        schema = read_schema(path)
    except DamagedShardError as error:
        raise GateError(f"{path}: found no index that can be read ({error})") from None
    for field in index_features().arrow_schema:
        if field.name not in schema.names:
            version = lock.made_with.get("occlufer", "unknown")
            raise UsageError(
                f"{path}: found no column {field.name!r}, for occlufer {version} has written it; "
                "expected the columns of this version"
            )
        found = schema.field(field.name).type
        if found != field.type:
            raise GateError(f"{path}: found {field.name} of {found}, expected {field.type}")
    return path


def _wanted(path: Path) -> Iterator[Wanted]:
    for number, row in enumerate(row for batch in batches(path, [*CHECKS]) for row in batch):
        for name, fits in CHECKS.items():
            if not fits(row[name]):
                where, expected = f"{path}, row {number}", EXPECTED.get(name, "that of a build")
                raise GateError(f"{where}: found {name} {row[name]!r:.80}, expected {expected}")
        box = row["crop_box"]
        yield Wanted(
            config=row["config"],
            split=row["split"],
            source=row["source"],
            source_id=row["source_id"],
            source_sha256=row["source_sha256"],
            cut=(box[0], box[1], box[2], box[3]) if box else None,
            sha256=row["sha256"],
            phash=int(row["phash"], 16),
            url=row["url"],
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None


def _is_square(box: Any) -> bool:
    """Return whether a crop_box is none, or a square x0, y0, x1, y1 of some size."""
    if not box:
        return True
    return len(box) == 4 and None not in box and box[2] - box[0] == box[3] - box[1] > 0


CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("config", "split", "source", "source_id"), _is_text),
    **dict.fromkeys(("sha256", "source_sha256"), _is_sha256),
    "phash": lambda value: isinstance(value, str) and PHASH.fullmatch(value) is not None,
    "crop_box": _is_square,
    "url": lambda value: value is None or _is_text(value),
    "label": lambda value: value is not None and 0 <= value < len(LABELS),
    "rights": lambda value: value in RIGHTS,
    "occlusion_types": lambda value: value is not None and {*value} <= {*OCCLUSION_TYPES},
}
"""{column that a rebuild reads: whether a value of it is one}"""
EXPECTED = {
    **dict.fromkeys(("config", "split", "source", "source_id"), "a text"),
    **dict.fromkeys(("sha256", "source_sha256"), "64 hex digits"),
    "phash": "16 hex digits",
    "crop_box": "a square x0, y0, x1, y1",
    "rights": ", ".join(RIGHTS),
    "occlusion_types": f"some of {', '.join(OCCLUSION_TYPES)}",
}
