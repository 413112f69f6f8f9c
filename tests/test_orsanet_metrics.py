"""Metrics on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from occlufer.orsanet.metrics import (
    accuracy,
    confusion_matrix,
    macro_f1,
    majority_accuracy,
    per_class_f1,
    per_class_recall,
)

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 2])
CONFUSION = np.array([[2, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_confusion_matrix_has_labels_in_rows() -> None:
    np.testing.assert_array_equal(confusion_matrix(LABELS, PREDICTED, 3), CONFUSION)


def test_metrics_by_hand() -> None:
    assert accuracy(CONFUSION) == pytest.approx(4 / 6)
    np.testing.assert_allclose(per_class_recall(CONFUSION), [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(per_class_f1(CONFUSION), [2 / 3, 1 / 2, 1])
    assert macro_f1(CONFUSION) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert majority_accuracy(CONFUSION) == pytest.approx(0.5)


def test_a_class_without_samples_has_no_recall_and_does_not_count() -> None:
    confusion = confusion_matrix(np.array([0, 0]), np.array([0, 0]), 3)
    np.testing.assert_array_equal(per_class_recall(confusion), [1, np.nan, np.nan])
    assert macro_f1(confusion) == 1


def test_no_samples_give_nan() -> None:
    empty = np.zeros((3, 3), np.int64)
    assert np.isnan([accuracy(empty), macro_f1(empty), majority_accuracy(empty)]).all()


def test_metrics_do_not_depend_on_the_order_of_the_samples() -> None:
    order = np.random.default_rng(0).permutation(len(LABELS))
    np.testing.assert_array_equal(confusion_matrix(LABELS[order], PREDICTED[order], 3), CONFUSION)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [([0, 3], [0, 1], "label 3 is not in 0 to 2"), ([0], [-1], "prediction -1"), ([0], [], "1,")],
    ids=["label too large", "negative prediction", "lengths differ"],
)
def test_impossible_ids_are_refused(labels: list[int], predicted: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(labels, np.int64), np.array(predicted, np.int64), 3)
