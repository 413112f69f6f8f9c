"""The scan: which of all samples may have an edge with a few new ones; every hash is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.engine import worker_count

from ..compiled import compiled, popcount
from ..hashing.hash_store import CHUNK_ROWS, HashStore
from ..hashing.hash_table import Hashes, ViewTable
from ..hashing.views import HASHED
from .edges import COMPARED, IS_PART, Limits

# Several parts each, for other programs may hold one of the threads up.
PARTS_PER_THREAD = 4


@dataclass(frozen=True)
class _Queries:
    """What the hashes of each view of all samples are compared with."""

    starts: NDArray[np.int64]
    """(len(HASHED) + 1,): where the queries of each view begin."""
    hashes64: Hashes
    hashes256: Hashes
    """(queries, 4)."""
    most_bits256: NDArray[np.int64]


def rows_near(store: HashStore, new: ViewTable, limits: Limits) -> NDArray[np.int64]:
    """Return the rows of `store`, int64 sorted, that have an edge with one of `new`, or are alike.

    The time grows with both: some 60 ms of one processor for one new picture and a million rows.
    """
    near = np.zeros(len(store.chunks) * CHUNK_ROWS, dtype=np.bool_)
    if store.count == 0 or len(new) == 0:
        return np.flatnonzero(near)
    queries = _queries(new, limits)
    arrays = (queries.starts, queries.hashes64, queries.hashes256, queries.most_bits256)
    chunks, views256 = store.chunks, store.views256
    threads = min(worker_count(0), len(chunks))
    edges = np.linspace(0, len(chunks), PARTS_PER_THREAD * threads + 1).astype(int).tolist()

    def scan(first: int, end: int) -> None:
        _scan(chunks, views256, store.count, first, end, *arrays, limits.bits64, near)

    if threads == 1:
        scan(0, len(chunks))
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(scan, edges[:-1], edges[1:]))
    return np.flatnonzero(near)


def _queries(new: ViewTable, limits: Limits) -> _Queries:
    """Return each view's queries: a pair is compared from both ends, for either may be the view."""
    asked: list[set[int]] = [set() for _ in HASHED]
    for all_seen, all_taken in COMPARED:
        for seen in all_seen:
            for taken in all_taken:
                asked[taken].add(seen)
                asked[seen].add(taken)
    views = [sorted(positions) for positions in asked]
    of_view = [np.repeat(positions, len(new)) for positions in views]
    position = np.concatenate(of_view)
    row = np.tile(np.arange(len(new)), position.size // len(new))
    view = np.repeat(np.arange(len(views)), [positions.size for positions in of_view])
    part = IS_PART[position] | IS_PART[view]  # one of the two is no part by name, but its mirror's
    most = np.where(part, limits.part_bits256, limits.view_bits256)
    starts = np.cumsum([0, *(positions.size for positions in of_view)])
    return _Queries(starts, new.views64[row, position], new.views256[row, position], most)


@compiled
def _scan(
    chunks: Any, views256: Any, count: Any, first: Any, end: Any,
    starts: Any, hashes64: Any, hashes256: Any, most_bits256: Any, radius: Any, near: Any,
) -> None:  # fmt: skip
    """Mark in `near` which rows of the chunks `first` to `end` are near some query."""
    for chunk in range(first, end):
        row = chunk * chunks.shape[2]
        size = min(chunks.shape[2], count - row)
        for view in range(starts.size - 1):
            column = chunks[chunk, view, :size]
            for query in range(starts[view], starts[view + 1]):
                if _hits(hashes64[query], column, radius):
                    _mark(
                        hashes64[query], hashes256[query], column, views256[row:, view],
                        radius, most_bits256[query], near[row:],
                    )  # fmt: skip


@compiled
def _hits(x: Any, column: Any, radius: Any) -> Any:
    # No branch in it, so that the compiler compares several at once.
    hits = 0
    for i in range(column.size):
        hits += popcount(x ^ column[i]) <= radius
    return hits


@compiled
def _mark(
    x64: Any, x256: Any, column: Any, column256: Any, radius: Any, most_bits256: Any, near: Any
) -> None:
    for i in range(column.size):
        if popcount(x64 ^ column[i]) <= radius:
            bits = 0
            for word in range(4):
                bits += popcount(x256[word] ^ column256[i, word])
            if bits <= most_bits256:
                near[i] = True
