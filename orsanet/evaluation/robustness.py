"""Robustness: a model's accuracy on the same faces, bare and covered (the paper's Table 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from .answers import Model, predictions_of
from .evaluate import compare, scores_of
from .faces import Face
from .predictions import Predictions
from .samples import Samples
from .scores import NOT_FOUND, counts_by_group
from .squares import PERCENTS, with_black_square

Cover = Callable[[Face, np.random.Generator], Any]
"""Gives the picture of a face with something before it."""
AS_THEY_ARE = "as they are"
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
Finder = Callable[[Any, Any], Any]
"""Gives the landmarks of a covered picture, from it and those of the bare face."""
FOOTNOTE = (
    "Squares are of the picture, as in the released test, and lie anywhere in it, drawn from the "
    "seed and the sample; a model that cuts the face out sees another share. A model that looks at "
    "landmarks gets those that the built-in parser finds on the covered picture, about where the "
    "face is. Drawn things are those of the synthetic source, which whoever trained on it knows. A "
    "run's checkpoint was chosen by these very samples, as they are. The paper's own rows are of "
    "RAF-DB and AffectNet; they are not in this package."
)

SQUARES: dict[str, Cover] = {
    f"black square over {percent} %": partial(with_black_square, share=percent / 100)
    for percent in PERCENTS
}


def table_3(
    model: Model,
    samples: Samples,
    faces: Callable[[], Iterable[Face]],
    covers: Mapping[str, Cover],
    find: Finder,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the model's scores on the faces as they are and under each of `covers`.

    `faces` gives them anew in the order of the samples; `find` finds landmarks on what is covered,
    for models that see them. Each row has the scores and, beside the faces as they are, what the
    accuracy gains (it is below zero), paired, with 95 % intervals.
    """
    whole = Samples(samples.ids, samples.labels, samples.groups, {"all": samples.slices["all"]})
    plain = predictions_of(model, whole, faces())
    rows = {AS_THEY_ARE: _scores(whole, plain, seed)}
    for name, cover in covers.items():
        shown = covered(faces(), whole.ids, cover, seed)
        if model.sees_landmarks:
            shown = ((picture, find(picture, bare)) for picture, bare in shown)
        found = predictions_of(model, whole, shown)
        gain = compare(whole, found, plain, seed)["slices"]["all"]["accuracy"]
        rows[name] = {**_scores(whole, found, seed), "gain": gain}
    return {
        "table": 3,
        "model": model.name,
        "samples": len(whole),
        "seed": seed,
        "rows": rows,
        "footnote": FOOTNOTE,
    }


def _scores(samples: Samples, predictions: Predictions, seed: int) -> dict[str, Any]:
    counts = counts_by_group(samples.labels, predictions.predicted, samples.groups)
    not_found = int((predictions.predicted == NOT_FOUND).sum())
    return {"not_found": not_found, **scores_of(counts, seed, SCORES)}


def covered(faces: Iterable[Face], ids: Iterable[str], cover: Cover, seed: int) -> Iterator[Face]:
    """Yield the faces with something before them, drawn from the seed and the sample's sha256.

    Their landmarks are those of the bare ones.
    """
    for face, name in zip(faces, ids, strict=True):
        rng = np.random.default_rng([seed, int(name[:16], 16)])
        yield cover(face, rng), face[1]
