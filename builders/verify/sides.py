"""Sides: who trains, who is tested on, and what of the one must not be on the other side.

Only what this needs of a row is kept, some 2 kB, and no pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from occlufer.config import LeaksConfig
from occlufer.lock import MAIN, Lock

from ..hashes import Look
from ..hashing.hash_table import table_of
from ..leakage.hits import NamedHashes, find_hits
from ..published.fault import Fault, shown
from ..published.shards import Row, Shard

TRAIN = "train"
LIMITS = ("phash64_bits", "phash256_bits", "part_bits")


@dataclass(frozen=True)
class Member:
    """One row, as far as sides go."""

    where: str
    sha256: str
    group: str
    phash: str
    record: tuple[str, str]
    hashes: dict[str, Any] | None
    """What a look at its pixels has told, if they are here."""


class Sides:
    """The rows of every split of the default config, and of every evaluation subset."""

    def __init__(self) -> None:
        """Begin without a row."""
        self._sides: dict[tuple[str, str], list[Member]] = {}

    def add(self, row: Row, shard: Shard, where: str, look: Look | None) -> None:
        """Take a row, and what was seen of its picture."""
        record = (row["source"], row["source_id"])
        hashes = None if look is None else look.hashes
        one = Member(where, row["sha256"], row["group"], row["phash"], record, hashes)
        self._sides.setdefault((shard.config, shard.split), []).append(one)

    def faults(self, lock: Lock) -> Iterator[Fault]:
        """Yield what is twice, or on both sides, once all rows have passed."""
        default = {split: ones for (config, split), ones in self._sides.items() if config == MAIN}
        subsets: dict[str, list[Member]] = {}
        for (config, _), ones in self._sides.items():
            if config != MAIN:
                subsets.setdefault(config, []).extend(ones)
        yield from duplicate_faults(default)
        yield from group_faults(default)
        for name, members in subsets.items():
            yield from record_faults(members)
            yield from subset_faults(name, members, default.get(TRAIN, []))
        tested = {split: ones for split, ones in default.items() if split != TRAIN} | subsets
        yield from leak_faults(default.get(TRAIN, []), tested, leak_settings(lock))


def duplicate_faults(splits: dict[str, list[Member]]) -> Iterator[Fault]:
    """Yield every sample of the default config whose image was there before."""
    first: dict[str, str] = {}
    for members in splits.values():
        for one in members:
            before = first.setdefault(one.sha256, one.where)
            if before != one.where:
                found = f"the image of {before} again"
                yield Fault(one.where, "duplicate", found, "every image once")


def group_faults(splits: dict[str, list[Member]]) -> Iterator[Fault]:
    """Yield every group that is in several splits, where it is first seen to cross."""
    first: dict[str, tuple[str, str]] = {}
    crossing: set[str] = set()
    for split, members in splits.items():
        for one in members:
            before, where = first.setdefault(one.group, (split, one.where))
            if before != split and one.group not in crossing:
                crossing.add(one.group)
                found = f"{shown(one.group)} in {split}, and in {before} ({where})"
                yield Fault(one.where, "group", found, "a group in one split")


def record_faults(members: list[Member]) -> Iterator[Fault]:
    """Yield every row of a subset whose record was there before; images may be there twice."""
    first: dict[tuple[str, str], str] = {}
    for one in members:
        before = first.setdefault(one.record, one.where)
        if before != one.where:
            yield Fault(one.where, "duplicate", f"the record of {before} again", "every one once")


def subset_faults(name: str, members: list[Member], train: list[Member]) -> Iterator[Fault]:
    """Yield what trains of a subset, or of the groups of its samples."""
    expected = f"nothing of {name} in train"
    images = {one.sha256: one.where for one in train}
    groups = {one.group: one.where for one in train}
    for one in members:
        if one.sha256 in images:
            yield Fault(one.where, "leak", f"its image in train ({images[one.sha256]})", expected)
        elif one.group in groups:
            found = f"its group {shown(one.group)} in train ({groups[one.group]})"
            yield Fault(one.where, "leak", found, expected)


def leak_faults(
    train: list[Member], tested: dict[str, list[Member]], settings: LeaksConfig
) -> Iterator[Fault]:
    """Yield every training sample that is near one that is tested on, with the nearest.

    By the search of the build, in all views and parts, where pixels are here; else where the
    published hashes are equal.
    """
    sets = {name: _with_hashes(members) for name, members in tested.items()}
    images = {one.where: one.sha256 for side in (train, *tested.values()) for one in side}
    for image, hits in find_hits(_with_hashes(train), sets.items(), settings).items():
        others = [hit for hit in hits if images[hit.test_picture] != images[image]]
        for hit in others[:1]:
            found = f"it near {hit.test_picture} ({hit.nearness})"
            yield Fault(image, "leak", found, f"nothing of {hit.test_set} in train")
    for name, members in tested.items():
        yield from _equal_faults(train, name, members)


def _with_hashes(members: list[Member]) -> NamedHashes:
    hashed = [one for one in members if one.hashes is not None]
    table = table_of(one.hashes for one in hashed if one.hashes is not None)
    return NamedHashes([one.where for one in hashed], table)


def _equal_faults(train: list[Member], name: str, tested: list[Member]) -> Iterator[Fault]:
    by_phash: dict[str, list[Member]] = {}
    for one in tested:
        by_phash.setdefault(one.phash, []).append(one)
    for one in train:
        for other in by_phash.get(one.phash, []):
            if (one.hashes is None or other.hashes is None) and one.sha256 != other.sha256:
                found = f"the phash of {other.where}, and not the pixels of both to tell them apart"
                yield Fault(one.where, "leak", found, f"nothing of {name} in train")
                break


def leak_settings(lock: Lock) -> LeaksConfig:
    """Return how near a leak is: as the build had it, or by default if the lock does not say."""
    told = lock.config.get("leaks")
    told = told if isinstance(told, dict) else {}
    # Not isinstance: True is an int, and no number of bits.
    bits = {name: told[name] for name in LIMITS if type(told.get(name)) is int}
    try:
        return LeaksConfig(**bits)
    except (TypeError, ValueError):
        return LeaksConfig()
