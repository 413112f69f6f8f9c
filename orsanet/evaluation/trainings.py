"""Trainings that are compared: peers (the paper's Table 2), and parts left out (its Table 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import LAST_NAME
from ..config import TrainConfig, config_from_preset
from ..metrics import Floats, Ids
from ..train import baseline_train, make_cache
from .intervals import over_trainings
from .predictions import Predictions
from .runs import answers_of_run, read_run
from .samples import Samples

WHOLE = "ORSANet"
VARIANTS: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        WHOLE: {},
        "POSTER-like": {"without": ("segmentation",), "dare_weight": 0.0},
        "IR-50": {"without": ("segmentation", "fusion"), "dare_weight": 0.0},
    },
    6: {
        WHOLE: {},
        "without segmentation": {"without": ("segmentation",)},
        "without cross-interaction": {"without": ("cross_interaction",)},
        "without several scales": {"without": ("multi_scale",)},
        "without reintegration": {"without": ("reintegration",)},
        "without DARE": {"dare_weight": 0.0},
    },
}
"""{table: {name: which settings of the preset it changes}}"""
OVER_SEEDS = (
    "Accuracies are means over the seeds; intervals are over seeds and groups, and of fewer than "
    "three seeds there are none. Of each training that epoch is told which was best on these very "
    "samples. The paper's own rows are of trainings that start from its weights; they are not in "
    "this package."
)
FOOTNOTES = {
    2: "All are trained here, alike. POSTER-like is the pyramid of cross-attention between image "
    "and landmarks (Zheng et al., ICCV workshops 2023), with neither segmentation nor DARE; IR-50 "
    f"is the image backbone alone, of the preset's size. {OVER_SEEDS}",
    6: OVER_SEEDS,
}


@dataclass(frozen=True)
class Budget:
    """What each training may take; None: the preset's own."""

    preset: str = "demo"
    epochs: int | None = None
    seeds: int = 3
    """So many trainings of each variant."""


def trained_table(
    number: int, data: Path, out: Path, samples: Samples, budget: Budget, seed: int = 0
) -> dict[str, Any]:
    """Train every variant of table 2 or 6 by every seed; return their accuracies on validation.

    Runs lie in `out`, a folder for preset and data, in it one for each; those that are there are
    gone on with, or taken as they are. `seed` is the bootstrap's. Raises UsageError for a run that
    has more epochs than the budget, for all have to be trained alike.
    """
    changes = {} if budget.epochs is None else {"epochs": budget.epochs}
    cache = make_cache(config_from_preset(budget.preset, data, out, **changes))
    home = out / f"{budget.preset}-{cache.key[:12]}"
    found = {
        name: [
            _said_by_training(
                home / f"{name.lower().replace(' ', '-')}-{run_seed}",
                config_from_preset(
                    budget.preset, out / "cache", home, seed=run_seed, **changes, **variant
                ),
                samples,
            )
            for run_seed in range(budget.seeds)
        ]
        for name, variant in VARIANTS[number].items()
    }
    return {
        "table": number,
        "samples": len(samples),
        "preset": budget.preset,
        "epochs": config_from_preset(budget.preset, data, out, **changes).epochs,
        "seeds": budget.seeds,
        "rows": rows_of(samples, found, seed),
        "footnote": FOOTNOTES[number],
    }


def _said_by_training(folder: Path, config: TrainConfig, samples: Samples) -> Predictions:
    """Return what a training says of the samples; it is gone on with if it was begun."""
    begun = (folder / LAST_NAME).is_file()
    baseline_train(replace(config, out=folder, resume=begun))
    predictions, _ = answers_of_run(read_run(folder), samples)
    return predictions


def rows_of(
    samples: Samples, found: Mapping[str, list[Predictions]], seed: int = 0
) -> dict[str, Any]:
    """Return the row of each variant, from its predictions by every seed.

    The accuracy over all seeds, and how much it gains beside ORSANet's (below zero: what it
    lacks helps), paired by seed and sample, with 95 % intervals.
    """
    _, groups = np.unique(samples.groups, return_inverse=True)
    sizes = np.bincount(groups).astype(float)
    right = {
        name: np.stack([_sums(groups, one.predicted == samples.labels) for one in some])
        for name, some in found.items()
    }
    rows: dict[str, Any] = {}
    for name, sums in right.items():
        rows[name] = {
            "accuracy": asdict(over_trainings(sums, sizes, seed)),
            "by_seed": (sums.sum(axis=1) / sizes.sum()).tolist(),
        }
        if name != WHOLE:
            rows[name]["gain"] = asdict(over_trainings(sums - right[WHOLE], sizes, seed))
    return rows


def _sums(groups: Ids, right: NDArray[np.bool_]) -> Floats:
    """Return how many samples of each group are right, (G,), of groups and samples (N,)."""
    return np.bincount(groups, right).astype(np.float64)
