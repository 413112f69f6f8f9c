"""Elections: which word the votes on a sample chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from occlufer.record import Record, Vote
from occlufer.schema import LABELS


@dataclass(frozen=True)
class Election:
    """The count of some votes."""

    votes: list[int]
    """Votes per class, in the order of LABELS."""
    winners: list[str]
    """The words with the most votes: none if nobody has voted, several if they share the place."""
    most: int
    total: int

    @property
    def label(self) -> str | None:
        """The class that was elected; None if there is no winner, several, or one of NO_CLASS."""
        alone = len(self.winners) == 1 and self.winners[0] in LABELS
        return self.winners[0] if alone else None

    @property
    def agreement(self) -> float:
        """The winner's share of the votes."""
        return round(self.most / self.total, 4)


def elect(votes: Iterable[Vote], no_class: Mapping[str, int] | None = None) -> Election:
    """Return the count of `votes`; the same one given twice counts once.

    `no_class` is {word of schema.NO_CLASS: votes}; it stands for election, but gives no label.
    """
    given = set(votes)
    counts = [sum(vote.count for vote in given if vote.label == label) for label in LABELS]
    candidates = dict(zip(LABELS, counts, strict=True)) | dict(no_class or {})
    most = max(candidates.values())
    winners = [word for word, count in candidates.items() if count == most] if most else []
    return Election(counts, winners, most, sum(candidates.values()))


def elect_by_sources(records: Iterable[Record]) -> Election:
    """Return the count of the votes that the records of one image bring from their sources."""
    records = list(records)
    votes = {vote for record in records for vote in record.facts.votes}
    # Once per source, as the votes: the same file listed twice says nothing more.
    said = {(r.source, *pair) for r in records for pair in (r.facts.no_class or {}).items()}
    no_class = Counter[str]()
    for _, word, count in said:
        no_class[word] += count
    return elect(votes, no_class)


def shares(counts: Sequence[float]) -> list[float]:
    """Return each count's share of their sum, which must not be zero; sums to 1."""
    total = sum(counts)
    return [round(count / total, 6) for count in counts]
