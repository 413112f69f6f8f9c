"""Dawid-Skene: what is true of each item, and how each rater confuses what is true.

(Dawid and Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm".) The rows of the confusion matrices have a Dirichlet prior around the rater's habits:
with few votes a rater is what her habits say, with many what her votes say. See
docs/decisions/0010-aggregation.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .ballots import Numbers, Weights
from .habits import Habits, first_habits, rows
from .latent import Fit, Problem, climb

# How many votes in a state the habits of a rater are worth.
HABITS_ARE_WORTH = 20.0
# What a round must gain a vote, or a climb is over: the first two, that of habits, the last one.
# Where it ends, no probability is .003 away from where it would stand still; with a thousand times
# that gain some were .04 away.
FIRST_GAIN, HABITS_GAIN, GAIN = 1e-4, 1e-8, 1e-9
# and what the second of the first two must gain, or the first one is gone on with.
CLEAR_GAIN = 1e-3
# By how many votes another answer must lead before a state seems to have a wrong name.
MISNAMED_VOTES = 1.0


@dataclass(frozen=True, eq=False)
class Rows:
    """Confusion matrices, for R raters, K states and A answers."""

    prior: Weights
    """(R, K, A) votes added to those counted."""
    matrix: Numbers
    """(R, K, A)"""

    def confusion(self) -> Numbers:
        """Return (R, K, A): how probable each answer of a rater is in each state."""
        return self.matrix

    def log_prior(self) -> float:
        """Return the logarithm of the prior of the rows, up to a constant."""
        return float((self.prior * np.log(self.matrix)).sum())

    def after(self, counts: Weights) -> Rows:
        """Return the rows that explain (R, K, A) answers in states best."""
        return replace(self, matrix=rows(counts + self.prior))


def dawid_skene(problem: Problem) -> Fit[Rows]:
    """Return the truth and the confusion matrices that explain each other best."""
    habits = best_habits(problem)
    around = habits.model.confusion()
    return climb(problem, Rows(HABITS_ARE_WORTH * around, around), habits.posterior, GAIN)


def best_habits(problem: Problem) -> Fit[Habits]:
    """Return the truth and the habits that explain each other best, from two first guesses.

    A climb ends on the hill where it began: if all votes count alike, many raters who always give
    the same answer may be taken for those who know.
    """
    guesses = problem.first_guess(), problem.second_guess()
    one, other = (climb(problem, first_habits(problem), guess, FIRST_GAIN) for guess in guesses)
    clearly = CLEAR_GAIN * problem.weight.sum()
    best = other if other.trace[-1] > one.trace[-1] + clearly else one
    last = climb(problem, best.model, best.posterior, HABITS_GAIN)
    return replace(last, trace=best.trace + last.trace)


def misnamed(fit: Fit[Rows], problem: Problem) -> list[int]:
    """Return the states in which raters, taken together, mostly give another answer.

    Either they are mistaken as one, or the model has changed the names of states.
    """
    said = problem.counts(fit.posterior).sum(axis=0)
    named = (said * problem.home).sum(axis=1)
    found: list[int] = np.flatnonzero(said.max(axis=1) >= named + MISNAMED_VOTES).tolist()
    return found
