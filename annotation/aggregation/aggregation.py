"""Aggregation: what the votes on each item come to, and how sure that is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .ballots import UNCERTAIN, Ballots, Numbers
from .calibration import temperature, tempered
from .dawid_skene import Rows, dawid_skene, misnamed
from .latent import Fit, problem

NOTHING_KNOWN: Mapping[str, str] = MappingProxyType({})

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Aggregation:
    """What votes come to, for N items, R raters, K states and A answers."""

    ballots: Ballots
    posterior: Numbers
    """(N, A) how probable each answer is, in the order of `ballots.answers`; rows sum to 1. That of
    "uncertain" is its share of the votes by majority. By Dawid and Skene's model it is 0, or 1 if
    nobody has said anything else."""
    temperature: float = 1.0
    """By how much the model's own posterior was softened; 1 is not at all."""
    fit: Fit[Rows] | None = None
    """The model; None by majority."""

    @property
    def confusion(self) -> Numbers | None:
        """Return (R, K, A): how probable each answer of a rater is in each of `ballots.states`."""
        return None if self.fit is None else self.fit.model.confusion()

    @property
    def iterations(self) -> int:
        """Return how many rounds the model took."""
        return 0 if self.fit is None else len(self.fit.trace)


def aggregate(
    ballots: Ballots, method: str = "dawid_skene", gold: Mapping[str, str] = NOTHING_KNOWN
) -> Aggregation:
    """Return what the votes come to by one of METHODS; `gold` is {item: its known answer}."""
    found = METHODS[method](ballots, gold)
    for number, item in enumerate(ballots.items):
        if item in gold:
            found.posterior[number] = 0
            found.posterior[number, ballots.answers.index(gold[item])] = 1
    return found


def by_majority(ballots: Ballots, gold: Mapping[str, str] = NOTHING_KNOWN) -> Aggregation:
    """Return the shares of the votes."""
    votes = ballots.counts()
    total = votes.sum(axis=1, keepdims=True)
    return Aggregation(ballots, np.divide(votes, total, out=_nobody(ballots), where=total > 0))


def by_dawid_skene(ballots: Ballots, gold: Mapping[str, str] = NOTHING_KNOWN) -> Aggregation:
    """Return the calibrated posterior of Dawid and Skene's model.

    An item of which nobody has said what it is gets no state by the others' alone.
    """
    posed = problem(ballots, gold)
    fit = dawid_skene(posed)
    _warn(fit, misnamed(fit, posed), ballots)
    degree = temperature(posed, fit)
    columns = [ballots.answers.index(state) for state in ballots.states]
    posterior = _nobody(ballots)
    said = ballots.counts()[:, columns].sum(axis=1) > 0
    posterior[said] = 0
    posterior[np.ix_(said, columns)] = tempered(fit.posterior, degree).T[said]
    return Aggregation(ballots, posterior, degree, fit)


METHODS: dict[str, Callable[[Ballots, Mapping[str, str]], Aggregation]] = {
    "dawid_skene": by_dawid_skene,
    "majority": by_majority,
}


def _nobody(ballots: Ballots) -> Numbers:
    """Return (N, A): the posterior of items of which nobody has said what they are."""
    row = [float(answer == UNCERTAIN) for answer in ballots.answers]
    known = row if any(row) else [1 / len(row)] * len(row)
    return np.tile(np.array(known), (len(ballots.items), 1))


def _warn(fit: Fit[Rows], states: list[int], ballots: Ballots) -> None:
    if not fit.converged:
        log.warning("labels: the model of raters still moved after %d rounds", len(fit.trace))
    if states:
        names = ", ".join(ballots.states[state] for state in states)
        log.warning("labels: raters mostly answer something else where the model finds %s", names)
