"""The lock of a rebuild that is not whole: the recipe's, with the counts that are really there."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from occlufer.errors import GateError
from occlufer.lock import LOCK_NAME, MAIN, REBUILT, Lock, made_with
from occlufer.schema import LABELS, RIGHTS

from ..published.fault import first_line
from ..published.shards import Row
from ..publishing.documents import DOCUMENTS
from .read import Copy

# Who gave a label, where rows are missing and an index does not say whose label theirs was.
UNTOLD = "untold"


def check_lock(folder: Path, lock: Lock) -> None:
    """Raise GateError for the lock of a recipe of which documents, or a part, cannot be made."""
    try:
        for make in DOCUMENTS.values():
            make(lock)
        lock_of_part(lock, Tally(), ())
        for subset, told in lock.subsets.items():
            _ = told["listed"] + 1, lock.shards[subset].values()
        for terms in lock.sources.values():
            _ = terms["own_attribution"] + 1, terms["rights"].values()
        for table in lock.config["sources"]:
            _ = table["kind"], table["name"]
    except Exception as error:  # there may be anything in it
        raise GateError(
            f"{folder / LOCK_NAME}: found a lock that does not hang together "
            f"({type(error).__name__}: {first_line(error)}), expected what `occlufer build` writes"
        ) from None


class Tally:
    """Counts of the rows that are there, while they pass by."""

    def __init__(self) -> None:
        """Begin without a row."""
        self.labels: dict[tuple[str, str], Counter[str]] = {}
        self.occlusions: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        """{sha256 of the recipe's sample: that of what is there}"""
        self._records: dict[tuple[str, str], tuple[bool, str]] = {}

    def add(self, row: Row, was: str) -> None:
        """Take a row, whose picture was the sample `was` in the recipe."""
        place = (row["config"], row["split"])
        self.labels.setdefault(place, Counter())[LABELS[row["label"]]] += 1
        self.samples[was] = row["sha256"]
        main = row["config"] == MAIN
        if main:
            self.occlusions.update(row["occlusion_types"] or ["none"])
        record = (row["source"], row["source_id"])
        # A record of the default config counts there, wherever else it is.
        if main or record not in self._records:
            self._records[record] = main, row["rights"]

    def of_source(self, source: str) -> dict[str, Any]:
        """Return the counts of a source, as the lock has them."""
        mine = [told for (name, _), told in self._records.items() if name == source]
        rights = Counter(right for _, right in mine)
        return {
            "samples": sum(main for main, _ in mine),
            "only_in_subsets": sum(not main for main, _ in mine),
            "rights": {right: rights[right] for right in RIGHTS},
        }

    def of_classes(self, config: str, split: str) -> dict[str, int]:
        """Return {class: samples}, in the order of LABELS."""
        found = self.labels.get((config, split), Counter())
        return {label: found[label] for label in LABELS}


def lock_of_part(lock: Lock, tally: Tally, copies: Iterable[Copy | None]) -> Lock:
    """Return the lock of the rows that are there; files and shards are still the recipe's.

    Its config says under `rebuilt` of which version it is a part, and how large a part.
    """
    counts = {split: tally.of_classes(MAIN, split) for split in lock.counts}
    kinds = Counter("missing" if c is None else "exact" if c.exact else "other" for c in copies)
    part = {
        "of": lock.version,
        "missing": kinds["missing"],
        "recompressed": kinds["other"],
    }
    samples = sum(sum(found.values()) for found in counts.values())
    return dataclasses.replace(
        lock,
        config={**lock.config, REBUILT: part},
        counts=counts,
        occlusion_counts=dict(sorted(tally.occlusions.items())),
        subsets=_subsets(lock, tally),
        sources=_sources(lock, tally),
        labels={**lock.labels, "by": _givers(lock, samples)},
        made_with=made_with(),
    )


def _subsets(lock: Lock, tally: Tally) -> dict[str, dict[str, Any]]:
    """Return what is there of every subset; an empty one is not there."""
    subsets = {}
    for name, told in lock.subsets.items():
        split = next(iter(lock.shards[name]))
        counts = tally.of_classes(name, split)
        matched = sum(counts.values())
        if matched:
            unmatched = told["listed"] - matched
            subsets[name] = told | {"matched": matched, "unmatched": unmatched, "counts": counts}
    return subsets


def _sources(lock: Lock, tally: Tally) -> dict[str, dict[str, Any]]:
    """Return what is there of every source. Whom to name stays: too many are no harm."""
    sources = {}
    for name, told in lock.sources.items():
        counts = tally.of_source(name)
        total = counts["samples"] + counts["only_in_subsets"]
        if total:
            own = min(told["own_attribution"], total)
            sources[name] = told | counts | {"own_attribution": own}
    return sources


def _givers(lock: Lock, samples: int) -> dict[str, int]:
    """Return who gave the labels of so many samples."""
    givers = dict(lock.labels["by"])
    if sum(givers.values()) == samples:
        return givers
    return {next(iter(givers)) if len(givers) == 1 else UNTOLD: samples}
