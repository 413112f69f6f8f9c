"""Ballots: who answered what on which image, as arrays that any count or model can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occlufer.record import Record
from occlufer.schema import ANSWERS, NO_CLASS
from occlufer.vote_log import GIVEN, Answer

Indices = NDArray[np.int64]
Numbers = NDArray[np.float64]
Weights = Numbers  # votes, each counted as many times as people gave it

SOURCE = "source:"
UNCERTAIN = "uncertain"
# What a source calls no expression, as a person would have answered it.
NO_CLASS_ANSWERS = {
    word: "not_a_face" if becomes == "rejected" else UNCERTAIN for word, becomes in NO_CLASS.items()
}


@dataclass(frozen=True, eq=False)
class Ballots:
    """A row for each answer that a rater gave to an item, sorted by item, rater and answer."""

    items: tuple[str, ...]
    """Sorted; those on which nobody has voted are here too."""
    raters: tuple[str, ...]
    """Sorted; only those who have voted."""
    item: Indices
    """(B,) position in `items`."""
    rater: Indices
    """(B,) position in `raters`."""
    answer: Indices
    """(B,) position in `answers`."""
    weight: Weights
    """(B,) how many people say so: more than 1 where the rater is a panel."""
    answers: tuple[str, ...] = ANSWERS
    """What may be answered."""

    @property
    def states(self) -> tuple[str, ...]:
        """Return what can be true of an item: all that may be answered but "uncertain"."""
        return tuple(word for word in self.answers if word != UNCERTAIN)

    def counts(self) -> Weights:
        """Return the votes, as (items, answers)."""
        shape = len(self.items), len(self.answers)
        cell = self.item * shape[1] + self.answer
        found: Weights = np.bincount(cell, self.weight, shape[0] * shape[1]).astype(np.float64)
        return found.reshape(shape)

    def among(self, items: Iterable[str]) -> Ballots:
        """Return the ballots on some of the items, e.g. those with one type of occlusion."""
        wanted = set(items)
        kept = np.array([name in wanted for name in self.items], dtype=bool)
        rows = kept[self.item]
        raters, rater = np.unique(self.rater[rows], return_inverse=True)
        return Ballots(
            tuple(name for name, stays in zip(self.items, kept, strict=True) if stays),
            tuple(self.raters[r] for r in raters),
            (np.cumsum(kept) - 1)[self.item[rows]],
            rater,
            self.answer[rows],
            self.weight[rows],
            self.answers,
        )


def ballots(answers: Iterable[Answer], records: Mapping[str, Iterable[Record]]) -> Ballots:
    """Return what people answered and what the sources say, the same whatever their order.

    `answers` are those that stand (`vote_log.standing`); a skip is an abstention. `records` is
    {image: its records}, as `Catalog.holders` gives them. The items are the images of both.
    Raises ValueError for an answer that is none of ANSWERS.
    """
    answers = list(answers)
    cast = people_votes(answers)
    for image, holders in records.items():
        cast.update(source_votes(image, holders))
    return cast_ballots({*records, *(answer.image for answer in answers)}, cast)


def people_votes(answers: Iterable[Answer]) -> Counter[tuple[str, str, str]]:
    """Return {(image, rater, answer): 1} of what people said."""
    cast = Counter[tuple[str, str, str]]()
    for answer in answers:
        if answer.state != GIVEN:
            continue
        place = f"{answer.project}, annotation {answer.annotation}"
        if answer.label not in ANSWERS:
            expected = ", ".join(ANSWERS)
            raise ValueError(f"{place}: found {answer.label!r}, expected one of {expected}")
        if answer.rater.startswith(SOURCE):
            raise ValueError(f"{place}: found the rater {answer.rater!r}: a source's name")
        cast[answer.image, answer.rater, answer.label] = 1
    return cast


def source_votes(image: str, records: Iterable[Record]) -> Counter[tuple[str, str, str]]:
    """Return {(image, rater, answer): how many said so} of the sources' own votes on an image.

    A source takes part as the rater "source:NAME"; where it names raters of its own, as
    "source:NAME/RATER", so that they are nobody else's. The same said twice of one picture by a
    source that lists it twice counts once.
    """
    votes, words = set(), set()
    for record in records:
        votes |= {(record.source, *vars(vote).values()) for vote in record.facts.votes}
        words |= {(record.source, *said) for said in (record.facts.no_class or {}).items()}
    cast = Counter[tuple[str, str, str]]()
    for source, rater, label, count in votes:
        cast[image, _name(source, rater), label] += count
    for source, word, count in words:
        cast[image, SOURCE + source, NO_CLASS_ANSWERS[word]] += count
    return cast


def _name(source: str, rater: str) -> str:
    own = SOURCE + source
    return own if rater == own else f"{own}/{rater}"


def cast_ballots(
    items: Iterable[str],
    cast: Mapping[tuple[str, str, str], float],
    answers: Sequence[str] = ANSWERS,
) -> Ballots:
    """Return {(item, rater, answer): how many said so} as arrays; items without votes stay."""
    given = {key: count for key, count in cast.items() if count > 0}
    places = [
        {name: i for i, name in enumerate(names)}
        for names in (
            sorted({*items, *(item for item, _, _ in given)}),
            sorted({rater for _, rater, _ in given}),
            answers,
        )
    ]
    rows = sorted(
        (*(place[name] for place, name in zip(places, key, strict=True)), count)
        for key, count in given.items()
    )
    item, rater, answer, weight = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Ballots(
        tuple(places[0]),
        tuple(places[1]),
        item.astype(np.int64),
        rater.astype(np.int64),
        answer.astype(np.int64),
        weight.copy(),
        tuple(answers),
    )
