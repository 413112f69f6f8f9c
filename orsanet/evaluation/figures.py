"""Figures of an evaluation: the confusion matrix, and the features of a run in the plane."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from occlufer.schema import LABELS

from ..figures import draw_confusion, write_figure
from ..metrics import Floats
from .samples import Samples

log = logging.getLogger(__name__)

SIZE = (6.2, 5)
# Fewer points than some multiples of it make no map.
PERPLEXITY = 30.0


def write_confusion(path: Path, found: dict[str, Any]) -> bool:
    """Write the confusion matrix of `evaluate` as PNG; False, with a line, without matplotlib."""
    counts = np.array(found["confusion_matrix"])
    columns = [*found["classes"], "not found"]
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], columns[:-1]
    rows = found["classes"]
    return write_figure(path, SIZE, lambda figure: draw_confusion(figure, counts, rows, columns))


def write_features(path: Path, samples: Samples, features: Floats, seed: int = 0) -> bool:
    """Write features (N, D) in the plane as PNG, coloured by class, covered faces as crosses.

    By t-SNE (van der Maaten and Hinton 2008): what lies near is alike, distances between heaps say
    little. False, with a line, without scikit-learn or matplotlib.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        log.warning("no map of features: it needs scikit-learn: pip install scikit-learn")
        return False
    perplexity = min(PERPLEXITY, max(1.0, (len(features) - 1) / 3))
    plane = TSNE(random_state=seed, perplexity=perplexity, init="pca").fit_transform(features)
    covered = samples.slices.get("covered", np.zeros(len(samples), bool))
    return write_figure(path, SIZE, lambda figure: _scatter(figure, plane, samples, covered))


def _scatter(figure: Any, plane: Any, samples: Samples, covered: Any) -> None:
    axes = figure.subplots()
    for number, label in enumerate(LABELS):
        own = samples.labels == number
        colour = f"C{number}"
        for chosen, marker in ((own & ~covered, "o"), (own & covered, "x")):
            axes.scatter(*plane[chosen].T, s=14, marker=marker, color=colour)
        axes.scatter([], [], s=14, color=colour, label=label)
    axes.scatter([], [], s=14, marker="x", color="grey", label="covered")
    axes.set(xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
