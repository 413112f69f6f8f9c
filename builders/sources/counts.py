"""How many samples a source lists by split and class, against what its paper says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from occlufer.record import Facts

from .adapters import Adapter, adapter_of
from .entry import Entry
from .labels import UNLABELLED

Counts = dict[str, Counter[str]]
"""{split, or "all": {class, word of schema.NO_CLASS, or "unlabelled": samples}}"""

log = logging.getLogger(__name__)


def add(counts: Counts, facts: Facts) -> None:
    """Count one sample."""
    counts.setdefault(facts.source_split or "all", Counter())[_word(facts)] += 1


def _word(facts: Facts) -> str:
    """Return the class, or the word for none, that most of the set's votes say."""
    said = Counter({vote.label: vote.count for vote in facts.votes})
    said.update(facts.no_class or {})
    return said.most_common(1)[0][0] if said else UNLABELLED


def table_1_faults(adapter: Adapter, counts: Counts) -> list[str] | None:
    """Return where the counts differ from the paper's Table 1; None if it is about another set."""
    check = getattr(adapter, "check_table_1", None)
    return None if check is None else list(check(counts))


def entries_of(kind: str, settings: Any, name: str) -> Iterator[Entry]:
    """Yield the entries of a source; after the last, log where it differs from Table 1."""
    adapter = adapter_of(kind, name)
    counts: Counts = {}
    for entry in adapter.entries(settings, name):
        if entry.reject is None:
            add(counts, entry.facts)
        yield entry
    for fault in table_1_faults(adapter, counts) or ():
        log.warning("source %s: Table 1: %s", name, fault)
