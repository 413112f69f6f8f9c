"""Monotony: whether a rater gives one answer over and over."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from occlufer.vote_log import Answer


@dataclass(frozen=True)
class Monotony:
    """Whether a rater gives one answer over and over."""

    longest_run: int
    """Of one answer, in the order in which they were given."""
    run_answer: str | None
    run_probability: float | None
    """How likely a run as long is if she gives her answers as often, but in any order."""
    entropy_bits: float | None
    """Of how often she gives which answer: 0 if always the same."""
    others_bits: float | None
    """The same of all others together on the images that she answered."""


def monotony(answers: Sequence[Answer], by_image: Mapping[str, Sequence[Answer]]) -> Monotony:
    """Return how monotonous the answers of one rater are, given in the order of time.

    `by_image` is everybody's answers.
    """
    said = [str(answer.label) for answer in answers]
    if not said:
        return Monotony(0, None, None, None, None)
    runs = [(len(list(same)), label) for label, same in itertools.groupby(said)]
    length, label = max(runs, key=lambda run: run[0])
    counts = Counter(said)
    shares = [count / len(said) for count in counts.values()]
    others = Counter(
        other.label
        for answer in answers
        for other in by_image[answer.image]
        if other.rater != answer.rater
    )
    return Monotony(
        length,
        label,
        run_probability(shares, len(said), length),
        entropy_bits(counts.values()),
        entropy_bits(others.values()) if others else None,
    )


def entropy_bits(counts: Iterable[int]) -> float:
    """Return the entropy of how often each answer was given, in bits."""
    there = [count for count in counts if count]
    total = sum(there)
    return sum(count / total * math.log2(total / count) for count in there)


def run_probability(shares: Sequence[float], draws: int, length: int) -> float:
    """Return how likely some answer comes `length` times or more in a row in so many draws.

    Draws are independent, `shares` the probability of each answer. Exact: the first run that is
    long enough is of one answer, and ends at one draw.
    """
    if length > draws:
        return 0.0
    powers = [share ** (length - 1) for share in shares]
    # Of each answer: the probabilities, draw by draw, that a run of it starts there, and that one
    # is under way now; before the first draw nothing is, and no long run has been.
    starts: list[list[float]] = []
    under_way = [0.0 for _ in shares]
    none_yet, found = 1.0, 0.0
    for draw in range(draws):
        begun = [share * (none_yet - way) for share, way in zip(shares, under_way, strict=True)]
        starts.append(begun)
        first = draw - length + 1
        runs = zip(starts[first], powers, strict=True) if first >= 0 else ()
        ended = [start * power for start, power in runs] or [0.0 for _ in shares]
        steps = zip(shares, under_way, begun, ended, strict=True)
        under_way = [max(0.0, share * way + new - end) for share, way, new, end in steps]
        found += sum(ended)
        none_yet = max(0.0, none_yet - sum(ended))
    return min(1.0, found)
