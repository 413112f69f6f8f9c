"""Intervals: how much of a figure is chance, with samples of one group drawn together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import Floats, Ids
from .scores import Counts

RESAMPLES = 2000
CONFIDENCE = 0.95
# Of a normal distribution so many standard deviations hold that confidence.
DEVIATIONS = 1.959964
# Of fewer groups the resamples are too few kinds to say anything.
LEAST_GROUPS = 10
# Nor do resamples of two trainings.
LEAST_TRAININGS = 3
# So many numbers of weights at most are held at once.
WEIGHTS_HELD = 1 << 24
Score = Callable[[Counts], Floats]


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def weighted(counts: Counts, weights: Floats) -> Counts:
    """Return the counts (..., 8) of resamples; `weights` (..., G) say how often a group came."""
    return Counts(*(weights @ getattr(counts, name) for name in Counts.__annotations__))


def intervals(counts: Counts, scores: Mapping[str, Score], seed: int = 0) -> dict[str, Interval]:
    """Return scores of all groups with their percentile intervals, `counts` being (G, 8).

    Groups are drawn with replacement, whole: samples of one subject are right and wrong together,
    and an interval that takes them for independent is too narrow (Field and Welsh, Bootstrapping
    clustered data, 2007). Ends are NaN of fewer than LEAST_GROUPS, and where no resample gives a
    number. Where all resamples agree on nothing or on all, as of a small slice that is all right,
    the end is Wilson's, of as many trials as there are groups.
    """
    groups = counts.right.shape[0]
    drawn = [weighted(counts, weights) for weights in _weights_of(groups, seed)]
    return {
        name: _interval(
            float(score(_summed(counts))),
            np.concatenate([score(one) for one in drawn]),
            groups,
            is_share=True,
        )
        for name, score in scores.items()
    }


def differences(
    counts: Counts, other: Counts, scores: Mapping[str, Score], seed: int = 0
) -> dict[str, Interval]:
    """Return by how much scores are higher than another model's on the same samples.

    Both are drawn alike, so that what is hard for both cancels.
    """
    groups = counts.right.shape[0]
    drawn = [(weighted(counts, w), weighted(other, w)) for w in _weights_of(groups, seed)]
    return {
        name: _interval(
            float(score(_summed(counts)) - score(_summed(other))),
            np.concatenate([score(one) - score(two) for one, two in drawn]),
            groups,
            is_share=False,
        )
        for name, score in scores.items()
    }


def over_trainings(right: Floats, sizes: Floats, seed: int = 0) -> Interval:
    """Return the mean of several trainings and its interval over both trainings and groups.

    `right` (T, G) are sums of each training over each group, e.g. of samples that are right, or of
    one model's less another's; `sizes` (G,) are the samples of the groups. Trainings are drawn with
    replacement as groups are: what a seed changes is chance too. Ends are NaN of fewer than
    LEAST_TRAININGS, or LEAST_GROUPS.
    """
    trainings, groups = right.shape
    # Not the numbers that draw the groups: the two would go together.
    rng = np.random.default_rng([seed, 1])
    drawn = []
    for weights in _weights_of(groups, seed):
        picks = rng.integers(0, trainings, (weights.shape[0], trainings))
        times = np.stack([np.bincount(row, minlength=trainings) for row in picks])
        sums = np.einsum("rt,tg,rg->r", times, right, weights, optimize=True)
        drawn.append(sums / (trainings * weights @ sizes))
    value = float(right.sum() / (trainings * sizes.sum()))
    enough = groups if trainings >= LEAST_TRAININGS else 0
    return _interval(value, np.concatenate(drawn), enough, is_share=False)


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two models on the same samples."""

    only_first: int
    """Samples that the first model alone has right,"""
    only_second: int
    """and the second alone."""
    p_value: float
    """Exact and two-sided: how likely so uneven a count is if both are as good."""


def mcnemar(labels: Ids, first: Ids, second: Ids) -> McNemar:
    """Return McNemar's exact test of predictions (N,), as if samples were independent."""
    from scipy.stats import binomtest

    right, other = first == labels, second == labels
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    uneven = only_first + only_second
    p_value = float(binomtest(only_first, uneven, 0.5).pvalue) if uneven else 1.0
    return McNemar(only_first, only_second, p_value)


def _weights_of(groups: int, seed: int) -> Iterator[Floats]:
    """Yield how often each of the groups is in some of the RESAMPLES, (some, G)."""
    rng = np.random.default_rng(seed)
    step = max(1, min(RESAMPLES, WEIGHTS_HELD // max(groups, 1)))
    for start in range(0, RESAMPLES, step):
        draws = min(step, RESAMPLES - start)
        drawn = rng.integers(0, max(groups, 1), (draws, groups))
        drawn += np.arange(draws)[:, None] * groups
        counted = np.bincount(drawn.ravel(), minlength=draws * groups)
        yield counted.reshape(draws, groups).astype(float)


def _summed(counts: Counts) -> Counts:
    return Counts(*(getattr(counts, name).sum(axis=0) for name in Counts.__annotations__))


def _interval(value: float, drawn: NDArray[np.float64], groups: int, is_share: bool) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not known.size or groups < LEAST_GROUPS:
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in np.quantile(known, (tail, 1 - tail)))
    # Wilson's interval of 0 or all of n trials has its other end at z^2 / (n + z^2) from it.
    far = DEVIATIONS**2 / (groups + DEVIATIONS**2)
    if is_share and low == high and value in (0.0, 1.0):
        low, high = (low, far) if value == 0 else (1 - far, high)
    return Interval(value, low, high)
