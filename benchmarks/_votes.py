"""Simulated votes: eight classes as frequent as in Table 1, five raters out of forty on each item.

The three worlds are made so that majority and Dawid-Skene come out near what was measured before
(majority .849, .751, .716; Dawid-Skene .887, .839, .830 with 8 000 items). No rater is drawn from
the model that is measured: each has an accuracy and a way of erring of her own in every class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occlufer.annotation.aggregation.ballots import Ballots
from occlufer.schema import LABELS, TABLE_1

# The classes that each class is most taken for, in the order of LABELS.
TAKEN_FOR = ((1, 5, 4), (0, 7, 5), (6, 5, 0), (4, 7, 6), (5, 7, 3), (4, 2, 0), (2, 3, 4), (4, 1, 3))
RATERS, VOTES = 40, 5
ACCURACY, DEVIATION = (0.5, 0.7), 0.08
NEAR_SHARE = 0.6  # of a rater's errors are for one of the classes above
SPAMMERS, BIASED = 8, 4  # of the raters, if there are any
FAVOURITE_SHARE = 0.6  # of a biased rater's answers are what she likes
HARD_SHARE, LURE_SHARE = 0.2, 0.45  # of items; of the votes on one that go to the same wrong class
GOLD = 50
WORLDS = ("plain", "spammers", "spammers and biased")

Truth = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Votes, and what is true."""

    ballots: Ballots
    truth: Truth

    def gold(self) -> dict[str, str]:
        """Return {item: its true answer} of the first few items."""
        return {self.ballots.items[i]: LABELS[self.truth[i]] for i in range(GOLD)}


def world(kind: str, items: int, seed: int, hard: bool = False) -> World:
    """Return a world of one of WORLDS; `hard`: on some items many raters err alike."""
    rng = np.random.default_rng([seed, items, WORLDS.index(kind)])
    prevalence = np.array(TABLE_1["train"]) / sum(TABLE_1["train"])
    truth = rng.choice(len(LABELS), size=items, p=prevalence)
    raters = np.stack([rater(kind, number, rng) for number in range(RATERS)])
    who = np.sort(np.argsort(rng.random((items, RATERS)), axis=1)[:, :VOTES], axis=1).ravel()
    item = np.repeat(np.arange(items), VOTES)
    chances = raters[who, truth[item]].cumsum(axis=1)
    answer = (chances < rng.random((len(item), 1))).sum(axis=1).clip(max=len(LABELS) - 1)
    if hard:
        lured = (rng.random(items) < HARD_SHARE)[item] & (rng.random(len(item)) < LURE_SHARE)
        answer = np.where(lured, np.array(TAKEN_FOR)[truth, 0][item], answer)
    names = tuple(f"{number:05d}" for number in range(items))
    people = tuple(f"rater_{number:02d}" for number in range(RATERS))
    return World(Ballots(names, people, item, who, answer, np.ones(len(item)), LABELS), truth)


def rater(kind: str, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the confusion matrix of one rater; the first ones are spammers, then biased ones."""
    count = len(LABELS)
    matrix, favourite = careful(rng), int(rng.integers(count))
    always: NDArray[np.float64] = np.eye(count)[[favourite] * count]
    if kind == "plain":
        return matrix
    if number < SPAMMERS and number % 2:
        return np.full((count, count), 1 / count)  # answers at random
    if number < SPAMMERS:  # gives the same answer
        return 0.06 / count + 0.94 * always
    if kind == WORLDS[2] and number < SPAMMERS + BIASED:
        return (1 - FAVOURITE_SHARE) * matrix + FAVOURITE_SHARE * always
    return matrix


def careful(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the confusion matrix of a rater who tries."""
    count, level = len(LABELS), rng.uniform(*ACCURACY)
    matrix: NDArray[np.float64] = np.zeros((count, count))
    for label, near in enumerate(TAKEN_FOR):
        errors = (1 - NEAR_SHARE) * (np.arange(count) != label) / (count - 1)
        errors[list(near)] += NEAR_SHARE * rng.dirichlet([1.5] * len(near))
        right = float(np.clip(level + rng.normal(0, DEVIATION), 0.2, 0.98))
        matrix[label] = (1 - right) * errors
        matrix[label, label] = right
    return matrix
