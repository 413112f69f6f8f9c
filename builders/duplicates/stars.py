"""Stars: each duplicate is dropped for a picture that it was itself compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..hashing.views import ITSELF, POSITION
from .edges import Edge, Edges

# Two photographs of one person seconds apart are near, too, and may show two expressions: where the
# hashes differ in more than so many bits of 256, the pixels have to agree better.
FAR_BITS256 = 56
FAR_SHARE = 0.6


# Pairs are measured so many at once, by all processors: those that will be asked for unless they
# turn out to be of a picture that is dropped.
AHEAD = 1024

# What is told of how near a duplicate is to the one that is kept for it.
NEARNESS = ("view", "seen", "phash64_bits", "phash256_bits", "block_difference")


@dataclass(frozen=True)
class Drop:
    """Why a picture is dropped: for which one, and how near they are."""

    kept: int
    edge: Edge
    block_difference: float
    """Grey levels, see `blocks.block_difference`."""

    @property
    def seen(self) -> str:
        """Which of the two has to be seen in the edge's view: "kept" or "dropped"."""
        return "kept" if self.edge.a == self.kept else "dropped"

    def nearness(self) -> dict[str, Any]:
        """Return how near the two are, as JSON has it."""
        edge, blocks = self.edge, round(self.block_difference, 2)
        told = (edge.view, self.seen, edge.bits64, edge.bits256, blocks)
        return dict(zip(NEARNESS, told, strict=True))


Differences = Callable[[Sequence[Edge]], list[float]]
"""How far the pictures at the ends of edges differ, see clusters.differences_by."""


def are_copies(edge: Edge, difference: float, most: float) -> bool:
    """Return whether two pictures that are near by `edge` are one, by their pixels.

    These may differ by `most` grey levels in a block, beyond FAR_BITS256 by FAR_SHARE of it.
    """
    return difference <= (most * FAR_SHARE if edge.bits256 > FAR_BITS256 else most)


def star_clusters(
    first: Sequence[int],
    edges: Edges,
    differences: Differences,
    most: float,
    protected: Collection[int] = (),
    dropped_before: Collection[int] = (),
) -> dict[int, Drop]:
    """Return {dropped position: why} for pictures in the order of precedence.

    Whoever comes first is kept; a picture is dropped only for one that is kept and that it was
    itself compared with, so likeness never travels along a chain. How far the pixels may differ by
    `most`, see `are_copies`. Only what could still be dropped is verified: about once a picture,
    not once a pair. `protected` positions are never dropped; of those `dropped_before` it is known
    that they are, for what does not matter here.

    `first` says of every position which one is the first with the very same hashes; `edges` are
    between such first ones and stand for all that are like them.
    """
    alike: dict[int, list[int]] = {}
    for position, leader in enumerate(first):
        alike.setdefault(leader, []).append(position)
    near = _nearest_first(first, edges)
    stars = _Stars(first, alike, near, {*protected, *dropped_before}, dropped_before)
    known: dict[Edge, float] = {}
    for turn, other, pair in stars.pairs(_Turn(0, 0)):
        if pair not in known:
            ahead = islice((next_pair for _, _, next_pair in stars.pairs(turn)), AHEAD)
            asked = [*dict.fromkeys((pair, *ahead))]
            known = dict(zip(asked, differences(asked), strict=True))
        if are_copies(pair, known[pair], most):
            stars.dropped[other] = Drop(turn.kept, pair, known[pair])
    return stars.dropped


class _Turn(NamedTuple):
    """Who is kept, and which of the edges from there is looked at."""

    kept: int
    edge: int


@dataclass(frozen=True)
class _Stars:
    """What `star_clusters` works on, and what it has found so far."""

    first: Sequence[int]
    alike: Mapping[int, Sequence[int]]
    """{first position with some hashes: all of them}"""
    near: Mapping[int, Sequence[Edge]]
    settled: Collection[int]
    gone: Collection[int]
    dropped: dict[int, Drop] = field(default_factory=dict)

    def pairs(self, turn: _Turn) -> Iterator[tuple[_Turn, int, Edge]]:
        """Yield what may have to be measured from a turn on, as things are when it is asked for.

        A turn, whoever may be dropped in it, and the edge between the two.
        """
        for kept in range(turn.kept, len(self.first)):
            if kept in self.dropped or kept in self.gone:
                continue
            leader = self.first[kept]
            same = Edge(leader, leader, POSITION[ITSELF], POSITION[ITSELF], 0, 0)
            edges = (same, *self.near.get(leader, ()))
            for number in range(turn.edge if kept == turn.kept else 0, len(edges)):
                for other, pair in self._between(kept, edges[number]):
                    yield _Turn(kept, number), other, pair

    def _between(self, kept: int, edge: Edge) -> Iterator[tuple[int, Edge]]:
        """Yield whoever may be dropped for one that is kept, by an edge of its leader's."""
        kept_is_a = edge.a == self.first[kept]
        for other in self.alike[edge.b if kept_is_a else edge.a]:
            if other > kept and other not in self.dropped and other not in self.settled:
                a, b = (kept, other) if kept_is_a else (other, kept)
                yield other, edge._replace(a=a, b=b)


def _nearest_first(first: Sequence[int], edges: Edges) -> dict[int, list[Edge]]:
    """Return {leader: its edges in some view, the nearest first}, of those that could drop anybody.

    For whoever comes later nobody is dropped who comes before, only that one's copies may be.
    """
    views = edges.rows(~edges.of_parts)
    low, high = np.minimum(views.a, views.b), np.maximum(views.a, views.b)
    has_copies = np.bincount(np.array(first, dtype=np.int64)) > 1
    back = np.flatnonzero(has_copies[low])
    leaders = np.concatenate([low, high[back]])
    found = views.rows(np.concatenate([np.arange(len(views)), back]))
    nearness = found.taken, found.seen, found.b, found.a, found.bits64, found.bits256
    order = np.lexsort(nearness)  # the last one counts first
    near: dict[int, list[Edge]] = {}
    for leader, edge in zip(leaders[order].tolist(), found.rows(order), strict=True):
        near.setdefault(leader, []).append(edge)
    return near
