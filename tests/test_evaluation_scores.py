"""Scores of an evaluation: scikit-learn's, hand-worked ones, and intervals that cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from occlufer.orsanet.evaluation.intervals import differences, intervals, mcnemar
from occlufer.orsanet.evaluation.scores import (
    CLASSES,
    NOT_FOUND,
    SCORES,
    Counts,
    accuracy,
    accuracy_of_found,
    balanced_accuracy,
    calibration_error,
    confusion_of,
    counts_by_group,
    macro_f1,
)
from occlufer.schema import LABELS

Ids = NDArray[np.int64]


def ids(*values: int) -> Ids:
    return np.array(values, dtype=np.int64)


def whole(labels: Ids, predicted: Ids) -> Counts:
    """The counts of all samples as one group, (1, 8)."""
    return counts_by_group(labels, predicted, np.zeros(len(labels), np.int64))


PAIRS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(NOT_FOUND, CLASSES - 1)), min_size=1
)


@given(PAIRS)
def test_scores_are_scikit_learn_s_with_a_face_not_found_as_an_error(
    pairs: list[tuple[int, int]],
) -> None:
    labels, predicted = (ids(*column) for column in zip(*pairs, strict=True))
    # To scikit-learn a face that was not found is a ninth class, which nobody is labelled with.
    told = np.where(predicted == NOT_FOUND, CLASSES, predicted)
    counts = whole(labels, predicted)
    assert accuracy(counts)[0] == pytest.approx(accuracy_score(labels, told))
    occurring = sorted({*labels.tolist(), *predicted[predicted != NOT_FOUND].tolist()})
    f1 = f1_score(labels, told, labels=occurring, average="macro", zero_division=0)
    assert macro_f1(counts)[0] == pytest.approx(f1)
    with np.errstate(invalid="ignore"):
        balanced = balanced_accuracy_score(labels, told)
    assert balanced_accuracy(counts)[0] == pytest.approx(balanced)
    found = predicted != NOT_FOUND
    if found.any():
        of_found = accuracy_score(labels[found], predicted[found])
        assert accuracy_of_found(counts)[0] == pytest.approx(of_found)
    else:
        assert math.isnan(accuracy_of_found(counts)[0])


def test_scores_of_a_case_worked_by_hand() -> None:
    # Of four of anger two are right, one is fear, one is not found; of two of fear one is right.
    labels = ids(0, 0, 0, 0, 2, 2)
    predicted = ids(0, 0, 2, NOT_FOUND, 2, 0)
    counts = whole(labels, predicted)
    assert accuracy(counts)[0] == pytest.approx(3 / 6)
    assert accuracy_of_found(counts)[0] == pytest.approx(3 / 5)
    assert balanced_accuracy(counts)[0] == pytest.approx((2 / 4 + 1 / 2) / 2)
    # anger: 2 * 2 / (4 + 3); fear: 2 * 1 / (2 + 2).
    assert macro_f1(counts)[0] == pytest.approx((4 / 7 + 2 / 4) / 2)
    matrix = confusion_of(labels, predicted)
    assert matrix.shape == (len(LABELS), len(LABELS) + 1)
    assert matrix[0].tolist() == [2, 0, 1, 0, 0, 0, 0, 0, 1]
    assert matrix[2].tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0]
    assert matrix.sum() == len(labels)


def test_the_calibration_error_of_a_case_worked_by_hand() -> None:
    def sure(label: int, confidence: float) -> list[float]:
        rest = (1 - confidence) / (CLASSES - 1)
        return [confidence if i == label else rest for i in range(CLASSES)]

    # Two in the bin (.8667, .9333], one of them right; one in (.9333, 1], and right.
    probabilities = np.array([sure(0, 0.9), sure(1, 0.9), sure(2, 1.0)])
    found = calibration_error(ids(0, 3, 2), probabilities)
    assert found == pytest.approx(2 / 3 * abs(0.9 - 0.5) + 1 / 3 * abs(1.0 - 1.0))
    # A model that is right as often as it says has none.
    fair = np.array([sure(0, 0.5)] * 2)
    assert calibration_error(ids(0, 1), fair) == pytest.approx(0)
    assert math.isnan(calibration_error(ids(), np.zeros((0, CLASSES))))


def test_nothing_has_no_score() -> None:
    counts = Counts(*(np.zeros((0, CLASSES)) for _ in Counts.__annotations__))
    for score in SCORES.values():
        summed = Counts(*(getattr(counts, name).sum(0) for name in Counts.__annotations__))
        assert math.isnan(score(summed))


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [(10, 2, 2 * (1 + 12 + 66) / 2**12), (0, 0, 1.0), (3, 3, 1.0), (5, 0, 2 / 2**5)],
)
def test_mcnemar_s_test_is_that_of_the_binomial(
    only_first: int, only_second: int, p_value: float
) -> None:
    labels = np.zeros(only_first + only_second + 7, np.int64)
    first, second = labels.copy(), labels.copy()
    second[:only_first] = 1
    first[only_first : only_first + only_second] = NOT_FOUND
    found = mcnemar(labels, first, second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p_value == pytest.approx(p_value)


# Intervals ----------------------------------------------------------------------------------------


def drawn(rng: np.random.Generator, subjects: int) -> tuple[Ids, Ids, Ids]:
    """Samples of subjects of which some are hard and some easy; three in four are right on average.

    Labels, predictions and subjects; every subject has 4 samples.
    """
    easy = rng.beta(0.75, 0.25, subjects)
    groups = np.repeat(np.arange(subjects), 4)
    labels = rng.integers(0, CLASSES, groups.size)
    right = rng.random(groups.size) < easy[groups]
    return labels, np.where(right, labels, (labels + 1) % CLASSES), groups


def covers(value: float, counts: Counts) -> bool:
    found = intervals(counts, {"accuracy": accuracy})["accuracy"]
    return bool(found.low <= value <= found.high)


def test_intervals_cover_as_often_as_they_say_and_only_if_subjects_stay_together() -> None:
    rng = np.random.default_rng(0)
    repeats, grouped, alone = 200, 0, 0
    for _ in range(repeats):
        labels, predicted, groups = drawn(rng, 80)
        grouped += covers(0.75, counts_by_group(labels, predicted, groups))
        alone += covers(0.75, counts_by_group(labels, predicted, np.arange(groups.size)))
    # .95, give or take three standard errors, and a little less for so few subjects.
    assert 0.90 <= grouped / repeats <= 0.99
    assert alone / repeats < 0.85


def test_a_difference_covers_the_true_one_and_is_narrower_than_two_intervals() -> None:
    rng = np.random.default_rng(1)
    repeats, covered, narrower = 200, 0, 0
    for _ in range(repeats):
        labels, predicted, groups = drawn(rng, 80)
        # The other model is the same, but for one answer in ten, which it has wrong.
        spoilt = np.where(rng.random(labels.size) < 0.1, (labels + 2) % CLASSES, predicted)
        one, two = (counts_by_group(labels, p, groups) for p in (predicted, spoilt))
        gain = differences(one, two, {"accuracy": accuracy})["accuracy"]
        covered += gain.low <= 0.075 <= gain.high
        alone = [intervals(c, {"accuracy": accuracy})["accuracy"] for c in (one, two)]
        narrower += gain.high - gain.low < max(i.high - i.low for i in alone)
    assert 0.90 <= covered / repeats <= 0.99
    assert narrower == repeats


def test_an_interval_holds_its_value_and_is_the_same_each_time() -> None:
    labels, predicted, groups = drawn(np.random.default_rng(2), 30)
    counts = counts_by_group(labels, predicted, groups)
    found = intervals(counts, SCORES)
    assert found == intervals(counts, SCORES)
    assert found != intervals(counts, SCORES, seed=1)
    for name, one in found.items():
        assert one.low <= one.value <= one.high
        assert one.value == pytest.approx(float(SCORES[name](whole(labels, predicted))[0]))


def test_of_a_few_subjects_no_interval_is_told() -> None:
    labels, predicted, groups = drawn(np.random.default_rng(3), 9)
    one = intervals(counts_by_group(labels, predicted, groups), SCORES)["accuracy"]
    assert math.isfinite(one.value)
    assert math.isnan(one.low)
    assert math.isnan(one.high)


@pytest.mark.parametrize("right", [True, False])
def test_a_small_slice_that_is_all_right_or_wrong_is_not_certain(right: bool) -> None:
    labels = np.zeros(30, np.int64)
    counts = counts_by_group(labels, labels if right else labels + 1, np.arange(30) // 2)
    one = intervals(counts, {"accuracy": accuracy})["accuracy"]
    # Wilson's interval of 15 of 15, by scipy, which knows nothing of groups.
    wilson = binomtest(15 if right else 0, 15).proportion_ci(0.95, "wilson")
    assert (one.low, one.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
