"""Looks of a rebuild: copies of what is missing, among pictures that are no row's very own."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from occlufer.engine import map_local
from occlufer.images import ImageStore
from occlufer.progress import progress

from ..hashing.hash_table import Hashes
from ..hashing.search import distances
from ..metadata import without_metadata
from ..pixels import BadImageError, Pixels, decode_rgb, encode_png
from ..sources.entry import Entry
from .match import NAMED_BITS, Near, choose, is_able
from .read import (
    UNREADABLE,
    Copy,
    Found,
    Passed,
    bytes_of,
    copy_of,
    cut_of,
    phash_of,
)
from .recipe import Key, Wanted
from .sources import Opened

log = logging.getLogger(__name__)

# So many squares at most are cut out of photographs of other names than their rows'.
CUTS_TRIED = 100_000
Pair = tuple[Near, Copy]


@dataclass(frozen=True)
class Sought:
    """The pictures of a source's rows, and which of them are missing."""

    rows: list[Wanted]
    hashes: Hashes
    """(n,)"""
    whole: list[int]
    """The missing ones that are published whole, by position,"""
    cuts: list[int]
    """and those that are cut out of photographs."""
    named: dict[str, list[int]]
    """{source_id: missing ones of that name}"""

    def near(self, copy: str, phash: int, among: Iterable[int], name: str) -> Iterator[Near]:
        """Yield the rows `among` these that a picture, known as `copy`, may show."""
        bits = distances(self.hashes, np.full(len(self.hashes), phash, dtype=np.uint64))
        for row in among:
            if bits[row] <= NAMED_BITS:
                rival = int(np.delete(bits, row).min(initial=64))
                near = Near(row, copy, int(bits[row]), rival, row in self.named.get(name, ()))
                if is_able(near):
                    yield near


def sought_of(source: str, wanted: Iterable[Wanted], found: Found) -> Sought:
    """Return what is sought in a source."""
    rows: dict[Key, Wanted] = {}
    names: dict[Key, set[str]] = {}
    for row in wanted:
        if row.source == source:
            rows.setdefault(row.key, row)
            names.setdefault(row.key, set()).add(row.source_id)
    missing = [(i, row) for i, row in enumerate(rows.values()) if row.key not in found.copies]
    named: dict[str, list[int]] = {}
    for position, row in missing:
        for name in names[row.key]:
            named.setdefault(name, []).append(position)
    return Sought(
        rows=[*rows.values()],
        hashes=np.array([row.phash for row in rows.values()], dtype=np.uint64),
        whole=[i for i, row in missing if row.cut is None],
        cuts=[i for i, row in missing if row.cut is not None],
        named=named,
    )


def look_through(
    source: Opened, passed: Passed, sought: Sought, found: Found, store: ImageStore, workers: int
) -> None:
    """Take the copies of what is missing; the pictures that are any row's very own are none."""
    entries = (entry for i, entry in enumerate(source.entries()) if i not in passed.matched)
    # Each photograph has to be cut anew for each row: where that is too much, names alone help.
    tried = sought.cuts if len(sought.cuts) * passed.others <= CUTS_TRIED else []
    if len(tried) < len(sought.cuts):
        log.info(
            "%s: %d crops are missing, and looked for in photographs of their own names alone",
            *(source.name, len(sought.cuts)),
        )
    look = partial(_look, sought=sought, tried=tried, store=store)
    seen = map_local(look, entries, workers)
    copies: dict[tuple[int, str], Pair] = {}
    for name, state, pairs in progress(seen, None, f"compare {source.name}"):
        if state == UNREADABLE and name in sought.named:
            found.named[source.name, name] = UNREADABLE
        for near, copy in pairs:
            known = copies.get((near.row, near.copy))
            if known is None or near.named:
                copies[near.row, near.copy] = near, copy
    for row, near in choose(near for near, _ in copies.values()).items():
        found.copies[sought.rows[row].key] = copies[row, near.copy][1]


def _look(
    entry: Entry, sought: Sought, tried: list[int], store: ImageStore
) -> tuple[str, str, list[Pair]]:
    """Return the name of an entry, what it is, and the rows that it may show, kept in the store."""
    data, state = bytes_of(entry)
    if not data:
        return entry.source_id, state, []
    sha256 = hashlib.sha256(data).hexdigest()
    own = [i for i in sought.named.get(entry.source_id, ()) if sought.rows[i].cut is not None]
    pairs = []
    try:
        image_rgb = decode_rgb(data)
        for near, crop in (
            *_of_whole(data, sha256, entry.source_id, sought),
            *_of_squares(image_rgb, sha256, entry.source_id, sought, [*{*own, *tried}]),
        ):
            pairs.append((near, copy_of(crop, sha256, sought.rows[near.row], store)))
    except BadImageError:
        return entry.source_id, UNREADABLE, []
    return entry.source_id, state, pairs


def _of_whole(data: bytes, sha256: str, name: str, sought: Sought) -> Iterator[tuple[Near, bytes]]:
    """Yield the rows that a picture may show as it is, with its sample."""
    if sought.whole:
        crop = without_metadata(data)
        for near in sought.near(sha256, phash_of(crop), sought.whole, name):
            yield near, crop


def _of_squares(
    image_rgb: Pixels, sha256: str, name: str, sought: Sought, tried: list[int]
) -> Iterator[tuple[Near, bytes]]:
    """Yield the rows that a photograph may show in the rows' own squares, with its sample."""
    for row in sorted(tried):
        try:
            crop_rgb = cut_of(image_rgb, sought.rows[row])
        except BadImageError:  # a photograph of another size
            continue
        cut = f"{sha256} {sought.rows[row].cut}"
        for near in sought.near(cut, phash_of(crop_rgb), [row], name):
            yield near, encode_png(crop_rgb)
