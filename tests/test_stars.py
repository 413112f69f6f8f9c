"""Every dropped picture was itself compared with the one that is kept for it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.duplicates.edges import Edge, Edges
from occlufer.builders.duplicates.stars import AHEAD, star_clusters
from occlufer.builders.hashing.views import HASHED, PARTS, POSITION

COUNT = 8
NAMES = list(HASHED)
UPPER = POSITION["upper part"]
KINDS = [
    *itertools.product(range(28), (POSITION["itself"], POSITION["mirror"])),
    (UPPER, UPPER),
    (UPPER, POSITION["upper part of the mirror"]),
]
MOST = 16.0

Row = tuple[int, int, int, int, int, int]


def edges_of(rows: list[Row]) -> Any:
    return Edges(*np.array(rows, dtype=np.int64).reshape(-1, 6).T)


def measured(edge: Any) -> float:
    """Return a difference for every pair and view, drawn once and for all."""
    return crc32(repr((edge.a, edge.b, edge.seen, edge.taken)).encode()) % 320 / 10


def stars(
    first: Any, edges: Any, difference: Callable[[Any], float], *others: Any, **options: Any
) -> Any:
    """Return the stars by what tells the difference of one pair."""
    return star_clusters(
        first, edges, lambda asked: list(map(difference, asked)), *others, **options
    )


@st.composite
def leaders(draw: st.DrawFn) -> list[int]:
    """Of every position, the first one with the same hashes."""
    kinds = draw(st.lists(st.integers(0, COUNT - 1), min_size=COUNT, max_size=COUNT))
    return [kinds.index(kind) for kind in kinds]


@st.composite
def sets(draw: st.DrawFn) -> tuple[list[int], list[Row], set[int]]:
    """Who is like whom, the edges between first ones, and who is protected."""
    first = draw(leaders())
    chosen = sorted(set(first))
    rows: dict[tuple[int, ...], Row] = {}
    for _ in range(draw(st.integers(0, 16)) if len(chosen) > 1 else 0):
        a, b = draw(st.permutations(chosen))[:2]
        seen, taken = draw(st.sampled_from(KINDS))
        bits = draw(st.tuples(st.integers(0, 3), st.integers(0, 9)))
        rows[a, b, seen, taken] = (a, b, seen, taken, *bits)
    return first, list(rows.values()), draw(st.sets(st.integers(0, COUNT - 1), max_size=3))


def comparisons(first: list[int], rows: list[Row], kept: int, other: int) -> list[Any]:
    """Return the edges by which `other` may be dropped for `kept`, the nearest first."""
    if first[kept] == first[other]:
        return [Edge(kept, other, 0, 0, 0, 0)]
    found = []
    for a, b, seen, taken, bits64, bits256 in rows:
        if NAMES[seen] in PARTS:
            continue
        if (a, b) == (first[kept], first[other]):
            found.append((bits256, bits64, Edge(kept, other, seen, taken, bits64, bits256)))
        elif (b, a) == (first[kept], first[other]):
            found.append((bits256, bits64, Edge(other, kept, seen, taken, bits64, bits256)))
    return [edge for *_, edge in sorted(found, key=lambda item: item[:2])]


def could_be_dropped(first: list[int], rows: list[Row], kept: int, other: int) -> bool:
    return any(measured(edge) <= MOST for edge in comparisons(first, rows, kept, other))


@settings(max_examples=300)
@given(sets())
def test_each_dropped_one_was_compared_with_one_that_is_kept(
    drawn: tuple[list[int], list[Row], set[int]],
) -> None:
    first, rows, protected = drawn
    dropped = stars(first, edges_of(rows), measured, MOST, protected)
    for position, drop in dropped.items():
        assert drop.kept not in dropped
        assert drop.kept < position
        assert position not in protected
        assert drop.edge in comparisons(first, rows, drop.kept, position)
        assert drop.block_difference == measured(drop.edge) <= MOST


@settings(max_examples=300)
@given(sets())
def test_nobody_else_could_be_dropped(drawn: tuple[list[int], list[Row], set[int]]) -> None:
    first, rows, protected = drawn
    dropped = stars(first, edges_of(rows), measured, MOST, protected)
    kept = [position for position in range(COUNT) if position not in dropped]
    for i, a in enumerate(kept):
        for b in kept[i + 1 :]:
            assert b in protected or not could_be_dropped(first, rows, a, b)


@settings(max_examples=300)
@given(sets())
def test_each_dropped_one_goes_to_the_first_that_takes_it_by_its_nearest_edge(
    drawn: tuple[list[int], list[Row], set[int]],
) -> None:
    first, rows, protected = drawn
    kept: list[int] = []
    expected: dict[int, int] = {}
    for position in range(COUNT):
        takers = [a for a in kept if could_be_dropped(first, rows, a, position)]
        if takers and position not in protected:
            expected[position] = takers[0]
        else:
            kept.append(position)
    dropped = stars(first, edges_of(rows), measured, MOST, protected)
    assert {position: drop.kept for position, drop in dropped.items()} == expected
    for position, drop in dropped.items():
        good = [
            (edge.bits256, edge.bits64)
            for edge in comparisons(first, rows, drop.kept, position)
            if measured(edge) <= MOST
        ]
        assert (drop.edge.bits256, drop.edge.bits64) == good[0]


@given(sets(), st.integers(0, 999))
def test_the_order_of_the_edges_changes_nothing(
    drawn: tuple[list[int], list[Row], set[int]], seed: int
) -> None:
    first, rows, protected = drawn
    mixed = random.Random(seed).sample(rows, len(rows))
    found = [stars(first, edges_of(r), measured, MOST, protected) for r in (rows, mixed)]
    assert found[0] == found[1]


@given(sets())
def test_likeness_of_a_part_drops_nobody(drawn: tuple[list[int], list[Row], set[int]]) -> None:
    first, rows, protected = drawn
    parts = [(a, b, UPPER, UPPER, 0, 0) for a, b, *_ in rows]
    no_parts = [row for row in rows if NAMES[row[2]] not in PARTS]
    found = [
        stars(first, edges_of(some), measured, MOST, protected)
        for some in (no_parts, no_parts + parts)
    ]
    assert found[0] == found[1]
    assert stars(range(COUNT), edges_of(parts), lambda edge: 0.0, MOST) == {}


@settings(max_examples=300)
@given(sets(), st.integers(0, 5))
def test_how_far_ahead_is_measured_changes_nothing(
    drawn: tuple[list[int], list[Row], set[int]], ahead: int
) -> None:
    first, rows, protected = drawn
    expected = stars(first, edges_of(rows), measured, MOST, protected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("occlufer.builders.duplicates.stars.AHEAD", ahead)
        found = stars(first, edges_of(rows), measured, MOST, protected)
    assert list(found.items()) == list(expected.items())


# Hand-worked cases --------------------------------------------------------------------------------


def near(a: int, b: int, bits256: int = 5) -> Row:
    return a, b, POSITION["itself"], POSITION["itself"], 1, bits256


def kept_for(first: list[int], rows: list[Row], *arguments: Any, **options: Any) -> dict[int, int]:
    dropped = stars(first, edges_of(rows), *arguments, **options)
    return {position: drop.kept for position, drop in dropped.items()}


def nothing(edge: Any) -> float:
    return 0.0


def test_likeness_does_not_travel_along_a_chain() -> None:
    chain = [near(0, 1), near(1, 2), near(2, 3), near(3, 4)]
    assert kept_for([0, 1, 2, 3, 4], chain, nothing, MOST) == {1: 0, 3: 2}


def test_twins_are_dropped_for_their_leader() -> None:
    assert kept_for([0, 0, 2, 0, 2], [], nothing, MOST) == {1: 0, 3: 0, 4: 2}


def test_twins_of_a_dropped_leader_are_dropped_for_whom_it_was_dropped_for() -> None:
    found = stars([0, 1, 1, 1], edges_of([near(0, 1)]), nothing, MOST)
    assert {i: (drop.kept, drop.edge) for i, drop in found.items()} == {
        i: (0, Edge(0, i, 0, 0, 1, 5)) for i in (1, 2, 3)
    }


def test_a_twin_that_differs_from_the_kept_one_is_kept_and_takes_its_own_twins() -> None:
    # 1, 2 and 3 have the same hashes; 1 is a copy of 0, but 2 is not, and 3 is one of 2 only.
    def difference(edge: Any) -> float:
        return 0.0 if {edge.a, edge.b} in ({0, 1}, {2, 3}) else 99.0

    assert kept_for([0, 1, 1, 1], [near(0, 1)], difference, MOST) == {1: 0, 3: 2}


def test_the_ends_of_an_edge_keep_their_places() -> None:
    # The later one may be the first end of the edge; the ends keep their places.
    found = stars([0, 1, 0, 1], edges_of([near(1, 0)]), nothing, MOST)
    assert {i: (drop.kept, drop.edge.a, drop.edge.b) for i, drop in found.items()} == {
        1: (0, 1, 0),
        2: (0, 0, 2),
        3: (0, 3, 0),
    }


def test_a_protected_one_is_kept_and_others_are_dropped_for_it() -> None:
    rows = [near(0, 1), near(1, 2)]
    assert kept_for([0, 1, 2], rows, nothing, MOST) == {1: 0}
    assert kept_for([0, 1, 2], rows, nothing, MOST, {1}) == {2: 1}
    assert kept_for([0, 0, 0], [], nothing, MOST, {1}) == {2: 0}


@pytest.mark.parametrize(("difference", "count"), [(15.9, 1), (16.0, 1), (16.1, 0)])
def test_pixels_may_differ_by_so_much_and_no_more(difference: float, count: int) -> None:
    found = stars([0, 1], edges_of([near(0, 1)]), lambda edge: difference, MOST)
    assert [drop.block_difference for drop in found.values()] == [difference] * count


def test_a_farther_edge_drops_where_the_nearest_does_not() -> None:
    rows = [near(0, 1, 3), (0, 1, POSITION["turned left"], POSITION["mirror"], 1, 9)]
    found = stars([0, 1], edges_of(rows), lambda edge: 99.0 if edge.bits256 == 3 else 1.0, MOST)
    assert found[1].edge == Edge(*rows[1])


def test_each_copy_is_verified_once_not_once_a_pair() -> None:
    seen: list[Any] = []

    def difference(edge: Any) -> float:
        seen.append(edge)
        return 0.0

    count = 200
    everyone = [near(a, b) for a in range(count) for b in range(a + 1, count)]
    assert len(stars(range(count), edges_of(everyone), difference, MOST)) == count - 1
    # Of a crowd of copies a batch is measured ahead, which that of the first makes needless.
    assert len(seen) <= count - 1 + AHEAD < count * (count - 1) / 2
    seen.clear()
    assert len(stars([0] * 5000, edges_of([]), difference, MOST)) == 4999
    assert seen[:4999] == [Edge(0, i, 0, 0, 0, 0) for i in range(1, 5000)]
    assert len(seen) <= 4999 + AHEAD


def test_nothing_is_dropped_of_nothing() -> None:
    assert stars([], edges_of([]), nothing, MOST) == {}


@pytest.mark.parametrize(
    ("bits256", "difference", "dropped"),
    [(56, 16.0, True), (56, 16.1, False), (57, 9.6, True), (57, 9.7, False), (64, 16.0, False)],
)
def test_beyond_56_bits_the_pixels_have_to_agree_better(
    bits256: int, difference: float, dropped: bool
) -> None:
    edges = edges_of([(0, 1, 0, 0, 4, bits256)])
    found = stars([0, 1], edges, lambda edge: difference, MOST)
    assert (1 in found) == dropped
