"""Metrics of a classifier as functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion_matrix(labels: Ids, predicted: Ids, num_classes: int) -> Ids:
    """Return counts (num_classes, num_classes): rows are labels, columns predictions.

    Both inputs are class ids of shape (N,). Raises ValueError if an id is out of range.
    """
    if labels.shape != predicted.shape:
        raise ValueError(f"found {labels.shape} labels and {predicted.shape} predictions")
    for name, ids in (("label", labels), ("prediction", predicted)):
        if ids.size and (ids.min() < 0 or ids.max() >= num_classes):
            found = int(ids.max() if ids.max() >= num_classes else ids.min())
            raise ValueError(f"{name} {found} is not in 0 to {num_classes - 1}")
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.astype(np.int64).reshape(num_classes, num_classes)


def accuracy(confusion: Ids) -> float:
    """Return the share of samples on the diagonal; NaN without samples."""
    total = int(confusion.sum())
    return float(np.trace(confusion) / total) if total else float("nan")


def per_class_recall(confusion: Ids) -> Floats:
    """Return (C,): the share of each class that was found; NaN for a class without samples."""
    return ratio(np.diag(confusion), confusion.sum(axis=1))


def per_class_f1(confusion: Ids) -> Floats:
    """Return (C,): 2 TP / (labelled + predicted); NaN for a class that is neither."""
    return ratio(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


def macro_f1(confusion: Ids) -> float:
    """Return the mean F1 of the classes that occur among labels or predictions."""
    scores = per_class_f1(confusion)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def majority_accuracy(confusion: Ids) -> float:
    """Return the accuracy of guessing the commonest label always; NaN without samples."""
    total = int(confusion.sum())
    return float(confusion.sum(axis=1).max() / total) if total else float("nan")


def ratio(part: Ids | Floats, whole: Ids | Floats) -> Floats:
    """Return part / whole, of one shape; NaN where the whole is nothing."""
    out = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out
