"""Matching of copies: near enough, and nothing else about as near."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.rebuild.match import COPY_BITS, MARGIN, NAMED_BITS, Near, choose


def near(bits: int, rival: int = 64, named: bool = False, row: int = 0, copy: str = "a") -> Near:
    return Near(row, copy, bits, rival, named)


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        ([near(COPY_BITS)], "a"),
        ([near(COPY_BITS + 1)], None),
        ([near(NAMED_BITS, named=True)], "a"),
        ([near(NAMED_BITS + 1, named=True)], None),
        ([near(2, rival=2 + MARGIN)], "a"),
        ([near(2, rival=1 + MARGIN)], None),
        ([near(2, rival=1, named=True)], "a"),
        ([near(2 + MARGIN, rival=2, named=True)], None),
        ([near(1), near(1 + MARGIN, copy="b")], "a"),
        ([near(1), near(MARGIN, copy="b")], None),
        ([near(1), near(MARGIN, named=True, copy="b")], "b"),
        ([near(1), near(1 + MARGIN, named=True, copy="b")], "a"),
        ([near(0, named=True), near(1, named=True, row=1)], None),
    ],
    ids=[
        "near",
        "not-near",
        "of-the-name",
        "of-the-name-and-not-near",
        "another-row-is-far",
        "another-row-is-as-near",
        "the-name-tells-rows-apart",
        "another-row-s-picture-under-this-name",
        "another-copy-is-far",
        "another-copy-is-as-near",
        "the-name-tells-copies-apart",
        "the-name-of-a-picture-that-is-farther",
        "one-copy-of-two-names",
    ],
)
def test_a_copy_is_taken_only_if_it_is_near_and_alone(found: list[Near], taken: str | None) -> None:
    chosen = choose(found)
    assert (chosen[0].copy if chosen else None) == taken


# Few bits vary, so that hashes are near one another as often as not.
HASHES = st.integers(0, 2**18 - 1)
ROWS = st.lists(HASHES, min_size=1, max_size=6)
COPIES = st.lists(st.tuples(HASHES, st.sets(st.integers(0, 5), max_size=2)), max_size=6)


def pairs(rows: list[int], copies: list[tuple[int, set[int]]]) -> list[Near]:
    """Every row with every copy; a copy is its hash, and the rows of whose names it has files."""
    found = []
    for number, (phash, names) in enumerate(copies):
        bits = [(phash ^ row).bit_count() for row in rows]
        for row in range(len(rows)):
            rival = min([64, *bits[:row], *bits[row + 1 :]])
            found.append(Near(row, f"{number}", bits[row], rival, row in names))
    return found


@given(ROWS, COPIES)
def test_no_copy_is_taken_for_two_rows(rows: list[int], copies: list[tuple[int, set[int]]]) -> None:
    taken = [one.copy for one in choose(pairs(rows, copies)).values()]
    assert len(taken) == len(set(taken))


@given(ROWS, COPIES)
def test_what_is_taken_is_near_and_without_its_name_alone(
    rows: list[int], copies: list[tuple[int, set[int]]]
) -> None:
    for row, one in choose(pairs(rows, copies)).items():
        phash, names = copies[int(one.copy)]
        bits = (phash ^ rows[row]).bit_count()
        assert bits <= (NAMED_BITS if row in names else COPY_BITS)
        if row not in names:
            others = [r for i, r in enumerate(rows) if i != row]
            assert all((phash ^ other).bit_count() >= bits + MARGIN for other in others)


@given(ROWS, COPIES, st.randoms())
def test_the_order_of_what_was_found_is_of_no_account(
    rows: list[int], copies: list[tuple[int, set[int]]], draw: random.Random
) -> None:
    found = pairs(rows, copies)
    assert choose(draw.sample(found, len(found))) == choose(found)


@given(ROWS)
def test_untouched_copies_of_the_right_names_are_all_taken(rows: list[int]) -> None:
    chosen = choose(pairs(rows, [(phash, {row}) for row, phash in enumerate(rows)]))
    assert {row: int(one.copy) for row, one in chosen.items()} == {r: r for r in range(len(rows))}
