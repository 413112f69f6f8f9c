"""Groups join what is related, stay small, and say what they had to cut."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.duplicates.groups import Likenesses, find_groups

COUNT = 9
IMAGES = [f"{i * 7919 % 1000:04d}" for i in range(COUNT)]
ANY = 10**6

Pair = tuple[int, int]
Triple = tuple[int, int, int]

PLACE = st.integers(0, COUNT - 1)
JOINED = st.lists(st.tuples(PLACE, PLACE), max_size=5)
ALIKE = st.lists(st.tuples(PLACE, PLACE, st.integers(0, 3)), max_size=16)
LARGEST, WIDEST = st.integers(1, 8), st.integers(1, 6)


def likenesses(triples: Iterable[Triple] = ()) -> Any:
    return Likenesses(*np.array(list(triples), dtype=np.int64).reshape(-1, 3).T)


def groups(
    joined: Iterable[Pair], alike: Iterable[Triple], largest: int = ANY, widest: int = ANY
) -> Any:
    return find_groups(IMAGES, joined, likenesses(alike), largest, widest)


def reachable(start: int, pairs: Iterable[Pair], within: set[int] | None = None) -> dict[int, int]:
    """Return {what hangs together with `start`: in how many steps}, found by walking."""
    pairs = list(pairs)
    steps, front = {start: 0}, {start}
    while front:
        near = {b for a, b in pairs if a in front} | {a for a, b in pairs if b in front}
        front = {i for i in near - steps.keys() if within is None or i in within}
        steps |= dict.fromkeys(front, max(steps.values()) + 1)
    return steps


def width(members: set[int], links: Iterable[Pair]) -> int:
    """Return how many steps the two members farthest apart are apart, inside the group."""
    links = list(links)
    walks = [reachable(member, links, members) for member in members]
    assert all(walk.keys() == members for walk in walks)
    return max(max(walk.values()) for walk in walks)


def together(names: list[str]) -> list[set[int]]:
    return [{i for i, name in enumerate(names) if name == group} for group in set(names)]


def parts_of(joined: list[Pair]) -> list[int]:
    """Return, of every position, the smallest of those that are joined with it."""
    return [min(reachable(i, joined)) for i in range(COUNT)]


# What is in one group -----------------------------------------------------------------------------


@given(JOINED, ALIKE)
def test_without_limits_a_group_is_what_hangs_together(
    joined: list[Pair], alike: list[Triple]
) -> None:
    found = groups(joined, alike)
    links = [*joined, *((a, b) for a, b, _ in alike)]
    for i, name in enumerate(found.names):
        assert {j for j in range(COUNT) if found.names[j] == name} == set(reachable(i, links))
    assert found.cut == []


@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_what_is_joined_is_always_together(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    names = groups(joined, alike, largest, widest).names
    assert all(names[a] == names[b] for a, b in joined)


@settings(max_examples=300)
@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_no_group_is_too_large_or_too_wide_and_each_hangs_together(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    found = groups(joined, alike, largest, widest)
    part = parts_of(joined)
    links = [(part[a], part[b]) for a, b, _ in alike if (a, b) not in found.cut]
    for members in together(found.names):
        parts = {part[i] for i in members}  # what is joined counts as one
        assert len(parts) <= largest
        assert width(parts, links) <= widest


@settings(max_examples=300)
@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_likenesses_join_the_nearest_first_while_they_may(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    part = parts_of(joined)
    sets = {i: {i} for i in set(part)}
    links: list[Pair] = []
    for a, b, _ in sorted(alike, key=lambda t: (t[2], *sorted((IMAGES[t[0]], IMAGES[t[1]])))):
        both = sets[part[a]] | sets[part[b]]
        with_it = [*links, (part[a], part[b])]
        if len(both) <= largest and width(both, with_it) <= widest:
            links = with_it
            sets |= dict.fromkeys(both, both)
    names = groups(joined, alike, largest, widest).names
    for i, j in itertools.combinations(range(COUNT), 2):
        assert (names[i] == names[j]) == (part[j] in sets[part[i]])


@settings(max_examples=300)
@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_every_likeness_between_two_groups_was_cut(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    found = groups(joined, alike, largest, widest)
    apart = [(a, b) for a, b, _ in alike if found.names[a] != found.names[b]]
    assert sorted(pair for pair in found.cut if pair in apart) == sorted(apart)


@settings(max_examples=500)
@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_no_likeness_inside_a_group_was_cut(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    found = groups(joined, alike, largest, widest)
    assert [(a, b) for a, b in found.cut if found.names[a] == found.names[b]] == []


def test_a_pair_that_other_likenesses_bring_together_is_not_cut() -> None:
    # 0-1-2-3-4 is four steps wide. 5 at its end would make it five; in its middle it does not.
    line = [(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)]
    found = groups([], [*line, (0, 5, 1), (2, 5, 2)], widest=4)
    assert len(set(found.names[:6])) == 1
    assert found.cut == []


# Hand-worked limits -------------------------------------------------------------------------------

CHAIN = [(i, i + 1, i) for i in range(COUNT - 1)]  # the first links are the nearest


@pytest.mark.parametrize(
    ("largest", "widest", "sizes", "cut"),
    [
        (ANY, ANY, [9], []),
        (4, ANY, [4, 4, 1], [(3, 4), (7, 8)]),
        (ANY, 2, [3, 3, 3], [(2, 3), (5, 6)]),
        (4, 2, [3, 3, 3], [(2, 3), (5, 6)]),
        (1, ANY, [1] * 9, [(i, i + 1) for i in range(8)]),
        (ANY, 1, [2, 2, 2, 2, 1], [(1, 2), (3, 4), (5, 6), (7, 8)]),
    ],
    ids=["no-limit", "four-members", "two-steps", "both", "one-member", "one-step"],
)
def test_a_chain_is_cut_where_a_group_is_full(
    largest: int, widest: int, sizes: list[int], cut: list[Pair]
) -> None:
    found = groups([], CHAIN, largest, widest)
    assert [len(list(run)) for _, run in itertools.groupby(found.names)] == sizes
    assert found.cut == cut


def test_a_star_may_be_large_but_is_not_wide() -> None:
    star = [(0, i, 1) for i in range(1, COUNT)]
    assert len(set(groups([], star, widest=2).names)) == 1
    assert len(groups([], star, widest=1).cut) == COUNT - 2


def test_what_is_joined_counts_as_one_member_and_no_step() -> None:
    chain = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    found = groups(chain, [(0, 6, 1), (5, 7, 2), (3, 8, 3)], largest=3, widest=2)
    assert len(set(found.names[:8])) == 1
    assert found.names[8] != found.names[0]
    assert found.cut == [(3, 8)]


def test_the_nearest_likeness_joins_before_the_others() -> None:
    for near in (1, 2):
        found = groups([], [(0, 1, 3 - near), (1, 2, near)], largest=2)
        assert found.cut == [(0, 1) if near == 1 else (1, 2)]


# Names --------------------------------------------------------------------------------------------


@given(JOINED, ALIKE, LARGEST, WIDEST, st.integers(0, 999))
def test_the_order_of_images_and_pairs_changes_no_name(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int, seed: int
) -> None:
    draw = random.Random(seed)
    order = draw.sample(range(COUNT), COUNT)
    place = {old: new for new, old in enumerate(order)}
    moved = [(place[b], place[a]) for a, b in draw.sample(joined, len(joined))]
    mixed = draw.sample(alike, len(alike))
    turned = likenesses((place[b], place[a], distance) for a, b, distance in mixed)
    found = find_groups([IMAGES[i] for i in order], moved, turned, largest, widest)
    before = groups(joined, alike, largest, widest)
    assert found.names == [before.names[i] for i in order]
    assert sorted(sorted((order[a], order[b])) for a, b in found.cut) == sorted(
        sorted(pair) for pair in before.cut
    )


@given(JOINED, ALIKE, LARGEST, WIDEST)
def test_a_group_is_named_after_its_smallest_image(
    joined: list[Pair], alike: list[Triple], largest: int, widest: int
) -> None:
    names = groups(joined, alike, largest, widest).names
    for members in together(names):
        smallest = min(IMAGES[i] for i in members)
        (alone,) = find_groups([smallest], [], likenesses(), 1, 1).names
        assert {names[i] for i in members} == {alone}


def test_a_name_tells_nothing_of_the_picture() -> None:
    names = find_groups(["abc", "def"], [], likenesses(), ANY, ANY).names
    assert len(set(names)) == 2
    assert all(re.fullmatch("g[0-9a-f]{12}", name) for name in names)
    assert not any("abc" in name or "def" in name for name in names)


def test_a_name_is_a_fact_that_later_versions_keep() -> None:
    # sha256 of "group of abc"
    assert find_groups(["abc", "abd"], [(0, 1)], likenesses(), 1, 1).names == ["ga7750370c37b"] * 2


def test_no_images_have_no_groups() -> None:
    found = find_groups([], [], likenesses(), 1, 1)
    assert (found.names, found.cut) == ([], [])


def test_a_long_chain_of_what_is_joined_is_one_group() -> None:
    count = 20_000
    images = [f"{i:06d}" for i in range(count)]
    found = find_groups(images, itertools.pairwise(range(count)), likenesses(), 1, 1)
    assert len(set(found.names)) == 1
