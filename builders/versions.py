"""Versions of a dataset: what has come, gone and changed between two published folders."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, UsageError
from occlufer.lock import MAIN, check_published
from occlufer.schema import LABELS

from .published.lock_file import read_lock
from .published.schema import METADATA_KEY
from .published.shards import DamagedShardError, Row, batches, read_schema, shards_of
from .publishing.columns import PIXELS

KEY = "sha256"
# What is told by itself, or is the sample itself.
OWN = (KEY, "label")


@dataclass(frozen=True)
class Sample:
    """One sample of a version, without its pixels."""

    split: str
    label: str
    digests: Mapping[str, bytes]
    """{column: a digest of its value}, of all columns that are not told by themselves."""


@dataclass(frozen=True)
class Difference:
    """What is different in the default config of version b from that of a, by the sha256 of images.

    Everything is in the order of the hashes.
    """

    added: list[str]
    removed: list[str]
    relabelled: list[tuple[str, str, str]]
    """(sha256, label in a, label in b)"""
    moved: list[tuple[str, str, str]]
    """(sha256, split in a, split in b)"""
    changed: list[tuple[str, list[str]]]
    """(sha256, the columns that say something else), of columns that both versions have."""
    columns_added: list[str]
    columns_removed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "counts": self.counts(),
            "added": self.added,
            "removed": self.removed,
            "relabelled": [_step(*one) for one in self.relabelled],
            "moved": [_step(*one) for one in self.moved],
            "changed": [{KEY: sha256, "columns": columns} for sha256, columns in self.changed],
            "columns": {"added": self.columns_added, "removed": self.columns_removed},
        }

    def counts(self) -> dict[str, int]:
        """Return how many samples are different in which way."""
        names = ("added", "removed", "relabelled", "moved", "changed")
        return {name: len(getattr(self, name)) for name in names}

    def steps(self, name: str) -> dict[str, int]:
        """Return {"from -> to": samples} of "relabelled" or "moved", the commonest first."""
        return _ranked(Counter(f"{old} -> {new}" for _, old, new in getattr(self, name)))

    def columns_changed(self) -> dict[str, int]:
        """Return {column: samples of which it says something else}, the commonest first."""
        return _ranked(Counter(name for _, columns in self.changed for name in columns))


def _step(sha256: str, old: str, new: str) -> dict[str, str]:
    return {KEY: sha256, "from": old, "to": new}


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def diff(a: Path, b: Path) -> Difference:
    """Return what is different in the published folder b from a.

    Of every sample some hundred bytes are held, and no pixels. Raises MissingError if one of them
    is no published folder, UsageError if a shard of it cannot be read.
    """
    return compare(read_version(a), read_version(b))


def compare(a: Mapping[str, Sample], b: Mapping[str, Sample]) -> Difference:
    """Return what is different in b, {sha256: sample}, from a."""
    both = sorted(a.keys() & b.keys())
    names_a, names_b = _columns(a), _columns(b)
    changed = []
    for sha256 in both:
        old, new = a[sha256].digests, b[sha256].digests
        columns = [name for name in old if name in new and old[name] != new[name]]
        if columns:
            changed.append((sha256, sorted(columns)))
    return Difference(
        added=sorted(b.keys() - a.keys()),
        removed=sorted(a.keys() - b.keys()),
        relabelled=[(k, a[k].label, b[k].label) for k in both if a[k].label != b[k].label],
        moved=[(k, a[k].split, b[k].split) for k in both if a[k].split != b[k].split],
        changed=changed,
        columns_added=sorted(names_b - names_a) if a and b else [],
        columns_removed=sorted(names_a - names_b) if a and b else [],
    )


def _columns(version: Mapping[str, Sample]) -> set[str]:
    return {name for sample in version.values() for name in sample.digests}


def read_version(folder: Path) -> dict[str, Sample]:
    """Return {sha256: sample} of a published folder's default config."""
    check_published(folder)
    lock, faults = read_lock(folder)
    if lock is None:
        raise UsageError(f"{folder}: {faults[0].line()}")
    shards, wrong = shards_of(lock)
    if wrong:  # the samples of a shard that is passed over would pass for removed, too
        raise UsageError(f"{folder}: {wrong[0].line()}")
    found: dict[str, Sample] = {}
    for shard in shards:
        if shard.config == MAIN:
            path = folder / shard.name
            if not path.is_file():  # its samples would pass for removed
                raise MissingError(f"{path}: no such file, expected the shard that the lock names")
            try:
                found.update(_samples(path, shard.split))
            except DamagedShardError as error:
                raise UsageError(
                    f"{path}: found no shard of a dataset ({error}), expected one; "
                    "`occlufer verify` says what else is wrong"
                ) from None
    return found


def _samples(path: Path, split: str) -> Iterator[tuple[str, Sample]]:
    schema = read_schema(path)
    missing = [name for name in OWN if name not in schema.names]
    if missing:
        raise DamagedShardError(f"no column {missing[0]}")
    names = _label_names(schema)
    columns = [name for name in schema.names if name != PIXELS]
    for rows in batches(path, columns):
        for row in rows:
            digests = {name: _digest(value) for name, value in row.items() if name not in OWN}
            yield str(row[KEY]), Sample(split, _label_name(row, names), digests)


def _label_name(row: Row, names: list[str]) -> str:
    label = row["label"]
    known = isinstance(label, int) and 0 <= label < len(names)
    return names[label] if known else str(label)


def _label_names(schema: Any) -> list[str]:
    """Return the classes by their number, as the shard itself has them: versions may differ."""
    try:
        told = json.loads((schema.metadata or {})[METADATA_KEY])
        return [str(name) for name in told["info"]["features"]["label"]["names"]]
    except (KeyError, TypeError, ValueError):
        return list(LABELS)


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
