"""Edges: pairs of pictures whose hashes are near in some view, or in some part."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from occlufer.config import DedupConfig, LeaksConfig
from occlufer.engine import Remote

from ..hashing.hash_table import HashTable, ViewTable
from ..hashing.search import Pairs, distances, neighbour_blocks
from ..hashing.views import HASHED, ITSELF, MIRROR, PARTS, POSITION, VIEWS

NAMES = tuple(HASHED)
IS_PART = np.array([name in PARTS for name in NAMES])
# So many views of a pair are kept, the nearest: pixels decide, and one of them shows them best.
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

    def within(self, others: Limits) -> bool:
        """Return whether what is as near as this is as near as `others`, too."""
        return all(value <= getattr(others, name) for name, value in vars(self).items())

    @property
    def bits256(self) -> int:
        """How many bits of 256 two hashes may differ in at most, in a view or in a part."""
        return max(self.view_bits256, self.part_bits256)


def limits_of(settings: DedupConfig | LeaksConfig) -> Limits:
    """Return how near two pictures are by these settings."""
    return Limits(settings.phash64_bits, settings.phash256_bits, settings.part_bits)


def in_words(view: str, bits64: int, bits256: int) -> str:
    """Return in which view two pictures are how near."""
    return f"view {view}: phash64 {bits64} bits, phash256 {bits256} bits"


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
        return map(Edge, *columns)

    @property
    def of_parts(self) -> NDArray[np.bool_]:
        """Whether only a part of the pictures is near, (n,)."""
        return np.asarray(IS_PART[self.seen])

    def between(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> Edges:
        """Return the edges with other ends."""
        return replace(self, a=a, b=b)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Edges:
        """Return the chosen edges."""
        return Edges(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Edge(NamedTuple):
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


# What is compared: each of the first as pictures are seen, with each of the second as others are.
COMPARED = (
    (tuple(POSITION[view] for view in VIEWS), (POSITION[ITSELF], POSITION[MIRROR])),
    *(((POSITION[part],), (POSITION[part], POSITION[f"{part} of the {MIRROR}"])) for part in PARTS),
)
Table = HashTable | ViewTable

# So many hashes, about, are searched at once: a few pictures in a few calls, many in many.
HASHES_AT_ONCE = 1 << 20
# Beyond so many edges, all but the nearest of each pair are let go of.
EDGES_HELD = 1 << 22


def digests(table: Table) -> NDArray[np.uint64]:
    """Return a number for every picture, (n,), that says which hashes it has."""
    words = 5 * len(HASHED)
    factors = np.random.default_rng(0).integers(1, 2**63, words, dtype=np.uint64) | np.uint64(1)
    mixed = np.zeros(len(table), dtype=np.uint64)
    for place, factor in enumerate(factors):  # a word at a time: all at once would double the table
        view, word = divmod(place, 5)
        mixed += factor * (table.views256[:, view, word] if word < 4 else table.views64[:, view])
    return mixed


def rank_by_hashes(table: Table) -> NDArray[np.int64]:
    """Return a rank for every picture, (n,), that its own hashes decide, not when it came."""
    return np.asarray(np.argsort(np.argsort(digests(table), kind="stable")), dtype=np.int64)


def first_alike(table: Table) -> NDArray[np.int64]:
    """Return, for every picture, the first one that has the very same hashes, int64 (n,).

    Only such first ones are searched: a thousand copies of one picture are half a million pairs.
    """
    _, firsts, places = np.unique(digests(table), return_index=True, return_inverse=True)
    first = firsts[places]
    alike = (table.views64 == table.views64[first]).all(axis=1)
    alike &= (table.views256 == table.views256[first]).all(axis=(1, 2))
    return np.where(alike, first, np.arange(len(table)))


def near_edges(
    table: Table,
    limits: Limits,
    among: NDArray[np.int64],
    new: NDArray[np.bool_],
    rank: NDArray[np.int64],
    remote: Remote | None = None,
) -> Edges:
    """Return the edges between rows `among` of `table`, the nearest of each pair.

    Only those with a `new` one at one end, bool like `among`, in a time that grows with the number
    of new ones times that of all. Where edges are equally near, `rank`, int64 (n,), decides which
    are kept: the same ones in whatever order the rows come. `remote` are processes that search.
    """
    fresh = among[new]
    is_new = np.zeros(len(table), dtype=bool)
    is_new[fresh] = True

    def blocks() -> Iterator[Edges]:
        yield from _compare(table, fresh, table, among, limits, remote)
        if fresh.size < among.size:
            # Of all, for a whole column is read faster than most of it; new ones were seen above.
            for edges in _compare(table, among, table, fresh, limits, remote):
                yield edges.rows(~is_new[edges.a])

    held: list[Edges] = []
    most = EDGES_HELD
    for edges in blocks():
        # Every picture is near itself; what is seen and taken alike is found from both ends.
        once = (edges.seen != edges.taken) | (rank[edges.a] < rank[edges.b])
        held.append(edges.rows((edges.a != edges.b) & once))
        if sum(map(len, held)) > most:
            held = [_nearest(joined(held), rank)]
            most = max(EDGES_HELD, 2 * len(held[0]))
    return _nearest(joined(held), rank)


def edges_between(table: Table, other: Table, limits: Limits) -> Edges:
    """Return an edge of each near pair of a picture of `table` (a) and one of `other` (b).

    Both are seen in every view, so that either may be a cut-out of the other: `seen` is of the one
    that had to be changed. The nearest view comes before the nearest part.
    """
    rows, other_rows = np.arange(len(table)), np.arange(len(other))
    found = [*_compare(table, rows, other, other_rows, limits)]
    for edges in _compare(other, other_rows, table, rows, limits):
        found.append(replace(edges, a=edges.b, b=edges.a))
    edges = joined(found)
    near = (edges.taken, edges.seen, edges.bits64, edges.bits256, IS_PART[edges.seen])
    edges = edges.rows(np.lexsort((*near, edges.b, edges.a)))
    return edges.rows(_place_in_run(edges.a, edges.b) == 0)


def are_near(
    table: ViewTable, a: NDArray[np.int64], b: NDArray[np.int64], limits: Limits
) -> NDArray[np.bool_]:
    """Return whether there is an edge between rows a[i] and b[i] of `table`, (n,) for (n,)."""
    near = np.zeros(a.size, dtype=bool)
    for one, other in ((a, b), (b, a)):
        for all_seen, takens in COMPARED:
            most = limits.part_bits256 if IS_PART[all_seen[0]] else limits.view_bits256
            for seen, taken in itertools.product(all_seen, takens):
                bits64 = distances(table.views64[one, seen], table.views64[other, taken])
                bits256 = distances(table.views256[one, seen], table.views256[other, taken])
                near |= (bits64 <= limits.bits64) & (bits256 <= most)
    return near


def _nearest(edges: Edges, rank: NDArray[np.int64]) -> Edges:
    """Return the nearest edges of each pair: EDGES_PER_PAIR of views, one of a part."""
    a, b = rank[edges.a], rank[edges.b]
    low, high, turned = np.minimum(a, b), np.maximum(a, b), a > b
    part = IS_PART[edges.seen]
    near = (turned, edges.taken, edges.seen, edges.bits64, edges.bits256)
    order = np.lexsort((*near, part, high, low))
    place = _place_in_run(low[order], high[order], part[order])
    return edges.rows(order[place < np.where(part[order], 1, EDGES_PER_PAIR)])


def _compare(
    table: Table,
    a: NDArray[np.int64],
    other: Table,
    b: NDArray[np.int64],
    limits: Limits,
    remote: Remote | None = None,
) -> Iterator[Edges]:
    """Yield the edges between rows `a` of `table`, as seen, and rows `b` of `other`, as taken."""
    if not (a.size and b.size):
        return
    step = max(HASHES_AT_ONCE // a.size, 1)
    for all_seen, takens in COMPARED:
        taken = np.array(takens)
        targets = _columns(other, b, takens)
        for start in range(0, len(all_seen), step):
            seen = np.array(all_seen[start : start + step])
            queries = _columns(table, a, seen.tolist())
            for pairs in neighbour_blocks(queries, limits.bits64, targets, remote=remote):
                yield _confirmed(table, a, other, b, seen, taken, pairs, limits)


def _columns(table: Table, rows: NDArray[np.int64], positions: Sequence[int]) -> NDArray[np.uint64]:
    """Return the hashes of these views of these rows, one view after the other."""
    chosen: Any = rows
    if rows.size == len(table) and np.array_equal(rows, np.arange(rows.size)):
        chosen = slice(None)  # nothing is copied
    columns = [table.views64[chosen, position] for position in positions]
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _confirmed(
    table: Table,
    a: NDArray[np.int64],
    other: Table,
    b: NDArray[np.int64],
    seen: NDArray[np.int64],
    taken: NDArray[np.int64],
    pairs: Pairs,
    limits: Limits,
) -> Edges:
    """Return those of the pairs whose 256-bit hashes are near too."""
    i, j = a[pairs.i % a.size], b[pairs.j % b.size]
    seen, taken = seen[pairs.i // a.size], taken[pairs.j // b.size]
    bits256 = distances(table.views256[i, seen], other.views256[j, taken])
    most = np.where(IS_PART[seen], limits.part_bits256, limits.view_bits256)
    return Edges(i, j, seen, taken, pairs.distance, bits256).rows(bits256 <= most)


def joined(parts: list[Edges]) -> Edges:
    """Return the edges of all parts, one after the other."""
    nothing = np.zeros(0, dtype=np.int64)
    names = [field.name for field in fields(Edges)]
    return Edges(*(np.concatenate([nothing, *(getattr(p, n) for p in parts)]) for n in names))


def _place_in_run(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many equal rows lie before each, of rows that are sorted."""
    size = columns[0].size
    starts = np.ones(size, dtype=bool)
    starts[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    positions = np.arange(size)
    return np.asarray(positions - np.maximum.accumulate(np.where(starts, positions, 0)))
