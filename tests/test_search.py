"""The search finds every pair within the radius, and no other."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.search import distances, hashes_from_hex, neighbours


def in_hex(values: list[int], words: int = 4) -> list[str]:
    return [f"{value:0{16 * words}x}" for value in values]


def by_hand(queries: list[int], targets: list[int], radius: int) -> list[tuple[int, int, int]]:
    pairs = (
        (i, j, bin(a ^ b).count("1")) for i, a in enumerate(queries) for j, b in enumerate(targets)
    )
    return [pair for pair in pairs if pair[2] <= radius]


def found(
    queries: list[int], targets: list[int], radius: int, words: int = 4
) -> list[tuple[int, int, int]]:
    arrays = [hashes_from_hex(in_hex(values, words)) for values in (queries, targets)]
    columns = [column.tolist() for column in neighbours(*arrays, radius)]
    return sorted(zip(*columns, strict=True))


HASHES = st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=12)


@settings(deadline=None)
@given(HASHES, HASHES, st.integers(0, 256))
def test_random_hashes_are_found_as_by_hand(
    queries: list[int], targets: list[int], radius: int
) -> None:
    assert found(queries, targets, radius) == by_hand(queries, targets, radius)


@settings(deadline=None)
@given(
    st.integers(0, 2**256 - 1),
    st.lists(st.sets(st.integers(0, 255), max_size=6), min_size=1, max_size=15),
    st.integers(0, 12),
)
def test_clustered_hashes_are_found_as_by_hand(
    centre: int, flips: list[set[int]], radius: int
) -> None:
    values = [centre ^ sum(1 << bit for bit in bits) for bits in flips]
    assert found(values, values, radius) == by_hand(values, values, radius)


@pytest.mark.parametrize("radius", [0, 64, 256])
def test_many_equal_hashes_are_all_found(radius: int) -> None:
    values = [2**256 - 1] * 50  # 2 500 pairs: more than the first table holds
    assert found(values, values, radius) == by_hand(values, values, radius)


@pytest.mark.parametrize("words", [1, 4])
def test_a_larger_set_is_found_as_by_hand(words: int) -> None:
    draw = random.Random(words)
    values = [draw.getrandbits(64 * words) for _ in range(150)]
    radius = 26 * words
    expected = by_hand(values, values, radius)
    assert len(expected) > 160
    assert found(values, values, radius, words) == expected


def test_hex_is_read_with_the_first_digit_first() -> None:
    text = "0123456789abcdef" + "0" * 15 + "1"
    assert hashes_from_hex([text]).tolist() == [[0x0123456789ABCDEF, 1]]


@given(st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)), min_size=1))
def test_distances_are_counts_of_bits(pairs: list[tuple[int, int]]) -> None:
    a, b = (hashes_from_hex(in_hex(list(side), 2)) for side in zip(*pairs, strict=True))
    assert distances(a, b).tolist() == [bin(x ^ y).count("1") for x, y in pairs]


def test_nothing_has_no_neighbours() -> None:
    nothing = hashes_from_hex([])
    assert [column.size for column in neighbours(nothing, nothing, 256)] == [0, 0, 0]
    assert distances(nothing, nothing).size == 0
    assert np.asarray(nothing).shape[0] == 0
