"""Edges are all pairs that are near in some view or part, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.duplicates import edges as module
from occlufer.builders.duplicates.edges import (
    COMPARED,
    EDGES_PER_PAIR,
    Edge,
    Edges,
    Limits,
    edges_between,
    first_alike,
    joined,
    near_edges,
)
from occlufer.builders.hashing.hash_table import table_of
from occlufer.builders.hashing.views import HASHED, PARTS, POSITION, VIEWS

LIMITS = Limits(12, 64, 56)
NAMES = list(HASHED)
# (seen, taken) of all that is compared.
KINDS = [
    (seen, taken) for all_seen, all_taken in COMPARED for seen in all_seen for taken in all_taken
]
Found = tuple[int, int, int, int, int, int]


def flipped(words: Any, count: int, rng: np.random.Generator) -> Any:
    """Return words in which `count` bits are other ones."""
    bits = np.unpackbits(np.atleast_1d(words).view(np.uint8))
    bits[rng.choice(bits.size, count, replace=False)] ^= 1
    return np.packbits(bits).view(np.uint64).reshape(np.shape(words))


def planted(count: int, plants: int, seed: int) -> Any:
    """Return a table of random hashes, of which some are copied, with a few bits changed."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "phash64": rng.integers(0, 2**64, (), dtype=np.uint64),
            "phash256": rng.integers(0, 2**64, 4, dtype=np.uint64),
            "dhash64": rng.integers(0, 2**64, (), dtype=np.uint64),
            "views64": rng.integers(0, 2**64, 37, dtype=np.uint64),
            "views256": rng.integers(0, 2**64, (37, 4), dtype=np.uint64),
        }
        for _ in range(count)
    ]
    for _ in range(plants if count else 0):
        a, b = rng.integers(0, count, 2)
        seen, taken = KINDS[rng.integers(len(KINDS))]
        # Around the limits, on both sides of them.
        bits64, bits256 = int(rng.integers(0, 15)), int(rng.integers(50, 67))
        rows[b]["views64"][taken] = flipped(rows[a]["views64"][seen], bits64, rng)
        rows[b]["views256"][taken] = flipped(rows[a]["views256"][seen], bits256, rng)
    return table_of(rows)


def differing(a: Any, b: Any) -> int:
    words = zip(np.atleast_1d(a).tolist(), np.atleast_1d(b).tolist(), strict=True)
    return sum(bin(x ^ y).count("1") for x, y in words)


def by_hand(table: Any, other: Any, limits: Limits) -> list[Found]:
    """Return all edges of a row of `table`, as seen, and a row of `other`, as taken."""
    found = []
    for seen, taken in KINDS:
        most = limits.part_bits256 if NAMES[seen] in PARTS else limits.view_bits256
        for a in range(len(table)):
            for b in range(len(other)):
                bits64 = differing(table.views64[a, seen], other.views64[b, taken])
                if bits64 > limits.bits64:
                    continue
                bits256 = differing(table.views256[a, seen], other.views256[b, taken])
                if bits256 <= most:
                    found.append((a, b, seen, taken, bits64, bits256))
    return found


def of_a_set(table: Any, limits: Limits, rank: list[int]) -> list[Found]:
    """Return the edges within a table: of what is compared alike from both ends, one."""
    return [
        edge
        for edge in by_hand(table, table, limits)
        if edge[0] != edge[1] and (edge[2] != edge[3] or rank[edge[0]] < rank[edge[1]])
    ]


def nearest_first(edge: Found) -> tuple[bool, int, int, int, int]:
    """Return what edges of one pair are sorted by: views come before parts."""
    *_, seen, taken, bits64, bits256 = edge
    return NAMES[seen] in PARTS, bits256, bits64, seen, taken


def rows(edges: Any) -> list[Found]:
    columns = (edges.a, edges.b, edges.seen, edges.taken, edges.bits64, edges.bits256)
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    return list(zip(*(column.tolist() for column in columns), strict=True))


def search(table: Any, new: Any = None, among: Any = None, rank: Any = None) -> list[Found]:
    among = np.arange(len(table)) if among is None else np.array(among, dtype=np.int64)
    new = np.ones(among.size, dtype=bool) if new is None else np.array(new, dtype=bool)
    rank = np.arange(len(table)) if rank is None else np.array(rank, dtype=np.int64)
    return rows(near_edges(table, LIMITS, among, new, rank))


COUNT = 7
SEED = st.integers(0, 9999)


# What is compared ---------------------------------------------------------------------------------


def test_views_are_compared_with_the_picture_and_its_mirror_and_parts_with_their_like() -> None:
    expected = set()
    for view in VIEWS:
        expected |= {(view, "itself"), (view, "mirror")}
    for part in ("upper part", "lower part", "left part", "right part"):
        expected |= {(part, part), (part, f"{part} of the mirror")}
    assert len(KINDS) == len(expected) == 64
    assert {(NAMES[seen], NAMES[taken]) for seen, taken in KINDS} == expected


