"""The search finds every pair within the radius, and no other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders.hashing import search
from occlufer.builders.hashing.bands import BITS, Band, plan
from occlufer.builders.hashing.search import distances, neighbour_blocks, neighbours

Hashes = NDArray[np.uint64]
Pair = tuple[int, int, int]

WORD = st.integers(0, 2**64 - 1)
RADIUS = st.sampled_from([0, 1, 2, 63, 64]) | st.integers(0, 64)


def uint64(values: list[int]) -> Hashes:
    return np.array(values, dtype=np.uint64)


def by_hand(a: list[int], radius: int, b: list[int] | None = None) -> list[Pair]:
    """Return all pairs, compared one with one."""
    if b is None:
        positions = itertools.combinations(range(len(a)), 2)
        pairs = ((i, j, bin(a[i] ^ a[j]).count("1")) for i, j in positions)
    else:
        places = itertools.product(range(len(a)), range(len(b)))
        pairs = ((i, j, bin(a[i] ^ b[j]).count("1")) for i, j in places)
    return [pair for pair in pairs if pair[2] <= radius]


def by_table(a: Hashes, radius: int, b: Hashes | None = None) -> list[Pair]:
    """Return what `by_hand` does, for more hashes: the bits of a byte are looked up."""
    bits = np.array([bin(byte).count("1") for byte in range(256)])
    other = a if b is None else b
    found = []
    for i, word in enumerate(a):
        counts = bits[(other ^ word).view(np.uint8).reshape(-1, 8)].sum(axis=1)
        start = i + 1 if b is None else 0
        near = np.flatnonzero(counts[start:] <= radius) + start
        found += [(i, int(j), int(counts[j])) for j in near]
    return found


def found(a: Hashes, radius: int, b: Hashes | None = None, workers: int = 1) -> list[Pair]:
    columns = neighbours(a, radius, b, workers)
    assert [column.dtype for column in columns] == [np.int64] * 3
    return list(zip(*(column.tolist() for column in columns), strict=True))


def clustered(count: int, flips: int, seed: int, centres: int = 20) -> Hashes:
    """Hashes around a few centres, each with up to `flips` bits changed, in no order."""
    rng = np.random.default_rng(seed)
    values = rng.choice(rng.integers(0, 2**64, centres, dtype=np.uint64), count)
    for _ in range(flips):
        values ^= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    return values


def drawn(count: int, seed: int) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


# The pairs ----------------------------------------------------------------------------------------


@given(st.lists(WORD, max_size=12), st.lists(WORD, max_size=12) | st.none(), RADIUS)
def test_random_hashes_are_found_as_by_hand(a: list[int], b: list[int] | None, radius: int) -> None:
    other = None if b is None else uint64(b)
    assert found(uint64(a), radius, other) == by_hand(a, radius, b)


FLIPS = st.lists(st.sets(st.integers(0, 63), max_size=8), max_size=15)


@given(WORD, FLIPS, FLIPS | st.none(), st.integers(0, 18))
def test_clustered_hashes_are_found_as_by_hand(
    centre: int, flips: list[set[int]], others: list[set[int]] | None, radius: int
) -> None:
    a = [centre ^ sum(1 << bit for bit in bits) for bits in flips]
    b = None if others is None else [centre ^ sum(1 << bit for bit in bits) for bits in others]
    other = None if b is None else uint64(b)
    assert found(uint64(a), radius, other) == by_hand(a, radius, b)


@pytest.mark.parametrize("radius", range(BITS + 1))
def test_every_radius_is_exact(radius: int) -> None:
    # Distances of 0 to 64 are all there: a hash, and the same with its lowest bits flipped.
    ramp = [0x0123456789ABCDEF ^ ((1 << bits) - 1) for bits in range(BITS + 1)]
    hashes = np.concatenate([uint64([*ramp, ramp[0]]), drawn(150, radius)])
    expected = by_hand(hashes.tolist(), radius)
    assert {distance for *_, distance in expected} == set(range(radius + 1))
    assert found(hashes, radius) == expected
    assert found(hashes[:80], radius, hashes[40:]) == by_table(hashes[:80], radius, hashes[40:])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("radius", [0, 3, 8, 12])
@pytest.mark.parametrize("kind", ["random", "clustered"])
def test_a_larger_set_is_found_as_by_table(kind: str, radius: int, workers: int) -> None:
    hashes = drawn(3072, radius) if kind == "random" else clustered(3072, 6, radius)
    other = clustered(2000, 6, radius)  # its centres are those of `hashes`
    assert len(plan(3072, 3072, radius, True)) > 1 or radius == 0  # or nothing is joined twice
    assert found(hashes, radius, None, workers) == by_table(hashes, radius)
    assert found(hashes, radius, other, workers) == by_table(hashes, radius, other)


@pytest.mark.parametrize("radius", [0, 12, 64])
@pytest.mark.parametrize("value", [0, 2**64 - 1, 0x8000000000000001], ids=hex)
def test_equal_hashes_are_each_a_pair_once(value: int, radius: int) -> None:
    hashes = np.full(300, value, dtype=np.uint64)
    expected = [(i, j, 0) for i, j in itertools.combinations(range(300), 2)]
    assert found(hashes, radius) == expected
    every = list(itertools.product(range(300), range(2), [0]))
    assert found(hashes, radius, hashes[:2]) == every


@pytest.mark.parametrize("radius", [0, 12, 64])
def test_nothing_has_no_neighbours(radius: int) -> None:
    nothing, some = uint64([]), uint64([1, 2])
    for a, b in ((nothing, None), (nothing, some), (some, nothing), (some[:1], None)):
        assert found(a, radius, b) == []
    assert found(np.array([]), radius) == []  # numpy's own empty array is one of floats


@pytest.mark.parametrize("lay_out", [np.flip, lambda a: a[::2]], ids=["flipped", "every-other"])
def test_the_layout_in_memory_changes_nothing(lay_out: Callable[[Hashes], Hashes]) -> None:
    hashes = lay_out(clustered(400, 5, 1))
    assert not hashes.flags.c_contiguous
    assert found(hashes, 12) == by_table(np.ascontiguousarray(hashes), 12)


@given(st.integers(0, 999), st.integers(0, 20))
def test_permuting_the_hashes_permutes_the_pairs(seed: int, radius: int) -> None:
    hashes = clustered(60, 4, seed, centres=3)
    order = np.random.default_rng(seed).permutation(60)
    moved = {(*sorted((order[i], order[j])), d) for i, j, d in found(hashes[order], radius)}
    assert moved == set(found(hashes, radius))


@st.composite
def valid_bands(draw: st.DrawFn) -> tuple[int, tuple[Band, ...]]:
    """A radius, and bands that are good for it, however bad the choice."""
    chosen = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=7))
    lows = itertools.accumulate((width for width, _ in chosen), initial=0)
    bands = tuple(Band(low, *band) for low, band in zip(lows, chosen, strict=False))
    radius = min(sum(band.radius + 1 for band in bands) - 1, BITS)
    return radius, bands if draw(st.integers(0, 4)) else (Band(0, 0, radius),)


@settings(max_examples=200)
@given(valid_bands(), st.integers(0, 999), st.sampled_from([None, 50, 90]), st.integers(1, 70))
def test_whatever_the_bands_the_pairs_are_the_same(
    chosen: tuple[int, tuple[Band, ...]], seed: int, others: int | None, tile: int
) -> None:
    radius, bands = chosen
    hashes = clustered(80, 12, seed, centres=2)
    other = None if others is None else clustered(others, 12, seed, centres=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "plan", lambda *_: bands)
        patch.setattr(search, "BLOCK_PAIRS", 60)
        patch.setattr(search, "TILE", tile)
        assert found(hashes, radius, other) == by_table(hashes, radius, other)


def test_a_few_hashes_and_many_are_found_from_either_side() -> None:
    few, many = clustered(40, 4, 3), clustered(3000, 4, 3)
    expected = by_table(few, 12, many)
    assert len(expected) > 1000
    assert found(few, 12, many) == expected
    assert found(many, 12, few) == sorted((j, i, distance) for i, j, distance in expected)


# The bands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 12, 13, 24, 64])
@pytest.mark.parametrize("count", [1, 2, 24, 1000, 40_000, 3 << 20, 3 << 29])
def test_the_bands_obey_the_pigeonhole_rule(count: int, radius: int) -> None:
    for bands in (plan(count, count, radius, True), plan(count, 1 << 15, radius, False)):
        assert sum(band.radius + 1 for band in bands) >= radius + 1
        used = [bit for low, width, _ in bands for bit in range(low, low + width)]
        assert len(used) == len(set(used))
        assert set(used) <= set(range(BITS))
        assert all(band.radius >= 0 for band in bands)


def test_few_hashes_are_compared_all_with_all() -> None:
    assert plan(2, 2, 12, True) == (Band(0, 0, 12),)


def test_of_many_hashes_few_are_compared() -> None:
    bands = plan(1 << 20, 1 << 20, 12, True)
    # Of two random hashes, the chance that a band brings them together.
    shares = [
        sum(comb(band.width, flips) for flips in range(band.radius + 1)) / 2**band.width
        for band in bands
    ]
    assert sum(shares) < 0.02


# The blocks ---------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(search, "BLOCK_PAIRS", 50)
    return 50


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("radius", [2, 12, 64])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with-another"])
def test_a_search_that_is_often_resumed_finds_the_same(
    small_blocks: int, radius: int, workers: int, alone: bool
) -> None:
    hashes = clustered(1500, 2, 7, centres=40)
    other = None if alone else clustered(600, 2, 7, centres=40)
    blocks = list(
        neighbour_blocks(hashes[:600] if radius == 64 else hashes, radius, other, workers)
    )
    queries = hashes[:600] if radius == 64 else hashes
    expected = by_table(queries, radius, other)
    assert len(blocks) > 30
    pairs = [
        pair
        for block in blocks
        for pair in zip(block.i.tolist(), block.j.tolist(), block.distance.tolist(), strict=True)
    ]
    assert sorted(pairs) == expected
    assert found(queries, radius, other, workers) == expected


def largest_bucket(hashes: Hashes, bands: tuple[Band, ...]) -> int:
    sizes = []
    for low, width, _ in bands:
        keys = (hashes >> np.uint64(low)) & np.uint64((1 << width) - 1)
        sizes.append(int(np.unique(keys, return_counts=True)[1].max()))
    return max(sizes)


@pytest.mark.parametrize("radius", [4, 12])
def test_a_block_holds_no_more_than_its_bound_or_the_largest_bucket(
    small_blocks: int, radius: int
) -> None:
    hashes = clustered(1500, 2, 8, centres=100)
    # 1500 is 1024 + 256 + ..., so a plan for any count of its size is the plan for 1024.
    most = max(small_blocks, largest_bucket(hashes, plan(1024, 1024, radius, True)))
    sizes = [block.i.size for block in neighbour_blocks(hashes, radius, workers=1)]
    assert len(sizes) > 30
    assert max(sizes) <= most
    assert min(sizes) > 0


def blocks_of_equal_hashes(count: int) -> Generator[Any, None, None]:
    hashes = np.full(count, 77, dtype=np.uint64)
    yield from neighbour_blocks(hashes, 12, workers=2)


def test_thousands_of_equal_hashes_come_in_blocks_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 6000
    monkeypatch.setattr(search, "BLOCK_PAIRS", 10_000)
    seen = np.zeros((count, count), dtype=np.uint8)
    for block in blocks_of_equal_hashes(count):
        assert block.i.size <= 10_000
        assert (block.i < block.j).all()
        assert not block.distance.any()
        np.add.at(seen, (block.i, block.j), 1)
    assert np.array_equal(seen, np.triu(np.ones((count, count), dtype=np.uint8), 1))


def test_blocks_are_searched_for_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK_PAIRS", 10_000)
    started = 0
    run = search.Join.run

    def counted(*arguments: object) -> object:
        nonlocal started
        started += 1
        return run(*arguments)

    monkeypatch.setattr(search.Join, "run", counted)
    blocks = blocks_of_equal_hashes(6000)
    assert started == 0
    for taken in range(1, 6):
        next(blocks)
        # Two threads, one block more under way: of the 1 800 blocks nearly all are still to come.
        assert started <= taken + 3
    blocks.close()


# What is refused ----------------------------------------------------------------------------------

SOME = uint64([1, 2, 3])


@pytest.mark.parametrize(
    ("hashes", "radius", "other", "message"),
    [
        (SOME.astype(np.float64), 3, None, "hashes: found float64, expected uint64"),
        (SOME.astype(np.int64), 3, None, "hashes: found int64, expected uint64"),
        (SOME, 3, SOME.astype(np.uint32), "other: found uint32, expected uint64"),
        (SOME.reshape(3, 1), 3, None, r"hashes: found the shape \(3, 1\), expected \(n,\)"),
        (SOME, 3, SOME[0], r"other: found the shape \(\), expected \(n,\)"),
        (SOME, 65, None, "radius: found 65, expected 0 to 64"),
        (SOME, -1, None, "radius: found -1, expected 0 to 64"),
        (uint64([]), 65, SOME, "radius: found 65, expected 0 to 64"),
    ],
    ids=[
        *("floats", "signed", "other-uint32", "2-d", "other-0-d", "radius-65", "radius-minus-1"),
        "radius-of-nothing",
    ],
)
def test_bad_input_is_refused(
    hashes: Hashes, radius: int, other: Hashes | None, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        neighbours(hashes, radius, other)


# Distances ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(WORD, WORD), max_size=20))
def test_distances_are_counts_of_bits(pairs: list[tuple[int, int]]) -> None:
    a, b = uint64([x for x, _ in pairs]), uint64([y for _, y in pairs])
    counts = distances(a, b)
    assert counts.dtype == np.int64
    assert counts.tolist() == [bin(x ^ y).count("1") for x, y in pairs]


WORDS = st.lists(WORD, min_size=4, max_size=4)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=10))
def test_distances_of_several_words_are_their_sum(pairs: list[tuple[list[int], list[int]]]) -> None:
    a, b = (np.array(side, dtype=np.uint64) for side in zip(*pairs, strict=True))
    counts = distances(a, b)
    assert counts.dtype == np.int64
    assert counts.tolist() == [
        sum(bin(x ^ y).count("1") for x, y in zip(*pair, strict=True)) for pair in pairs
    ]


def test_hundreds_of_differing_bits_are_counted_in_full() -> None:
    nothing = np.zeros((3, 8), dtype=np.uint64)
    assert distances(nothing, ~nothing).tolist() == [512] * 3
