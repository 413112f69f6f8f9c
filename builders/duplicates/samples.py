"""Samples as the search for duplicates sees them: read from the catalog, some or all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from occlufer.catalog import Catalog
from occlufer.election import elect_by_sources
from occlufer.record import Record

from ..hashing.hash_table import ViewTable, from_hex
from ..hashing.views import HASHED


@dataclass(frozen=True)
class Size:
    """What is known of a crop, beside its hashes, and never changes."""

    crop: str
    pixels: int
    size_bytes: int


@dataclass(frozen=True)
class Sample:
    """One sample."""

    image: str
    row: int
    """Where its hashes are; samples with the very same hashes have one row."""
    size: Size
    owner: str
    """The record that speaks for it."""
    rank: int
    undecided: bool
    """Whether its votes give no label: such a one would take the labelled copies with it."""
    protected: bool
    """Whether it is never dropped."""
    joins: tuple[str, ...]
    """Whom it shows, and the user's groups: samples that share one are in one group."""

    @property
    def precedence(self) -> tuple[Any, ...]:
        """Of two copies the one whose precedence is smaller is kept."""
        size = self.size
        return self.undecided, self.rank, -size.pixels, -size.size_bytes, self.image


def read_hashes(catalog: Catalog, images: Collection[str]) -> tuple[dict[str, Size], ViewTable]:
    """Return the sizes of images, and their views' hashes in the same order."""
    crops = {
        image: (value["crop"], value["width"] * value["height"])
        for image, value in catalog.values("faces", images)
    }
    # Filled as they are read: an array for each image would take more than all hashes do.
    views64 = np.empty((len(images), len(HASHED)), dtype=np.uint64, order="F")
    views256 = np.empty((len(images), len(HASHED), 4), dtype=np.uint64)
    sizes: dict[str, Size] = {}
    for row, (image, value) in enumerate(catalog.values("hashes", images)):
        sizes[image] = Size(*crops[image], value["size_bytes"])
        views64[row] = from_hex(value["views64"])
        views256[row] = from_hex(value["views256"]).reshape(-1, 4)
    known = slice(len(sizes))
    return sizes, ViewTable(np.asfortranarray(views64[known]), views256[known])


def read_samples(
    holders: Iterable[tuple[str, list[Record]]],
    sizes: Mapping[str, Size],
    rows: Mapping[str, int],
    groups: Mapping[str, str],
    keep: Collection[str],
) -> Iterator[Sample]:
    """Yield the samples of images by the records that hold them, the owner first."""
    kept = set(keep)
    for image, records in holders:
        owner = records[0]
        yield Sample(
            image,
            rows[image],
            sizes[image],
            owner.id,
            owner.rank,
            elect_by_sources(records).label is None,
            any(record.id in kept for record in records),
            tuple(sorted(_joins(records, groups))),
        )


def _joins(records: list[Record], groups: Mapping[str, str]) -> set[str]:
    joins = {
        f"subject {record.source}/{record.facts.subject}"
        for record in records
        if record.facts.subject is not None
    }
    return joins | {f"group {groups[record.id]}" for record in records if record.id in groups}
