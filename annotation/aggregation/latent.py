"""Latent truth: what is true of items, found by expectation maximisation, for any model of raters.

The posterior of the items and the model of the raters are found in turns; what is climbed is the
log posterior of the model, so it never falls. No draw, no order: the same ballots, the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .ballots import Ballots, Indices, Numbers, Weights

ROUNDS = 500
# Votes added to those counted: to every state in its prevalence, and in the first guess; to every
# answer of a rater, before it is said how often she gives it.
PREVALENCE_VOTES, FIRST_VOTES, HABITUAL_VOTES = 1.0, 0.1, 3.0


@dataclass(frozen=True, eq=False)
class Problem:
    """Ballots as the climb takes them: N items, R raters, K states, A answers."""

    item: Indices
    cell: Indices
    """(B,) rater * A + answer."""
    weight: Weights
    shape: tuple[int, int, int, int]
    """N, R, K, A."""
    home: Numbers
    """(K, A) 1 where the answer names the state."""
    known: Indices
    """(N,) the state that is known to be true, -1 where none is."""

    @cached_property
    def _cells(self) -> Indices:
        """(K * B,) the place of each vote among (K, R, A)."""
        _, R, K, A = self.shape
        return (np.arange(K)[:, None] * (R * A) + self.cell).ravel()

    @cached_property
    def _items(self) -> Indices:
        """(K * B,) the place of each vote among (K, N)."""
        N, _, K, _ = self.shape
        return (np.arange(K)[:, None] * N + self.item).ravel()

    @cached_property
    def _weights(self) -> Weights:
        return np.tile(self.weight, self.shape[2])

    def counts(self, posterior: Numbers) -> Weights:
        """Return how often each rater gave each answer in each state, as (R, K, A)."""
        _, R, K, A = self.shape
        share = posterior.ravel()[self._items] * self._weights
        found = np.bincount(self._cells, share, K * R * A).reshape(K, R, A)
        return np.ascontiguousarray(found.transpose(1, 0, 2))

    def posterior(self, confusion: Numbers, prevalence: Numbers) -> tuple[Numbers, float]:
        """Return the posterior of the items, as (K, N), and the log likelihood of all votes."""
        N, _, K, _ = self.shape
        said = np.log(confusion).transpose(1, 0, 2).ravel()[self._cells] * self._weights
        score = np.log(prevalence)[:, None] + np.bincount(self._items, said, K * N).reshape(K, N)
        score[self._excluded] = -np.inf
        top = score.max(axis=0)
        found = np.exp(score - top)
        total = found.sum(axis=0)
        return found / total, float((top + np.log(total)).sum())

    def first_guess(self) -> Numbers:
        """Return the shares of the votes as a posterior, as (K, N)."""
        return self._shares(self.weight)

    def second_guess(self) -> Numbers:
        """Return the shares, but a vote counts the less the more often its rater says the same.

        So raters who always give one answer do not win by being many.
        """
        _, R, _, A = self.shape
        said = np.bincount(self.cell, self.weight, R * A).reshape(R, A) + HABITUAL_VOTES
        often = (said / said.sum(axis=1, keepdims=True)).ravel()[self.cell]
        return self._shares(self.weight * (1 - often))

    def _shares(self, weight: Weights) -> Numbers:
        N, _, _, A = self.shape
        votes = np.bincount(self.item * A + self.cell % A, weight, N * A).reshape(N, A)
        found: Numbers = self.home @ votes.T + FIRST_VOTES
        found[self._excluded] = 0
        found /= found.sum(axis=0)
        return found

    @cached_property
    def _excluded(self) -> NDArray[np.bool_]:
        """Return (K, N): what is not true of the items that are known."""
        states = np.arange(self.shape[2])[:, None]
        excluded: NDArray[np.bool_] = (self.known >= 0) & (self.known != states)
        return excluded


def problem(ballots: Ballots, gold: Mapping[str, str]) -> Problem:
    """Return the ballots as the climb takes them; gold answers that can be true are known."""
    states, answers = ballots.states, ballots.answers
    home = np.array([[float(state == answer) for answer in answers] for state in states])
    places = {state: k for k, state in enumerate(states)}
    known = [places.get(gold.get(item, ""), -1) for item in ballots.items]
    return Problem(
        ballots.item,
        ballots.rater * len(answers) + ballots.answer,
        ballots.weight,
        (len(ballots.items), len(ballots.raters), len(states), len(answers)),
        home,
        np.array(known, dtype=np.int64),
    )


class Model(Protocol):
    """How raters vote."""

    def after(self: M, counts: Weights) -> M:
        """Return a model that explains (R, K, A) answers in states no worse than this one does."""

    def confusion(self) -> Numbers:
        """Return (R, K, A): how probable each answer of a rater is in each state."""

    def log_prior(self) -> float:
        """Return the logarithm of the prior of this model, up to a constant."""


M = TypeVar("M", bound=Model)


@dataclass(frozen=True, eq=False)
class Fit(Generic[M]):
    """Where a climb has ended."""

    posterior: Numbers
    """(K, N)"""
    model: M
    prevalence: Numbers
    """(K,)"""
    trace: tuple[float, ...]
    """The log posterior after each round, up to a constant."""
    converged: bool


def climb(problem: Problem, model: M, posterior: Numbers, gain: float) -> Fit[M]:
    """Return the model and the posterior that explain each other best, from where they are.

    It has converged when a round gains less than `gain` a vote.
    """
    enough = gain * max(problem.weight.sum(), 1.0)
    trace: list[float] = []
    while True:
        model = model.after(problem.counts(posterior))
        prevalence = posterior.sum(axis=1) + PREVALENCE_VOTES
        prevalence /= prevalence.sum()
        posterior, likelihood = problem.posterior(model.confusion(), prevalence)
        prior = model.log_prior() + PREVALENCE_VOTES * float(np.log(prevalence).sum())
        trace.append(likelihood + prior)
        converged = len(trace) > 1 and trace[-1] - trace[-2] < enough
        if converged or len(trace) == ROUNDS:
            return Fit(posterior, model, prevalence, tuple(trace), converged)
