"""Mistakes: which samples a model is most wrong about, by what covers the face."""

from __future__ import annotations

import numpy as np

from occlufer.schema import LABELS, OCCLUSION_TYPES

from .predictions import Predictions
from .samples import Samples
from .scores import NOT_FOUND

SHOWN_OF = ("uncovered", *(f"covered by {kind}" for kind in OCCLUSION_TYPES))
"""Slices whose worst mistakes are shown."""


def worst(samples: Samples, predictions: Predictions, most: int) -> dict[str, list[int]]:
    """Return {slice: positions of its mistakes}, the worst first, `most` at most of each.

    The worse, the more probable the told class beside the right one; faces that were not found
    come last, and without probabilities all are alike, in the order of the samples.
    """
    places = np.arange(len(samples))
    wrong = predictions.predicted != samples.labels
    found = predictions.predicted != NOT_FOUND
    how_far = np.zeros(len(samples))
    if predictions.probabilities is not None:
        told = predictions.probabilities[places, np.where(found, predictions.predicted, 0)]
        how_far = told - predictions.probabilities[places, samples.labels]
    order = np.lexsort((places, -how_far, ~found))
    return {
        name: order[(wrong & samples.slices[name])[order]][:most].tolist()
        for name in SHOWN_OF
        if name in samples.slices
    }


def caption(samples: Samples, predictions: Predictions, place: int) -> str:
    """Return in words what a sample is labelled and what was told of it."""
    label, told = LABELS[samples.labels[place]], int(predictions.predicted[place])
    if told == NOT_FOUND:
        return f"{label}, not found"
    if predictions.probabilities is None:
        return f"{label}, told {LABELS[told]}"
    return f"{label}, told {LABELS[told]} {predictions.probabilities[place, told]:.2f}"
