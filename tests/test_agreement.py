"""Agreement: published examples, brute force, and what must not change it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.annotation.aggregation.agreement import (
    fleiss_items,
    fleiss_kappa,
    krippendorff_alpha,
    one_against_rest,
)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C: four observers, twelve units.
KRIPPENDORFF = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
# Fleiss 1971 as Wikipedia works it: fourteen raters, ten subjects, five categories; kappa .210.
FLEISS = (
    "0 0 0 0 14",
    "0 2 6 4 2",
    "0 0 3 5 6",
    "0 3 9 2 0",
    "2 2 8 1 1",
    "7 7 0 0 0",
    "3 2 6 3 0",
    "2 5 3 2 2",
    "6 5 2 1 0",
    "0 2 2 3 7",
)
Counts = NDArray[np.float64]


def krippendorff_counts() -> Counts:
    units = zip(*(line.split() for line in KRIPPENDORFF), strict=True)
    return np.array([[unit.count(str(value)) for value in range(1, 6)] for unit in units], float)


def fleiss_counts() -> Counts:
    return np.array([line.split() for line in FLEISS], dtype=float)


def votes_of(row: Counts) -> list[int]:
    return [answer for answer, count in enumerate(row) for _ in range(int(count))]


def brute_alpha(counts: Counts) -> float | None:
    """Krippendorff's alpha pair by pair: disagreeing pairs within items over those of all votes."""
    units = [votes_of(row) for row in counts if row.sum() > 1]
    pool = [vote for unit in units for vote in unit]
    differ = sum(a != b for a, b in permutations(pool, 2))
    if not differ:
        return None
    seen = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    return 1 - (seen / len(pool)) / (differ / (len(pool) * (len(pool) - 1)))


def brute_kappa(counts: Counts) -> float | None:
    """Fleiss' kappa pair by pair, of items that all have the same number of votes."""
    units = [votes_of(row) for row in counts]
    pool = [vote for unit in units for vote in unit]
    same = [np.mean([a == b for a, b in permutations(unit, 2)]) for unit in units]
    chance = float(np.mean([a == b for a in pool for b in pool]))
    return None if chance == 1 else float((np.mean(same) - chance) / (1 - chance))


tables = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=6).map(
    lambda rows: np.array(rows, dtype=float)
)
even_tables = st.lists(
    st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=6
).map(lambda units: np.array([[unit.count(a) for a in range(3)] for unit in units], dtype=float))


def close(found: float | None, expected: float | None) -> None:
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_krippendorff_s_example_gives_743() -> None:
    assert krippendorff_alpha(krippendorff_counts()) == pytest.approx(0.743, abs=5e-4)


def test_the_textbook_example_of_fleiss_gives_210() -> None:
    assert fleiss_kappa(fleiss_counts()) == pytest.approx(0.210, abs=5e-4)


@given(tables)
def test_alpha_counts_every_pair(counts: Counts) -> None:
    close(krippendorff_alpha(counts), brute_alpha(counts))


@given(even_tables)
def test_kappa_counts_every_pair(counts: Counts) -> None:
    close(fleiss_kappa(counts), brute_kappa(counts))


@given(tables, st.permutations(range(3)), st.integers(0, 99))
def test_neither_the_order_of_items_nor_the_names_of_answers_matter(
    counts: Counts, columns: list[int], seed: int
) -> None:
    rows = np.random.default_rng(seed).permutation(len(counts))
    for measure in (krippendorff_alpha, fleiss_kappa):
        close(measure(counts[rows][:, columns]), measure(counts))


@pytest.mark.parametrize("measure", [krippendorff_alpha, fleiss_kappa], ids=["alpha", "kappa"])
def test_full_agreement_on_two_answers_is_1_and_on_one_undefined(
    measure: Callable[[Counts], float | None],
) -> None:
    assert measure(np.array([[3.0, 0], [0, 3], [3, 0]])) == pytest.approx(1)
    assert measure(np.array([[3.0, 0], [3, 0]])) is None
    assert measure(np.zeros((0, 2))) is None
    assert measure(np.array([[1.0, 0], [0, 1], [0, 0]])) is None


def test_an_item_with_one_vote_says_nothing_of_agreement() -> None:
    counts = krippendorff_counts()
    more = np.vstack([counts, np.eye(5)])
    assert krippendorff_alpha(more) == krippendorff_alpha(counts)


def test_kappa_takes_the_items_with_the_usual_number_of_votes() -> None:
    even = np.array([[3.0, 0], [1, 2], [2, 1]])
    odd = np.array([[5.0, 5], [0, 2], [1, 0], [0, 0]])
    both = np.vstack([odd, even])
    assert fleiss_items(both).tolist() == [False] * 4 + [True] * 3
    close(fleiss_kappa(both), brute_kappa(even))


def test_of_two_usual_numbers_of_votes_kappa_takes_the_greater() -> None:
    counts = np.array([[2.0, 0], [3, 0], [0, 2], [1, 2]])
    assert fleiss_items(counts).tolist() == [False, True, False, True]


def test_agreement_on_a_class_is_that_of_this_class_against_the_rest() -> None:
    counts = krippendorff_counts()
    merged = np.column_stack([counts[:, 2], counts[:, [0, 1, 3, 4]].sum(axis=1)])
    assert one_against_rest(counts, 2).tolist() == merged.tolist()
    close(krippendorff_alpha(one_against_rest(counts, 2)), brute_alpha(merged))
