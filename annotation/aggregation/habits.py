"""Habits: how a rater votes, in so few numbers that a few votes tell them.

A rater of this model knows the answer with one probability; with another she errs as everybody
errs; else she answers by a taste of her own, whatever she is shown. So who is careless, who gives
every picture the same answer and who leans towards one answer shows long before there are votes
enough for a confusion matrix of each. (MACE, Hovy et al. 2013, has knowing and taste only.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .ballots import Numbers, Weights
from .latent import Problem

# Votes added to those counted (Dirichlet priors): to knowing, erring as all do, and taste;
HABIT_VOTES = np.array([6.0, 3.0, 3.0])
# to each error of everybody's; to each answer of a rater's taste.
ERROR_VOTES, TASTE_VOTES = 5.0, 3.0


@dataclass(frozen=True, eq=False)
class Habits:
    """The numbers of the model, for R raters, K states and A answers."""

    share: Numbers
    """(R, 3) how often each rater knows, errs as everybody does, and follows her taste."""
    errors: Numbers
    """(K, A) what everybody says who errs."""
    taste: Numbers
    """(R, A) what each says whatever she is shown."""
    home: Numbers
    """(K, A) 1 where the answer names the state."""

    def parts(self) -> Numbers:
        """Return the probability of coming each of the three ways to each answer, (3, R, K, A)."""
        knows, errs, follows = self.share.T[:, :, None, None]
        taste = np.broadcast_to(self.taste[:, None, :], (len(self.taste), *self.home.shape))
        return np.stack([knows * self.home, errs * self.errors, follows * taste])

    def confusion(self) -> Numbers:
        """Return (R, K, A): how probable each answer of a rater is in each state."""
        found: Numbers = self.parts().sum(axis=0)
        return found

    def log_prior(self) -> float:
        """Return the logarithm of the prior of these habits, up to a constant."""
        return float(
            (HABIT_VOTES * np.log(self.share)).sum()
            + ERROR_VOTES * np.log(self.errors[self.home == 0]).sum()
            + TASTE_VOTES * np.log(self.taste).sum()
        )

    def after(self, counts: Weights) -> Habits:
        """Return habits that explain (R, K, A) answers in states no worse than these do."""
        parts = self.parts()
        ways = parts / parts.sum(axis=0) * counts
        return replace(
            self,
            share=rows(ways.sum(axis=(2, 3)).T + HABIT_VOTES),
            errors=rows(ways[1].sum(axis=0) + ERROR_VOTES * (1 - self.home)),
            taste=rows(ways[2].sum(axis=1) + TASTE_VOTES),
        )


def first_habits(problem: Problem) -> Habits:
    """Return the habits of raters of whom nothing is known."""
    _, R, _, A = problem.shape
    share = np.tile(rows(HABIT_VOTES), (R, 1))
    return Habits(share, rows(1 - problem.home), np.full((R, A), 1 / A), problem.home)


def rows(votes: Weights) -> Numbers:
    """Return votes as shares of their rows."""
    found: Numbers = votes / votes.sum(axis=-1, keepdims=True)
    return found
