"""Samples as the search for duplicates sees them: read from the catalog, some or all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from occlufer.catalog import Catalog
from occlufer.election import elect_by_sources
from occlufer.record import Record

from ..hashing.hash_table import ViewTable
from ..hashing.kept import placed_views


@dataclass(frozen=True)
class Size:
    """What is known of a crop, beside its hashes, and never changes."""

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
    pixels = {
        image: value["width"] * value["height"] for image, value in catalog.values("faces", images)
    }
    sizes: dict[str, Size] = {}

    def found() -> Iterator[tuple[str, dict[str, Any]]]:
        for image, value in catalog.values("hashes", images):
            sizes[image] = Size(pixels[image], value["size_bytes"])
            yield image, value

    table = placed_views(images, found())
    return {image: sizes[image] for image in images}, table


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
