"""Edges: pairs of pictures whose hashes are near in some view, or in some part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .hash_table import HashTable
from .search import distances, neighbour_blocks
from .views import HASHED, ITSELF, MIRROR, PARTS, POSITION, VIEWS

NAMES = tuple(HASHED)
# So many edges of a pair are kept, the nearest: pixels decide, and one of these shows them best.
EDGES_PER_PAIR = 4


@dataclass(frozen=True)
class Limits:
    """How many bits two hashes may differ in for an edge."""

    bits64: int
    """Of the 64-bit hash, in a view or a part,"""
    view_bits256: int
    """and of the 256-bit hash, in a view,"""
    part_bits256: int
    """or in a part."""


@dataclass(frozen=True)
class Edges:
    """n edges as int64 arrays (n,): `a` seen as `seen` is near `b` taken as `taken`."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    """Positions of pictures."""
    seen: NDArray[np.int64]
    taken: NDArray[np.int64]
    """Positions in HASHED: of a view and the picture itself or its mirror image, or of parts."""
    bits64: NDArray[np.int64]
    bits256: NDArray[np.int64]

    def __len__(self) -> int:
        """Return n."""
        return int(self.a.size)

    def __iter__(self) -> Iterator[Edge]:
        """Yield the edges one by one."""
        columns = (getattr(self, field.name).tolist() for field in fields(self))
        yield from map(Edge, *columns)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Edges:
        """Return the chosen edges."""
        return Edges(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Edge:
    """One edge of `Edges`."""

    a: int
    b: int
    seen: int
    taken: int
    bits64: int
    bits256: int

    @property
    def view(self) -> str:
        """What `a` has to be seen as, in words."""
        name = NAMES[self.seen]
        mirrored = MIRROR in NAMES[self.taken]
        return (MIRROR if name == ITSELF else f"{name}, mirrored") if mirrored else name

    @property
    def of_a_part(self) -> bool:
        """Whether only a part of the pictures is near."""
        return NAMES[self.seen] in PARTS


# (seen, taken) of everything that is compared.
COMPARED = (
    *((POSITION[view], POSITION[taken]) for view in VIEWS for taken in (ITSELF, MIRROR)),
    *((POSITION[p], POSITION[t]) for p in PARTS for t in (p, f"{p} of the {MIRROR}")),
)


def first_alike(table: HashTable) -> NDArray[np.int64]:
    """Return, for every picture, the first one that has the very same hashes, int64 (n,).

    Only such first ones are searched: a thousand copies of one picture are half a million pairs.
    """
    factors = np.random.default_rng(0).integers(1, 2**63, len(HASHED), dtype=np.uint64)
    _, firsts, places = np.unique(
        (table.views64 * (factors | np.uint64(1))).sum(axis=1, dtype=np.uint64),
        return_index=True,
        return_inverse=True,
    )
    first = firsts[places]
    alike = (table.views64 == table.views64[first]).all(axis=1)
    alike &= (table.views256 == table.views256[first]).all(axis=(1, 2))
    return np.where(alike, first, np.arange(len(table)))


def near_edges(
    table: HashTable,
    limits: Limits,
    among: NDArray[np.int64],
    new: NDArray[np.bool_],
    rank: NDArray[np.int64],
) -> Edges:
    """Return the edges between rows `among` of `table`, at most EDGES_PER_PAIR a pair.

    Only those with a `new` one at one end, bool like `among`, in a time that grows with the number
    of new ones times that of all. Where edges are equally near, `rank`, int64 (n,), decides which
    are kept: the same ones in whatever order the rows come.
    """
    fresh, old = among[new], among[~new]
    found: list[Edges] = [
        edges
        for seen, taken in COMPARED
        for a, b in ((fresh, among), (old, fresh))
        for edges in _compare(table, a, table, b, seen, taken, limits)
    ]
    edges = joined(found)
    # Every picture is near itself; what is seen and taken alike is found from both ends.
    once = (edges.seen != edges.taken) | (rank[edges.a] < rank[edges.b])
    return _nearest(edges.rows((edges.a != edges.b) & once), rank)


def edges_between(table: HashTable, other: HashTable, limits: Limits) -> Edges:
    """Return the nearest edge of each pair of a picture of `table` (a) and one of `other` (b).

    Both are seen in every view, so that either may be a cut-out of the other.
    """
    rows, other_rows = np.arange(len(table)), np.arange(len(other))
    found: list[Edges] = []
    for seen, taken in COMPARED:
        found += _compare(table, rows, other, other_rows, seen, taken, limits)
        if seen != taken:
            for edges in _compare(other, other_rows, table, rows, seen, taken, limits):
                turned = Edges(edges.b, edges.a, *_rest(edges))
                found.append(turned)
    edges = joined(found)
    order = np.lexsort((edges.taken, edges.seen, edges.bits64, edges.bits256, edges.b, edges.a))
    edges = edges.rows(order)
    return edges.rows(_place_in_run(edges.a, edges.b) == 0)


def _nearest(edges: Edges, rank: NDArray[np.int64]) -> Edges:
    """Return the EDGES_PER_PAIR nearest edges of each pair, sorted by pair, nearest first."""
    a, b = rank[edges.a], rank[edges.b]
    low, high, turned = np.minimum(a, b), np.maximum(a, b), a > b
    order = np.lexsort((turned, edges.taken, edges.seen, edges.bits64, edges.bits256, high, low))
    place = _place_in_run(low[order], high[order])
    return edges.rows(order[place < EDGES_PER_PAIR])


def _compare(
    table: HashTable,
    a: NDArray[np.int64],
    other: HashTable,
    b: NDArray[np.int64],
    seen: int,
    taken: int,
    limits: Limits,
) -> Iterator[Edges]:
    """Yield the edges between rows `a` of `table` and rows `b` of `other`."""
    most = limits.part_bits256 if NAMES[seen] in PARTS else limits.view_bits256
    queries, targets = table.views64[a, seen], other.views64[b, taken]
    for pairs in neighbour_blocks(queries, limits.bits64, targets):
        i, j = a[pairs.i], b[pairs.j]
        bits256 = distances(table.views256[i, seen], other.views256[j, taken])
        near = bits256 <= most
        count = int(near.sum())
        yield Edges(
            i[near],
            j[near],
            np.full(count, seen),
            np.full(count, taken),
            pairs.distance[near],
            bits256[near],
        )


def _rest(edges: Edges) -> tuple[NDArray[np.int64], ...]:
    return edges.seen, edges.taken, edges.bits64, edges.bits256


def joined(parts: list[Edges]) -> Edges:
    """Return the edges of all parts, one after the other."""
    nothing = np.zeros(0, dtype=np.int64)
    names = [field.name for field in fields(Edges)]
    return Edges(*(np.concatenate([nothing, *(getattr(p, n) for p in parts)]) for n in names))


def _place_in_run(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many equal pairs lie before each, of pairs (a, b) that are sorted."""
    starts = np.ones(a.size, dtype=bool)
    starts[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    positions = np.arange(a.size)
    return np.asarray(positions - np.maximum.accumulate(np.where(starts, positions, 0)))
