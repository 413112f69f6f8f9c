"""Evaluation: the scores of a model on every slice, with intervals, alone or beside another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LABELS

from .intervals import RESAMPLES, differences, intervals, mcnemar
from .predictions import Predictions
from .samples import Samples
from .scores import (
    NOT_FOUND,
    SCORES,
    Counts,
    accuracy,
    calibration_error,
    confusion_of,
    counts_by_group,
)

# On a slice of one class alone a mean over classes says nothing that accuracy does not.
OF_A_CLASS = ("accuracy", "accuracy_of_found")


def evaluate(samples: Samples, predictions: Predictions, seed: int = 0) -> dict[str, Any]:
    """Return the content of metrics.json: {"model", "samples", "not_found", "slices", ...}.

    Each slice has its number of samples and groups, and of every score value, low and high (95 %,
    bootstrap over groups); a face that was not found is an error in all but accuracy_of_found.
    """
    predicted, labels = predictions.predicted, samples.labels
    return {
        "model": predictions.name,
        "seed": seed,
        "resamples": RESAMPLES,
        "samples": len(samples),
        "not_found": int((predicted == NOT_FOUND).sum()),
        "calibration_error": _calibration(samples, predictions),
        "classes": [*LABELS],
        "confusion_matrix": confusion_of(labels, predicted).tolist(),
        "slices": {
            name: _slice(samples, predicted, chosen, name, seed)
            for name, chosen in samples.slices.items()
        },
    }


def _slice(
    samples: Samples,
    predicted: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    name: str,
    seed: int,
) -> dict[str, Any]:
    counts = counts_by_group(samples.labels[chosen], predicted[chosen], samples.groups[chosen])
    wanted = OF_A_CLASS if name.startswith("class ") else tuple(SCORES)
    return {
        "samples": int(chosen.sum()),
        "groups": counts.right.shape[0],
        **scores_of(counts, seed, wanted),
    }


def scores_of(
    counts: Counts, seed: int = 0, wanted: Sequence[str] = tuple(SCORES)
) -> dict[str, dict[str, float]]:
    """Return the scores of `wanted` by counts per group, each with value, low and high."""
    found = intervals(counts, {score: SCORES[score] for score in wanted}, seed)
    return {score: asdict(one) for score, one in found.items()}


def _calibration(samples: Samples, predictions: Predictions) -> float | None:
    """Return the calibration error over the faces that were found; None without probabilities."""
    if predictions.probabilities is None:
        return None
    found = predictions.predicted != NOT_FOUND
    return calibration_error(samples.labels[found], predictions.probabilities[found])


def compare(
    samples: Samples, predictions: Predictions, other: Predictions, seed: int = 0
) -> dict[str, Any]:
    """Return by how much a model is better than another, slice by slice, and McNemar's test."""
    labels, groups = samples.labels, samples.groups
    slices = {}
    for name, chosen in samples.slices.items():
        first, second = (
            counts_by_group(labels[chosen], one.predicted[chosen], groups[chosen])
            for one in (predictions, other)
        )
        (found,) = differences(first, second, {"accuracy": accuracy}, seed).values()
        slices[name] = {"samples": int(chosen.sum()), "accuracy": asdict(found)}
    return {
        "model": predictions.name,
        "other": other.name,
        "mcnemar": asdict(mcnemar(labels, predictions.predicted, other.predicted)),
        "slices": slices,
    }
