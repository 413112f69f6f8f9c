"""Votes drawn from raters of known confusions, and what Dawid-Skene makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from occlufer.annotation.aggregation.ballots import Ballots, cast_ballots
from occlufer.annotation.aggregation.dawid_skene import Rows, dawid_skene
from occlufer.annotation.aggregation.latent import Fit, Problem, problem

ANSWERS = ("anger", "disgust", "fear", "uncertain", "not_a_face")
Cast = dict[tuple[str, str, str], float]


def votes(
    truth: Sequence[int], confusion: Mapping[str, Sequence[Sequence[float]]], seed: int = 0
) -> Cast:
    """Draw an answer of every rater to every item; the truth is a position in ANSWERS."""
    rng = np.random.default_rng(seed)
    return {
        (f"item_{i:04d}", rater, ANSWERS[int(rng.choice(len(ANSWERS), p=matrix[state]))]): 1.0
        for i, state in enumerate(truth)
        for rater, matrix in confusion.items()
    }


def careful(right: float) -> list[list[float]]:
    others = (1 - right) / (len(ANSWERS) - 1)
    return [[right if a == k else others for a in range(len(ANSWERS))] for k in range(3)]


def some_truth(items: int, seed: int = 0) -> list[int]:
    return [int(state) for state in np.random.default_rng([seed, 1]).integers(0, 3, items)]


def fitted(cast: Cast, gold: Mapping[str, str] | None = None) -> tuple[Ballots, Problem, Fit[Rows]]:
    ballots = cast_ballots([], cast, ANSWERS)
    posed = problem(ballots, gold or {})
    return ballots, posed, dawid_skene(posed)
