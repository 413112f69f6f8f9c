"""How each rater answers: how well, how fast, how monotonously, and who changed her rows."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from occlufer.schema import ANSWERS
from occlufer.vote_log import DELETED, GIVEN, REFUSED, SKIPPED, Answer, standing

from .monotony import Monotony, monotony

Z_95 = 1.959963984540054
FAST_S = 1.0
"""Nobody sees a face, makes up her mind and submits in less."""
HASTY = 1 / 3
"""A lead time below this share of everybody's median is hasty."""


@dataclass(frozen=True)
class Share:
    """Some out of all, with Wilson's 95 % interval."""

    count: int
    total: int

    @property
    def share(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its interval, inside [0, 1] and of some width even if all or none are right."""
        return wilson(self.count, self.total) if self.total else None


@dataclass(frozen=True)
class Pace:
    """How long a rater takes; what has no time, or one of zero or less, is not counted."""

    timed: int
    median_s: float | None
    fast_share: float | None
    """The share below FAST_S,"""
    hasty_share: float | None
    """and below HASTY of the median of everybody's times."""


@dataclass(frozen=True)
class Rows:
    """What became of the rows of a rater on the server."""

    answers: int
    """Images that she has answered,"""
    skips: int
    """and skipped. Of two answers to an image the newest counts,"""
    double: int
    """and the others are counted here."""
    deleted: int
    refused: int
    """Rows that say nothing we asked for, see `Answer.detail`."""
    edited_by_others: int
    """Her rows that somebody else has ever changed,"""
    edited_others: int
    """and others' rows that she has."""


@dataclass(frozen=True)
class RaterStatistics:
    """What is known of one rater."""

    rater: str
    rows: Rows
    confusion: list[list[int]]
    """How often which label (row) got which of her answers (column), both as in ANSWERS."""
    gold: Share
    pace: Pace
    monotony: Monotony


def rater_statistics(
    history: Sequence[Answer], labels: Mapping[str, str], gold: Mapping[str, str]
) -> list[RaterStatistics]:
    """Return the statistics of every rater, by pseudonym.

    `history` is every state of every answer of one round; `labels` is {image: label} as
    aggregated from everybody, and `gold` {image: known answer}.
    """
    last = {(answer.project, answer.annotation): answer for answer in history}
    counted = standing(last.values())
    rows = _rows(history, list(last.values()), counted)
    given = sorted(
        (answer for answer in counted if answer.state == GIVEN),
        key=lambda answer: (answer.created_at, answer.annotation),
    )
    common_s = _median(seconds(given))
    by_image: dict[str, list[Answer]] = {}
    by_rater: dict[str, list[Answer]] = {rater: [] for rater in rows}
    for answer in given:
        by_image.setdefault(answer.image, []).append(answer)
        by_rater[answer.rater].append(answer)
    return [
        RaterStatistics(
            rater,
            rows[rater],
            confusion(answers, labels),
            right(answers, gold),
            pace(seconds(answers), common_s),
            monotony(answers, by_image),
        )
        for rater, answers in by_rater.items()
    ]


def _rows(
    history: Sequence[Answer], last: Sequence[Answer], counted: Sequence[Answer]
) -> dict[str, Rows]:
    """Return {rater: rows}, sorted; a row that was edited by two people is edited once."""
    edits = {(a.project, a.annotation, a.rater, a.edited_by) for a in history if a.edited_by}
    edited = Counter(rater for _, _, rater in {edit[:3] for edit in edits})
    editors = Counter(editor for *_, editor in edits)
    stand = Counter((answer.rater, answer.state) for answer in counted)
    states = Counter((answer.rater, answer.state) for answer in last)
    return {
        rater: Rows(
            answers=stand[rater, GIVEN],
            skips=stand[rater, SKIPPED],
            double=sum(states[rater, state] - stand[rater, state] for state in (GIVEN, SKIPPED)),
            deleted=states[rater, DELETED],
            refused=states[rater, REFUSED],
            edited_by_others=edited[rater],
            edited_others=editors[rater],
        )
        for rater in sorted({answer.rater for answer in history} | set(editors))
    }


def confusion(answers: Iterable[Answer], labels: Mapping[str, str]) -> list[list[int]]:
    """Return how often each label (row) was answered with each answer (column)."""
    pairs = Counter((labels.get(answer.image), answer.label) for answer in answers)
    return [[pairs[label, said] for said in ANSWERS] for label in ANSWERS]


def right(answers: Iterable[Answer], gold: Mapping[str, str]) -> Share:
    """Return how many of the answers to gold items are the known ones."""
    asked = [answer for answer in answers if answer.image in gold]
    return Share(sum(answer.label == gold[answer.image] for answer in asked), len(asked))


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, equation 1)."""
    share, weight = count / total, Z_95**2 / total
    middle = (share + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(share * (1 - share) / total + weight / total / 4) / (1 + weight)
    # Exact at the ends, where rounding would leave the interval without its share.
    return middle - half if count else 0.0, middle + half if count < total else 1.0


# Pace --------------------------------------------------------------------------------------------


def seconds(answers: Iterable[Answer]) -> list[float]:
    """Return the lead times that say something: the server leaves some out or sends zero."""
    times = (answer.lead_time_s for answer in answers)
    return [time for time in times if time is not None and 0 < time < math.inf]


def pace(times_s: Sequence[float], common_s: float | None) -> Pace:
    """Return how long the rater takes, against the median of all times."""
    if not times_s or common_s is None:
        return Pace(0, None, None, None)
    count = len(times_s)
    fast = sum(time < FAST_S for time in times_s) / count
    hasty = sum(time < HASTY * common_s for time in times_s) / count
    return Pace(count, statistics.median(times_s), fast, hasty)


def _median(times_s: Sequence[float]) -> float | None:
    return statistics.median(times_s) if times_s else None