@pytest.mark.parametrize(
    ("seen", "taken", "view", "of_a_part"),
    [
        ("itself", "itself", "itself", False),
        ("itself", "mirror", "mirror", False),
        ("centre without 4%", "itself", "centre without 4%", False),
        ("turned left", "mirror", "turned left, mirrored", False),
        ("upper part", "upper part", "upper part", True),
        ("left part", "left part of the mirror", "left part, mirrored", True),
    ],
    ids=["itself", "mirror", "cut", "turned-mirror", "part", "part-of-the-mirror"],
)
def test_an_edge_says_what_is_near(seen: str, taken: str, view: str, of_a_part: bool) -> None:
    edge = Edge(0, 1, POSITION[seen], POSITION[taken], 3, 9)
    assert edge.view == view
    assert edge.of_a_part is of_a_part


# The edges of a set -------------------------------------------------------------------------------


@settings(max_examples=25)
@given(SEED, st.integers(0, COUNT), st.integers(0, 40), st.permutations(range(COUNT)))
def test_all_near_pairs_have_their_edges(
    seed: int, count: int, plants: int, rank: list[int]
) -> None:
    table = planted(count, plants, seed)
    everything = of_a_set(table, LIMITS, rank)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EDGES_PER_PAIR", 1000)
        found = search(table, rank=rank[:count])
    assert len(found) == len(set(found))
    assert set(found) <= set(everything)
    views = [edge for edge in found if NAMES[edge[2]] in VIEWS]
    assert set(views) == {edge for edge in everything if NAMES[edge[2]] in VIEWS}
    parts = by_pair([edge for edge in found if NAMES[edge[2]] in PARTS])
    expected = by_pair([edge for edge in everything if NAMES[edge[2]] in PARTS])
    assert parts.keys() == expected.keys()
    for pair, edges in parts.items():
        assert len(edges) == 1
        assert nearest_first(edges[0]) == min(map(nearest_first, expected[pair]))


def test_the_planted_tables_have_edges_of_every_kind() -> None:
    edges = [edge for seed in range(45) for edge in search(planted(COUNT, 50, seed))]
    assert {(seen, taken) for _, _, seen, taken, _, _ in edges} == set(KINDS)
    assert {bits64 for *_, bits64, _ in edges} == set(range(13))
    assert max(bits256 for *_, bits256 in edges) == 64
    assert max(bits256 for _, _, seen, *_, bits256 in edges if NAMES[seen] in PARTS) == 56


def alike_in_everything(seed: int) -> Any:
    """Return a table of three pictures that are near in nearly every view and part."""
    rng = np.random.default_rng(seed)
    one = planted(1, 0, seed)
    near = [
        {
            **{name: getattr(one, name)[0] for name in ("phash64", "phash256", "dhash64")},
            "views64": np.stack([flipped(one.views64[0, 0], 3, rng) for _ in NAMES]),
            "views256": np.stack(
                [flipped(one.views256[0, 0], int(rng.integers(0, 36)), rng) for _ in NAMES]
            ),
        }
        for _ in range(3)
    ]
    return table_of(near)


@pytest.mark.parametrize("seed", range(8))
def test_of_each_pair_the_nearest_views_are_kept_and_the_nearest_part(seed: int) -> None:
    table = alike_in_everything(seed)
    found, expected = by_pair(search(table)), by_pair(of_a_set(table, LIMITS, [0, 1, 2]))
    assert list(found) == sorted(expected) == [(0, 1), (0, 2), (1, 2)]
    for pair, edges in expected.items():
        parts = sorted(nearest_first(edge) for edge in edges if NAMES[edge[2]] in PARTS)
        views = sorted(nearest_first(edge) for edge in edges if NAMES[edge[2]] in VIEWS)
        assert len(parts) > 1
        assert len(views) > EDGES_PER_PAIR
        kept = [nearest_first(edge) for edge in found[pair]]
        assert kept == views[:EDGES_PER_PAIR] + parts[:1]


def by_pair(edges: list[Found]) -> dict[tuple[int, int], list[Found]]:
    pairs: dict[tuple[int, int], list[Found]] = {}
    for edge in edges:
        pairs.setdefault((min(edge[:2]), max(edge[:2])), []).append(edge)
    return pairs


@settings(max_examples=25)
@given(SEED, st.integers(0, 40), st.lists(st.booleans(), min_size=COUNT, max_size=COUNT))
def test_edges_of_the_old_and_of_the_new_are_the_edges_of_all(
    seed: int, plants: int, new: list[bool]
) -> None:
    table = planted(COUNT, plants, seed)
    old = [i for i in range(COUNT) if not new[i]]
    before, added = search(table, among=old), search(table, new=new)
    assert all(new[a] or new[b] for a, b, *_ in added)
    assert sorted(before + added) == sorted(search(table))
    assert not set(before) & set(added)


