"""Calibration: how much less sure the posterior should be, as one number, its temperature.

A model that was fitted to the very votes that it explains is too sure of itself: by its fitted
numbers, and by what it leaves out, e.g. that some pictures are hard for everybody. The temperature
T divides the log posterior; known answers give it, or the votes themselves, in two steps:

1. Votes are drawn from the fitted model. There the truth is known, and with it the T that suits it.
2. Votes that were held out tell a T too, of another kind. It is taken of the real votes and of the
   drawn ones: what it is more of the real ones is what the model leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .ballots import Indices, Numbers
from .dawid_skene import Rows, dawid_skene
from .latent import Fit, Problem

TEMPERATURES = 0.5 * 1.05 ** np.arange(48)  # up to 5
# How far T may be from what is expected where there is little to tell it: a deviation of log T.
DEVIATION = 0.3
FOLDS = 5
# So many held-out votes, or drawn items, are enough.
ENOUGH_VOTES, ENOUGH_ITEMS, MOST_WORLDS = 4000, 2000, 3
TINY = 1e-300


def tempered(posterior: Numbers, temperature: float) -> Numbers:
    """Return the posterior (K, N) of which the model should be no surer than it is right."""
    return _softened(_logarithm(posterior), temperature)


def _logarithm(posterior: Numbers) -> Numbers:
    """Return log p / the likeliest p of each item."""
    score: Numbers = np.log(np.maximum(posterior, TINY))
    score -= score.max(axis=0)
    return score


def _softened(score: Numbers, temperature: float) -> Numbers:
    found: Numbers = np.exp(score / temperature)
    found /= found.sum(axis=0)
    return found


def calibration_error(posterior: Numbers, truth: Indices, bins: int = 15) -> float:
    """Return the expected calibration error of (K, N): how far sureness is from being right.

    Items are put in bins by the probability of the likeliest state. (Guo et al. 2017, equation 3.)
    """
    sure, right = posterior.max(axis=0), posterior.argmax(axis=0) == truth
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, right.astype(np.float64) - sure, bins)
    return float(np.abs(gaps).sum() / max(len(truth), 1))


def temperature(problem: Problem, fit: Fit[Rows], seed: int = 0) -> float:
    """Return T, by known answers as far as there are some, else by the votes alone."""
    expected = temperature_by_votes(problem, fit, seed)
    known = problem.known >= 0
    if not known.any():
        return expected
    # As if they were not known: so sure is the model of an item of which it has but the votes.
    blind = dawid_skene(replace(problem, known=np.full_like(problem.known, -1)))
    return _best(_log_right(blind.posterior[:, known], problem.known[known]), expected)


def temperature_by_votes(problem: Problem, fit: Fit[Rows], seed: int = 0) -> float:
    """Return T by the votes alone."""
    units = _units(problem)
    if not len(units.item):
        return 1.0
    right, held_out = [], []
    for world, truth in _worlds(units, fit, np.random.default_rng(seed)):
        unknown = world.known < 0
        again = dawid_skene(world)
        right.append(_log_right(again.posterior[:, unknown], truth[unknown]))
        held_out.append(_held_out(world))
    left_out = _best(_held_out(units)) / _best(np.mean(held_out, axis=0))
    drawn = _best(np.sum(right, axis=0))
    return float(np.clip(drawn * left_out, TEMPERATURES[0], TEMPERATURES[-1]))


def _best(log_likelihood: Numbers, expected: float = 1.0) -> float:
    """Return the T under which what was seen is likeliest, and which is not far from `expected`."""
    far = np.log(TEMPERATURES / expected) / DEVIATION
    return float(TEMPERATURES[np.argmax(log_likelihood - far**2 / 2)])


def _log_right(posterior: Numbers, truth: Indices) -> Numbers:
    """Return the log likelihood of what is true, for each of TEMPERATURES."""
    score, place = _logarithm(posterior), (truth, np.arange(len(truth)))
    likelihoods = (np.log(_softened(score, T)[place] + TINY).sum() for T in TEMPERATURES)
    return np.fromiter(likelihoods, np.float64)


def _held_out(problem: Problem) -> Numbers:
    """Return the log likelihood of votes that the model was not shown, for each of TEMPERATURES."""
    fold = np.arange(len(problem.item)) % FOLDS
    folds = min(max(ENOUGH_VOTES * FOLDS // len(fold), 1), FOLDS)
    total = np.zeros(len(TEMPERATURES))
    for number in range(folds):
        total += _held_out_fold(problem, fold == number)
    return total


def _held_out_fold(problem: Problem, out: NDArray[np.bool_]) -> Numbers:
    rest = replace(
        problem, item=problem.item[~out], cell=problem.cell[~out], weight=problem.weight[~out]
    )
    # Of an item without another vote there is only the prevalence, which says nothing of T.
    left = np.bincount(rest.item, minlength=problem.shape[0]) > 0
    asked = out & left[problem.item] & (problem.known < 0)[problem.item]
    fit = dawid_skene(rest)
    rater, answer = np.divmod(problem.cell[asked], problem.shape[3])
    says = fit.model.matrix.transpose(1, 0, 2)[:, rater, answer]
    score = _logarithm(fit.posterior[:, problem.item[asked]])
    likelihoods = (np.log((_softened(score, T) * says).sum(axis=0)).sum() for T in TEMPERATURES)
    return np.fromiter(likelihoods, np.float64)


def _worlds(
    units: Problem, fit: Fit[Rows], rng: np.random.Generator
) -> Iterator[tuple[Problem, Indices]]:
    """Yield votes as the model has them, on as many items by the same raters, and their truth."""
    N, _, _, A = units.shape
    for _ in range(min(max(ENOUGH_ITEMS // N, 1), MOST_WORLDS)):
        truth = _drawn(np.tile(fit.prevalence, (N, 1)), rng)
        truth = np.where(units.known >= 0, units.known, truth)
        rater = units.cell // A
        answer = _drawn(fit.model.matrix[rater, truth[units.item]], rng)
        yield replace(units, cell=rater * A + answer), truth


def _drawn(shares: Numbers, rng: np.random.Generator) -> Indices:
    """Return one column for each row of shares, drawn by them."""
    below = np.cumsum(shares, axis=1)[:, :-1] <= rng.random((len(shares), 1))
    found: Indices = below.sum(axis=1)
    return found


def _units(problem: Problem) -> Problem:
    """Return a row for each person, where a panel has one for all who said the same."""
    rows = np.repeat(np.arange(len(problem.item)), np.rint(problem.weight).astype(np.int64))
    return replace(
        problem, item=problem.item[rows], cell=problem.cell[rows], weight=np.ones(len(rows))
    )
