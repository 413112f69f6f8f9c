"""Losses: which of the sources' own labels became no class of ours."""

from __future__ import annotations

from collections.abc import Iterable

from occlufer.election import elect
from occlufer.record import Record
from occlufer.schema import NO_CLASS

TIE = "tie"

Losses = dict[str, dict[str, dict[str, int]]]
"""{source: {word: {what it became, "rejected" or "unlabelled": records}}}"""


def losses(records: Iterable[Record]) -> Losses:
    """Return, of every source, the words that became no class, by what they became.

    A word is one of schema.NO_CLASS, "tie" where several have most of a record's votes, or the
    source's own where that stands for no vote at all, e.g. a folder mapped to "unlabelled". A
    record is judged by its own votes: others may give its picture a label still. Sources that lost
    nothing are not there, and neither are records that were rejected for another reason.
    """
    found: Losses = {}
    for record in records:
        lost = _lost(record)
        if lost is not None:
            word, became = lost
            counts = found.setdefault(record.source, {}).setdefault(word, {})
            counts[became] = counts.get(became, 0) + 1
    return {source: dict(sorted(words.items())) for source, words in sorted(found.items())}


def total(found: Losses) -> dict[str, dict[str, int]]:
    """Return {source: {word: records}}."""
    return {
        source: {word: sum(became.values()) for word, became in words.items()}
        for source, words in found.items()
    }


def _lost(record: Record) -> tuple[str, str] | None:
    """Return the word that became no class, and what it became; None if nothing was lost."""
    if record.reject is not None:
        word = record.reject.reason
        return (word, "rejected") if NO_CLASS.get(word) == "rejected" else None
    election = elect(record.facts.votes, record.facts.no_class)
    if election.label is not None:
        return None
    if len(election.winners) > 1:
        return TIE, "unlabelled"
    word = election.winners[0] if election.winners else record.facts.source_label or ""
    return (word, "unlabelled") if word else None
