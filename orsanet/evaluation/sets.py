"""Sets: a model on our validation and on every evaluation subset (the paper's Table 4)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from .answers import Model, predictions_of
from .evaluate import scores_of
from .faces import has_pictures, read_faces
from .samples import read_samples
from .scores import counts_by_group

# The sets of the paper's Table 4; others that a folder has come after them.
OF_THE_PAPER = {"validation": ("default", "validation"), "raf_db_occlu": ("raf_db_occlu", "test")}
FOOTNOTE = (
    "A set without figures is not in this folder, or without its pictures: [lists] of the config "
    "makes it, and `occlufer rebuild` brings pictures back, from one's own copy of the source. A "
    "run's checkpoint was chosen by our validation. The paper's own rows are not in this package."
)


def table_4(model: Model, folder: Path, subsets: Collection[str], seed: int = 0) -> dict[str, Any]:
    """Return the model's scores on each set of a published folder; None for one that is not there.

    `subsets` are the evaluation subsets that it has. A set that lacks pictures counts as not there.
    """
    places = {**OF_THE_PAPER, **{name: (name, "test") for name in subsets}}
    there = {"default", *subsets}
    rows = {
        name: _scores(model, folder, *place, seed)
        if place[0] in there and has_pictures(folder, *place)
        else None
        for name, place in places.items()
    }
    return {"table": 4, "model": model.name, "seed": seed, "rows": rows, "footnote": FOOTNOTE}


def _scores(model: Model, folder: Path, config: str, split: str, seed: int) -> dict[str, Any]:
    samples = read_samples(folder, config, split)
    found = predictions_of(model, samples, read_faces(folder, config, split))
    counts = counts_by_group(samples.labels, found.predicted, samples.groups)
    groups = counts.right.shape[0]
    return {"samples": len(samples), "groups": groups, **scores_of(counts, seed)}
