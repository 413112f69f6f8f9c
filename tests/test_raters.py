"""What is said of a rater is what an independent count says."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from occlufer.annotation.monotony import entropy_bits, monotony, run_probability
from occlufer.annotation.raters import (
    Pace,
    Rows,
    Share,
    confusion,
    pace,
    rater_statistics,
    right,
    seconds,
    wilson,
)
from occlufer.schema import ANSWERS
from occlufer.vote_log import DELETED, GIVEN, LABELLING, REFUSED, SKIPPED, Answer

MINUTE = "2026-01-02T03:{:02d}:00.000000Z"


def answer(number: int, image: str, rater: str, label: str | None, **changes: object) -> Answer:
    """The answer of this number, given in that minute."""
    when = MINUTE.format(number)
    state = SKIPPED if label is None else GIVEN
    made = Answer(
        *(LABELLING, "embedded/1", number, 1, image, rater, state, label, (), None),
        *(2.0, when, when, None),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


# Shares ------------------------------------------------------------------------------------------


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_s_interval_is_where_the_score_test_turns(counts: tuple[int, int]) -> None:
    """Its ends are the shares from which what was found lies 1.96 standard errors away."""
    count, total = counts
    found = count / total

    def score(share: float) -> float:
        return (found - share) ** 2 - 1.959963984540054**2 * share * (1 - share) / total

    low, high = wilson(count, total)
    assert 0 <= low <= found <= high <= 1
    if 0 < count < total:
        assert low == pytest.approx(brentq(score, 1e-12, found), abs=1e-9)
        assert high == pytest.approx(brentq(score, found, 1 - 1e-12), abs=1e-9)
    assert low < high


def test_a_share_of_nothing_is_none() -> None:
    assert Share(0, 0).share is None
    assert Share(0, 0).interval is None
    assert Share(3, 4).share == 0.75


def test_gold_is_counted_where_it_was_asked_and_answered() -> None:
    answers = [
        answer(1, "a", "x", "fear"),
        answer(2, "b", "x", "anger"),
        answer(3, "c", "x", "fear"),
    ]
    assert right(answers, {"a": "fear", "b": "uncertain", "z": "fear"}) == Share(1, 2)
    assert right(answers, {}) == Share(0, 0)


# Time --------------------------------------------------------------------------------------------


def test_what_has_no_lead_time_is_not_timed() -> None:
    times = [None, 0.0, -3.0, math.nan, math.inf, 0.4, 8.0]
    answers = [answer(i, str(i), "x", "fear", lead_time_s=time) for i, time in enumerate(times)]
    assert seconds(answers) == [0.4, 8.0]
    assert pace([], 5.0) == Pace(0, None, None, None)


def test_who_is_fast_is_measured_by_the_clock_and_by_the_others() -> None:
    found = pace([0.5, 0.999, 1.0, 3.9, 4.0, 30.0], common_s=12.0)
    assert found == Pace(6, 2.45, pytest.approx(2 / 6), pytest.approx(4 / 6))


# Monotony ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shares", [[1.0], [0.5, 0.5], [0.7, 0.2, 0.1], [0.25] * 4], ids=["one", "two", "three", "four"]
)
def test_the_probability_of_a_run_is_that_of_all_sequences_that_have_one(
    shares: list[float],
) -> None:
    draws = 6
    sequences = list(itertools.product(range(len(shares)), repeat=draws))
    for length in range(1, draws + 2):
        expected = math.fsum(
            math.prod(shares[letter] for letter in letters)
            for letters in sequences
            if max(len(list(run)) for _, run in itertools.groupby(letters)) >= length
        )
        assert run_probability(shares, draws, length) == pytest.approx(expected, abs=1e-12)


def test_an_unlikely_run_keeps_its_figures() -> None:
    """Of a run of 30 of a tenth each in 31 draws: two places where it begins, or both."""
    exact = 10 * (2 * 0.1**30 - 0.1**31)
    assert run_probability([0.1] * 10, 31, 30) == pytest.approx(exact, rel=1e-9, abs=0)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 40))
def test_a_longer_run_is_less_likely_and_more_draws_make_it_likelier(
    counts: list[int], draws: int
) -> None:
    shares = [count / sum(counts) for count in counts]
    found = [run_probability(shares, draws, length) for length in range(1, draws + 2)]
    assert found[0] == pytest.approx(1)
    assert found[-1] == 0
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(found))
    for length in range(1, draws + 1):
        assert run_probability(shares, draws + 1, length) >= found[length - 1] - 1e-12


def test_entropy_is_that_of_even_answers() -> None:
    assert entropy_bits([5]) == 0
    assert entropy_bits([3, 3, 0, 3, 3]) == pytest.approx(2)
    assert entropy_bits([1, 3]) == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3))


def test_a_straight_line_shows_beside_what_the_others_said_of_the_same_images() -> None:
    mine = [answer(i, f"i{i}", "x", "fear" if i != 3 else "anger") for i in range(10)]
    hers = [answer(20 + i, f"i{i}", "y", "fear" if i % 2 else "anger") for i in range(8)]
    hers.append(answer(40, "elsewhere", "y", "contempt"))
    by_image: dict[str, list[Answer]] = {}
    for one in [*mine, *hers]:
        by_image.setdefault(one.image, []).append(one)
    found = monotony(mine, by_image)
    assert (found.longest_run, found.run_answer) == (6, "fear")
    assert found.run_probability == pytest.approx(run_probability([0.9, 0.1], 10, 6))
    assert found.entropy_bits == pytest.approx(entropy_bits([9, 1]))
    assert found.others_bits == pytest.approx(1)  # four and four: "elsewhere" is not hers
    assert monotony(mine, {one.image: [one] for one in mine}).others_bits is None


# Everything of a rater ---------------------------------------------------------------------------


def test_runs_follow_the_order_of_time_and_not_of_numbers() -> None:
    labels = ["fear", "anger", "fear", "anger", "fear"]
    times = [0, 3, 1, 4, 2]
    history = [
        answer(i, f"i{i}", "x", label, created_at=MINUTE.format(time))
        for i, (label, time) in enumerate(zip(labels, times, strict=True))
    ]
    (found,) = rater_statistics(history, {}, {})
    assert (found.monotony.longest_run, found.monotony.run_answer) == (3, "fear")


def test_edits_deletions_and_second_answers_are_counted_once_each() -> None:
    first = answer(1, "a", "x", "fear")
    history = [
        first,
        dataclasses.replace(first, label="anger", updated_at=MINUTE.format(9), edited_by="y"),
        dataclasses.replace(first, label="sadness", updated_at=MINUTE.format(10), edited_by="y"),
        dataclasses.replace(first, label="fear", updated_at=MINUTE.format(11), edited_by="z"),
        dataclasses.replace(first, label="fear", updated_at=MINUTE.format(12)),
        answer(2, "a", "x", "happiness", updated_at=MINUTE.format(30)),  # the newest counts
        answer(3, "b", "x", None),
        answer(4, "c", "x", "fear"),
        answer(4, "c", "x", "fear", state=DELETED, updated_at=MINUTE.format(13)),
        answer(5, "a", "y", "fear"),
        answer(6, "a", "x", None, state=REFUSED, updated_at=MINUTE.format(59)),
    ]
    found = {one.rater: one for one in rater_statistics(history, {"a": "fear"}, {"a": "happiness"})}
    assert list(found) == ["x", "y", "z"]
    assert found["x"].rows == Rows(1, 1, 1, 1, 1, edited_by_others=1, edited_others=0)
    assert found["y"].rows == Rows(1, 0, 0, 0, 0, edited_by_others=0, edited_others=1)
    assert found["z"].rows == Rows(0, 0, 0, 0, 0, edited_by_others=0, edited_others=1)
    assert found["x"].gold == Share(1, 1)
    assert found["y"].gold == Share(0, 1)
    cell = ANSWERS.index("fear"), ANSWERS.index("happiness")
    assert found["x"].confusion[cell[0]][cell[1]] == 1
    assert sum(map(sum, found["x"].confusion)) == 1


def test_the_confusion_counts_every_pair_of_label_and_answer() -> None:
    draw = random.Random(4)
    labels = {f"i{i}": draw.choice(ANSWERS) for i in range(200)}
    answers = [answer(1, f"i{i}", "x", draw.choice(ANSWERS)) for i in range(240)]  # 40 unlabelled
    expected = Counter((labels[a.image], a.label) for a in answers if a.image in labels)
    found = confusion(answers, labels)
    assert sum(map(sum, found)) == 200
    assert {
        (label, said): found[row][column]
        for row, label in enumerate(ANSWERS)
        for column, said in enumerate(ANSWERS)
        if found[row][column]
    } == dict(expected)


def test_nobody_has_no_statistics() -> None:
    assert rater_statistics([], {}, {}) == []
