"""Exact search among 64-bit hashes: every pair within a number of bits, by multi-index hashing.

Hashes are sorted by each band (see bands.py), and only those whose bands are near are compared,
bucket against bucket, which reads memory in order.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from occlufer.engine import Remote, Task, worker_count

from ..compiled import compiled, popcount
from .bands import BITS, Band, flips_of, plan
from .hash_table import Hashes

Indices = NDArray[np.int64]

# Pairs are handed out in blocks: memory is bounded by what is done with them.
BLOCK_PAIRS = 1 << 20
# Two megabytes of hashes: they stay in a processor's cache, and threads share the pieces.
TILE = 1 << 18
# To compare so many takes no longer than to start a thread.
FEW_PAIRS = 1 << 18
# To compare fewer takes no longer than to send them to another process.
MANY_PAIRS = 1 << 28


@dataclass(frozen=True)
class Pairs:
    """Hashes i and j are `distance` bits apart: int64 arrays of one length."""

    i: Indices
    j: Indices
    distance: Indices


def neighbours(
    hashes: Hashes, radius: int, other: Hashes | None = None, workers: int = 0
) -> tuple[Indices, Indices, Indices]:
    """Return (i, j, distance) of every pair at most `radius` bits apart, sorted by i, then j.

    `hashes` is uint64 (n,). Alone, each unordered pair of it comes once, with i < j; with `other`,
    i counts in `hashes` and j in `other`. Exact: the same pairs as comparing all with all. The
    three are int64 arrays. `workers` is the number of threads, 0 means one per processor.
    All pairs are held, of n equal hashes n(n - 1)/2: `neighbour_blocks` yields them in pieces.
    """
    blocks = list(neighbour_blocks(hashes, radius, other, workers))
    i, j, distance = (
        np.concatenate([getattr(block, name) for block in blocks] or [np.zeros(0, np.int64)])
        for name in ("i", "j", "distance")
    )
    order = np.lexsort((j, i))
    return i[order], j[order], distance[order]


def neighbour_blocks(
    hashes: Hashes,
    radius: int,
    other: Hashes | None = None,
    workers: int = 0,
    remote: Remote | None = None,
) -> Iterator[Pairs]:
    """Yield the pairs of `neighbours` in blocks, in no order: for more of them than memory holds.

    About BLOCK_PAIRS pairs a thread are held at a time. Many hashes are joined by the processes of
    `remote`, if there are some, in place of threads.
    """
    a = _checked(hashes, "hashes")
    b = a if other is None else _checked(other, "other")
    if not 0 <= radius <= BITS:
        raise ValueError(f"radius: found {radius}, expected 0 to {BITS}")
    if not (a.size and b.size):
        return
    if a.size > b.size:  # the inner loop is the fast one: let it be the long one
        for pairs in neighbour_blocks(b, radius, a, workers, remote):
            yield Pairs(pairs.j, pairs.i, pairs.distance)
        return
    bands = plan(a.size, b.size, radius, other is None)
    threads = worker_count(workers) if a.size * b.size > FEW_PAIRS else 1
    with ThreadPoolExecutor(threads) as pool:  # starts no thread before there is work for it
        hands = Hands(threads, lambda join, cursor: pool.submit(join.run, cursor))
        if remote is not None and a.size * b.size > MANY_PAIRS:
            from .remote_search import submitter

            far = Hands(remote.at_once, submitter(remote, a, b))
        else:
            far = hands
        for number, band in enumerate(bands):
            if band.width == 0 and other is not None:
                yield from _run(_tiles(a, b, radius), hands)
            else:
                join = JoinPlan(other is None, radius, bands[:number], band).join(a, b)
                yield from _run([join], far)


@dataclass(frozen=True)
class Hands:
    """Those who join."""

    count: int
    submit: Callable[[Join, Cursor], Task]
    """Gives one of them a join and where to go on with it: its result is that of `Join.run`."""


def _run(joins: list[Join], hands: Hands) -> Iterator[Pairs]:
    """Yield what the joins find, a block at a time; as many as there are hands are under way."""
    if hands.count == 1:
        yield from _run_here(joins)
        return
    parts = 8 * hands.count // len(joins) + 1
    waiting = deque((join, cursor) for join in joins for cursor in join.cursors(parts))
    under_way: deque[tuple[Join, Task]] = deque()
    while waiting or under_way:
        while waiting and len(under_way) < hands.count + 1:
            join, cursor = waiting.popleft()
            under_way.append((join, hands.submit(join, cursor)))
        join, future = under_way.popleft()
        pairs, rest = future.result()
        if rest is not None:
            waiting.appendleft((join, rest))
        if pairs.i.size:
            yield pairs


def _run_here(joins: list[Join]) -> Iterator[Pairs]:
    """Yield what the joins find, a block at a time, without a thread."""
    for join in joins:
        for cursor in join.cursors(1):
            rest: Cursor | None = cursor
            while rest is not None:
                pairs, rest = join.run(rest)
                if pairs.i.size:
                    yield pairs


def distances(a: Hashes, b: Hashes) -> Indices:
    """Return how many bits differ between a[i] and b[i], uint64 (n,) or (n, words): int64 (n,)."""
    counts = np.bitwise_count(a ^ b)
    return np.asarray(counts.sum(axis=-1) if counts.ndim > 1 else counts, dtype=np.int64)


# The join ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """Hashes sorted by one band."""

    starts: NDArray[np.int32]
    """(2^width + 1,): where each bucket starts."""
    hashes: Hashes
    ids: NDArray[np.int32]


class Cursor(NamedTuple):
    """Where a join goes on: at `row` of `bucket`, of the buckets `first` to `end`, under `flip`."""

    first: int
    end: int
    flip: int
    bucket: int
    row: int


@dataclass(frozen=True)
class JoinPlan:
    """How hashes are joined in one band."""

    self_join: bool
    radius: int
    earlier: tuple[Band, ...]
    """The bands that were joined before: what they found is not found again."""
    band: Band

    def join(self, a: Hashes, b: Hashes) -> Join:
        """Return the join of these hashes, sorted by the band."""
        table = _sort(a, self.band)
        return Join(table, table if self.self_join else _sort(b, self.band), self)


@dataclass(frozen=True)
class Join:
    """The join of two tables in one band."""

    a: _Table
    b: _Table
    plan: JoinPlan

    def cursors(self, count: int) -> list[Cursor]:
        """Return where to begin: `count` parts of about as many hashes, fewer for few hashes."""
        starts = self.a.starts
        size = int(starts[-1])
        wanted = np.linspace(0, size, min(count, size // 1000 + 1) + 1)[1:-1]
        edges = sorted({0, *np.searchsorted(starts, wanted).tolist(), starts.size - 1})
        return [Cursor(first, end, 0, first, 0) for first, end in itertools.pairwise(edges)]

    def run(self, cursor: Cursor) -> tuple[Pairs, Cursor | None]:
        """Return some pairs, about BLOCK_PAIRS at most, and where to go on, None if at the end."""
        self_join, radius, earlier, band = vars(self.plan).values()
        masks = [((1 << band.width) - 1) << band.low for band in earlier]
        earlier_masks = np.array(masks, dtype=np.uint64)
        earlier_radii = np.array([band.radius for band in earlier], dtype=np.int64)
        flips = flips_of(band)
        room = max(BLOCK_PAIRS, int(np.diff(self.b.starts).max()))
        out = np.empty((room, 3), dtype=np.int32)  # what is not written takes no memory
        count, flip, bucket, row = _join(
            self.a.starts, self.a.hashes, self.a.ids,
            self.b.starts, self.b.hashes, self.b.ids,
            self_join, radius, earlier_masks, earlier_radii, flips,
            *cursor, out,
        )  # fmt: skip
        i, j, distance = out[:count].T.astype(np.int64)
        if self_join:
            i, j = np.minimum(i, j), np.maximum(i, j)
        goes_on = flip < flips.size
        next_cursor = Cursor(cursor.first, cursor.end, flip, bucket, row) if goes_on else None
        return Pairs(i, j, distance), next_cursor


def _checked(hashes: Hashes, name: str) -> Hashes:
    array = np.asarray(hashes)
    if array.size and array.dtype != np.uint64:
        raise ValueError(f"{name}: found {array.dtype}, expected uint64")
    if array.ndim != 1:
        raise ValueError(f"{name}: found the shape {array.shape}, expected (n,)")
    if array.size >= 2**31:
        raise ValueError(f"{name}: found {array.size} hashes, expected fewer than 2^31")
    return np.ascontiguousarray(array, dtype=np.uint64)


def _sort(hashes: Hashes, band: Band, first_id: int = 0) -> _Table:
    if band.width == 0:  # one bucket holds them all
        starts = np.array([0, hashes.size], dtype=np.int32)
        ids = np.arange(first_id, first_id + hashes.size, dtype=np.int32)
        return _Table(starts, hashes, ids)
    starts = np.zeros((1 << band.width) + 1, dtype=np.int32)
    ordered, ids = np.empty_like(hashes), np.empty(hashes.size, dtype=np.int32)
    _counting_sort(hashes, band.low, band.width, starts, ordered, ids)
    return _Table(starts, ordered, ids)


def _tiles(a: Hashes, b: Hashes, radius: int) -> list[Join]:
    """Return joins of all of a with all of b, at a time as much of b as a cache holds."""
    none = Band(0, 0, radius)
    plan = JoinPlan(False, radius, (), none)
    table = _sort(a, none)
    return [
        Join(table, _sort(b[start : start + TILE], none, start), plan)
        for start in range(0, b.size, TILE)
    ]


@compiled
def _counting_sort(hashes: Any, low: Any, width: Any, starts: Any, ordered: Any, ids: Any) -> None:
    shift = np.uint64(low)
    mask = np.uint64((1 << width) - 1)
    for i in range(hashes.size):
        starts[((hashes[i] >> shift) & mask) + np.uint64(1)] += 1
    for bucket in range(starts.size - 1):
        starts[bucket + 1] += starts[bucket]
    place = starts[:-1].copy()
    for i in range(hashes.size):
        bucket = (hashes[i] >> shift) & mask
        ordered[place[bucket]] = hashes[i]
        ids[place[bucket]] = i
        place[bucket] += 1


@compiled
def _join(
    a_starts: Any, a_hashes: Any, a_ids: Any, b_starts: Any, b_hashes: Any, b_ids: Any,
    self_join: Any, radius: Any, earlier_masks: Any, earlier_radii: Any, flips: Any,
    first: Any, end: Any, flip: Any, bucket: Any, row: Any, out: Any,
) -> Any:  # fmt: skip
    """Fill `out` and return (pairs in it, and where to go on: flip, bucket, row).

    One flip at a time, so that both buckets move through memory in order.
    """
    count = 0
    while flip < flips.size:
        mask = flips[flip]
        while bucket < end:
            a0, a1 = a_starts[bucket], a_starts[bucket + 1]
            partner = bucket ^ mask
            if a0 == a1 or (self_join and partner < bucket):
                bucket += 1
                continue
            b0, b1 = np.uint64(b_starts[partner]), np.uint64(b_starts[partner + 1])
            within = self_join and mask == 0
            for i in range(np.uint64(a0 + row), np.uint64(a1)):
                start = i + np.uint64(1) if within else b0
                if _hits(a_hashes[i], b_hashes, start, b1, radius):
                    if count + (b1 - start) > out.shape[0]:
                        return count, flip, bucket, np.int64(i) - a0
                    count = _collect(
                        a_hashes[i], a_ids[i], b_hashes, b_ids, start, b1, radius,
                        earlier_masks, earlier_radii, out, count,
                    )  # fmt: skip
            row = 0
            bucket += 1
        bucket = first
        flip += 1
    return count, flip, bucket, row


@compiled
def _hits(x: Any, hashes: Any, start: Any, end: Any, radius: Any) -> Any:
    # No branch in it, so that the compiler compares several at once.
    hits = 0
    for j in range(start, end):
        hits += popcount(x ^ hashes[j]) <= radius
    return hits


@compiled
def _collect(
    x: Any, i: Any, hashes: Any, ids: Any, start: Any, end: Any, radius: Any,
    earlier_masks: Any, earlier_radii: Any, out: Any, count: Any,
) -> Any:  # fmt: skip
    """Write the pairs of `x` that no earlier band has found, and return how many are in `out`."""
    for j in range(start, end):
        differing = x ^ hashes[j]
        distance = popcount(differing)
        if distance > radius:
            continue
        new = True
        for band in range(earlier_masks.size):
            if popcount(differing & earlier_masks[band]) <= earlier_radii[band]:
                new = False
                break
        if new:
            out[count, 0] = i
            out[count, 1] = ids[j]
            out[count, 2] = distance
            count += 1
    return count
