"""Agreement: how far raters say the same, beyond what chance would bring about.

Each measure takes votes as (items, answers), see `Ballots.counts`, so that a subset of the items
is a subset of the rows. It is None where it is not defined: no item has two votes, or all votes
are for one answer, so that there is nothing on which raters could have disagreed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ballots import Weights


def krippendorff_alpha(counts: Weights) -> float | None:
    """Return Krippendorff's alpha for nominal data, whatever the number of votes on each item.

    1 is full agreement, 0 what chance brings about. An item with one vote is left out, as nothing
    can be compared with it. (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C.)
    """
    counts = counts[counts.sum(axis=1) > 1]
    votes = counts.sum(axis=0)
    total = votes.sum()
    by_chance = total**2 - (votes**2).sum()
    if by_chance <= 0:
        return None
    # A pair weighs 1 / (votes - 1), so that each vote counts once, however many there are.
    agreeing = ((counts * (counts - 1)).sum(axis=1) / (counts.sum(axis=1) - 1)).sum()
    return float(1 - (total - 1) * (total - agreeing) / by_chance)


def fleiss_kappa(counts: Weights) -> float | None:
    """Return Fleiss' kappa of the items that it is defined for, see `fleiss_items`.

    (Fleiss 1971, "Measuring nominal scale agreement among many raters", equations 1 to 7.)
    """
    counts = counts[fleiss_items(counts)]
    if not len(counts):
        return None
    votes = counts[0].sum()
    observed = ((counts * (counts - 1)).sum(axis=1) / (votes * (votes - 1))).mean()
    by_chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    if by_chance >= 1:
        return None
    return float((observed - by_chance) / (1 - by_chance))


def fleiss_items(counts: Weights) -> NDArray[np.bool_]:
    """Return which items Fleiss' kappa takes: those with as many votes as most items have.

    It asks for the same number on each, of two or more. Items with more or fewer are left out; if
    two numbers are as frequent, the greater is taken.
    """
    votes = np.rint(counts.sum(axis=1)).astype(np.int64)
    frequency = np.bincount(votes, minlength=2)
    frequency[:2] = 0
    most = len(frequency) - 1 - int(np.argmax(frequency[::-1]))
    chosen: NDArray[np.bool_] = (votes == most) & (votes > 1)
    return chosen


def one_against_rest(counts: Weights, answer: int) -> Weights:
    """Return the votes for one answer and those for any other, as (items, 2).

    A measure of these is the agreement on a class.
    """
    one = counts[:, answer]
    return np.column_stack([one, counts.sum(axis=1) - one])
