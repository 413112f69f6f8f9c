"""Scores: figures of N predictions as functions of counts, so that a bootstrap only weighs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LABELS

from ..metrics import Floats, Ids, confusion_matrix, ratio

CLASSES = len(LABELS)
# The prediction for a face that the model has not found: an error, whatever the label.
NOT_FOUND = -1
# As Guo et al. (On calibration of modern neural networks, ICML 2017, Eq. 3) bin confidences.
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Counts:
    """Counts of samples per class, each (..., 8): of all, or of groups, or of resamples."""

    right: Floats
    """Labelled and predicted so,"""
    labelled: Floats
    """labelled so, found or not,"""
    predicted: Floats
    """predicted so."""
    found: Floats
    """Labelled so, and a face was found."""


def counts_by_group(labels: Ids, predicted: Ids, groups: Ids) -> Counts:
    """Return the counts of each group that occurs, (G, 8), of labels, predictions, groups (N,)."""
    names, groups = np.unique(groups, return_inverse=True)
    number = names.size

    def count(classes: Ids, chosen: NDArray[np.bool_]) -> Floats:
        cells = groups[chosen] * CLASSES + classes[chosen]
        return np.bincount(cells, minlength=number * CLASSES).reshape(-1, CLASSES).astype(float)

    everyone, found = np.ones(labels.size, dtype=bool), predicted != NOT_FOUND
    return Counts(
        right=count(labels, labels == predicted),
        labelled=count(labels, everyone),
        predicted=count(predicted, found),
        found=count(labels, found),
    )


def accuracy(counts: Counts) -> Floats:
    """Return the share of samples predicted as labelled, (...); a face not found is an error."""
    return ratio(counts.right.sum(-1), counts.labelled.sum(-1))


def accuracy_of_found(counts: Counts) -> Floats:
    """Return the same of the faces that were found alone, as most papers report it."""
    return ratio(counts.right.sum(-1), counts.found.sum(-1))


def balanced_accuracy(counts: Counts) -> Floats:
    """Return the mean recall of the classes that occur among the labels, (...)."""
    return _mean(ratio(counts.right, counts.labelled))


def macro_f1(counts: Counts) -> Floats:
    """Return the mean F1, 2 TP / (labelled + predicted), of the classes that occur, (...)."""
    return _mean(ratio(2 * counts.right, counts.labelled + counts.predicted))


SCORES: dict[str, Callable[[Counts], Floats]] = {
    "accuracy": accuracy,
    "accuracy_of_found": accuracy_of_found,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}


def calibration_error(labels: Ids, probabilities: Floats) -> float:
    """Return the expected calibration error of probabilities (N, 8), in [0, 1].

    The confidence of a prediction is its largest probability; of CALIBRATION_BINS equal bins the
    mean confidence is held against the accuracy, weighted by samples. NaN without samples.
    """
    if not labels.size:
        return float("nan")
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    # Bins are open to the left: (0, 1/15], ..., (14/15, 1].
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1).astype(int)
    sums = [np.bincount(bins, weights, CALIBRATION_BINS) for weights in (confidence, right)]
    return float(np.abs(sums[0] - sums[1]).sum() / labels.size)


def confusion_of(labels: Ids, predicted: Ids) -> Ids:
    """Return counts (8, 9): rows are labels, columns predictions, the last one not found."""
    columns = np.where(predicted == NOT_FOUND, CLASSES, predicted)
    return confusion_matrix(labels, columns, CLASSES + 1)[:CLASSES]


def _mean(values: Floats) -> Floats:
    """Return the mean over the last axis of what is a number; NaN where nothing is."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0).sum(-1), known.sum(-1).astype(float))
