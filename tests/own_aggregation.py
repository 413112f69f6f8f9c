"""What votes come to, computed once more by other code than ours, for the round trip to be held to.

By majority it is counting. Dawid and Skene's model is the one of docs/decisions/0010 on a dense
table of votes, climbed until it stands still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "contempt",
)
STATES = (*CLASSES, "not_a_face")
SAID = (*CLASSES, "uncertain", "not_a_face")
Votes = Mapping[str, Counter[tuple[str, str]]]
"""{image: {(rater, answer): votes}}"""
Floats = NDArray[np.float64]

KNOWING, ERROR, TASTE, HABITS = (6.0, 3.0, 3.0), 5.0, 3.0, 20.0
ROUNDS = 3000


def counted(votes: Counter[tuple[str, str]]) -> list[int]:
    """Return the votes for each of SAID."""
    totals: Counter[str] = Counter()
    for (_, answer), number in votes.items():
        totals[answer] += number
    return [totals[answer] for answer in SAID]


def majority(votes: Votes) -> dict[str, list[float]]:
    """Return {image: the share of each of SAID}."""
    counts = {image: counted(some) for image, some in votes.items()}
    return {image: [n / sum(row) for n in row] for image, row in counts.items() if sum(row)}


def dawid_skene(votes: Votes, known: Mapping[str, str]) -> dict[str, list[float]]:
    """Return {image: the probability of each of STATES}, before it is made less sure."""
    images = sorted(votes)
    raters = sorted({rater for some in votes.values() for rater, _ in some})
    table = np.zeros((len(images), len(raters), len(SAID)))
    for n, image in enumerate(images):
        for (rater, answer), number in votes[image].items():
            table[n, raters.index(rater), SAID.index(answer)] += number
    named = np.array([[float(state == answer) for answer in SAID] for state in STATES])
    allowed = np.ones((len(images), len(STATES)))
    for n, image in enumerate(images):
        if known.get(image) in STATES:
            allowed[n] = [float(state == known[image]) for state in STATES]
    belief = (np.einsum("nra,ka->nk", table, named) + 0.1) * allowed
    belief /= belief.sum(axis=1, keepdims=True)

    # First the habits: who knows, who errs as all do, who has a taste of her own.
    ways = np.tile(KNOWING, (len(raters), 1))
    ways /= ways.sum(axis=1, keepdims=True)
    errors = (1 - named) / (1 - named).sum(axis=1, keepdims=True)
    taste = np.full((len(raters), len(SAID)), 1 / len(SAID))
    for _ in range(ROUNDS):
        counts = np.einsum("nk,nra->rka", belief, table)
        knows = ways[:, 0, None, None] * named[None]
        errs = ways[:, 1, None, None] * errors[None]
        likes = ways[:, 2, None, None] * taste[:, None, :]
        every = knows + errs + likes
        parts = [part / every * counts for part in (knows, errs, likes)]
        ways = np.stack([part.sum(axis=(1, 2)) for part in parts], axis=1) + KNOWING
        ways /= ways.sum(axis=1, keepdims=True)
        errors = parts[1].sum(axis=0) + ERROR * (1 - named)
        errors /= errors.sum(axis=1, keepdims=True)
        taste = parts[2].sum(axis=1) + TASTE
        taste /= taste.sum(axis=1, keepdims=True)
        matrix = (
            ways[:, 0, None, None] * named[None]
            + ways[:, 1, None, None] * errors[None]
            + ways[:, 2, None, None] * taste[:, None, :]
        )
        before, belief = belief, believed(table, matrix, belief, allowed)
        if np.abs(before - belief).max() < 1e-9:
            break

    # Then the matrices, around them.
    prior = HABITS * matrix
    for _ in range(ROUNDS):
        matrix = np.einsum("nk,nra->rka", belief, table) + prior
        matrix /= matrix.sum(axis=2, keepdims=True)
        before, belief = belief, believed(table, matrix, belief, allowed)
        if np.abs(before - belief).max() < 1e-9:
            break
    return {image: row.tolist() for image, row in zip(images, belief, strict=True)}


def believed(table: Floats, matrix: Floats, before: Floats, allowed: Floats) -> Floats:
    """Return what is believed of the images by the votes and the raters' matrices."""
    frequency = before.sum(axis=0) + 1
    score = np.log(frequency / frequency.sum()) + np.einsum("nra,rka->nk", table, np.log(matrix))
    with np.errstate(divide="ignore"):
        score = score + np.log(allowed)
    found: Floats = np.exp(score - score.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found