@settings(max_examples=25)
@given(SEED, st.lists(st.integers(0, COUNT - 1), unique=True))
def test_only_those_asked_for_have_edges(seed: int, among: list[int]) -> None:
    table = planted(COUNT, 40, seed)
    found = search(table, among=among)
    assert found == [edge for edge in search(table) if {*edge[:2]} <= set(among)]


@settings(max_examples=25)
@given(SEED, st.permutations(range(COUNT)))
def test_the_order_of_the_rows_changes_no_edge(seed: int, order: list[int]) -> None:
    table = planted(COUNT, 60, seed)
    # Twins, of which every edge is doubled: which are kept is up to the rank.
    table = table.rows([*range(COUNT - 1), 0])
    moved = search(table.rows(order), rank=order)
    named = [(order[a], order[b], *rest) for a, b, *rest in moved]
    assert sorted(named) == sorted(search(table))


@pytest.mark.parametrize("at_once", [1, 20, 100])
def test_how_many_are_searched_at_once_changes_nothing(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, new = alike_in_everything(3), [True, False, True]
    expected = search(table), search(table, new), rows(edges_between(table, table, LIMITS))
    monkeypatch.setattr(module, "HASHES_AT_ONCE", at_once)
    assert len(expected[0]) > 10
    assert search(table) == expected[0]
    assert search(table, new) == expected[1]
    assert rows(edges_between(table, table, LIMITS)) == expected[2]


# Edges between two sets ---------------------------------------------------------------------------


@settings(max_examples=30)
@given(SEED, st.integers(0, 60), st.integers(0, COUNT))
def test_between_two_sets_each_pair_has_its_nearest_edge(seed: int, plants: int, size: int) -> None:
    everything = planted(COUNT, plants, seed)
    table, other = everything.rows(slice(0, size)), everything.rows(slice(size, None))
    edges = by_hand(table, other, LIMITS)
    edges += [(b, a, *rest) for a, b, *rest in by_hand(other, table, LIMITS)]  # type: ignore[misc]
    expected = {
        pair: min(nearest_first(edge) for edge in edges if edge[:2] == pair)
        for pair in {edge[:2] for edge in edges}
    }
    found = rows(edges_between(table, other, LIMITS))
    assert [edge[:2] for edge in found] == sorted(expected)
    assert {edge[:2]: nearest_first(edge) for edge in found} == expected


def test_a_picture_is_nearest_to_itself_in_another_set() -> None:
    table = planted(4, 0, 1)
    found = rows(edges_between(table, table.rows([2, 0]), LIMITS))
    assert found == [(0, 1, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0)]


# The first ones alike -----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=9))
def test_the_first_alike_has_the_very_same_hashes(kinds: list[tuple[int, int]]) -> None:
    pool = planted(3, 0, 5)
    near, far = pool.views64.copy(), pool.views256.copy()
    near[1] = near[0]
    near[1, 36] ^= np.uint64(1)  # one bit of one view
    far[1] = far[0]
    far[1, 36, 3] ^= np.uint64(1)
    table = table_of(
        {
            "phash64": pool.phash64[0],
            "phash256": pool.phash256[0],
            "dhash64": pool.dhash64[0],
            "views64": near[a],
            "views256": far[b],
        }
        for a, b in kinds
    )
    assert first_alike(table).tolist() == [kinds.index(kind) for kind in kinds]


def test_a_thousand_copies_have_one_first() -> None:
    table = planted(2, 0, 6).rows([0] * 500 + [1] * 500)
    assert first_alike(table).tolist() == [0] * 500 + [500] * 500


# The columns --------------------------------------------------------------------------------------


def some_edges() -> Any:
    return Edges(*np.arange(18, dtype=np.int64).reshape(6, 3))


def test_edges_come_one_by_one_as_python_s_numbers() -> None:
    found = list(some_edges())
    assert found == [Edge(0, 3, 6, 9, 12, 15), Edge(1, 4, 7, 10, 13, 16), Edge(2, 5, 8, 11, 14, 17)]
    assert type(found[0].a) is int
    assert len(some_edges()) == 3


def test_chosen_edges_and_joined_ones_keep_their_order() -> None:
    chosen = some_edges().rows(np.array([2, 0]))
    assert list(chosen) == [Edge(2, 5, 8, 11, 14, 17), Edge(0, 3, 6, 9, 12, 15)]
    assert list(joined([chosen, some_edges()])) == [*chosen, *some_edges()]
    assert len(joined([])) == 0
