"""The account of a rebuild: what is there again of what, and what is missing, where and why."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..tombstones import TAKEN_DOWN
from .read import BLOCKED, READ, UNREADABLE, Copy, Found
from .recipe import Wanted

MISSING_NAME = "missing.csv"
COLUMNS = ("config", "split", "source", "source_id", "reason")
NO_SUCH_SOURCE, NO_SUCH_FILE = "no_such_source", "no_such_file"
# What lies under a row's name where no picture of it was found.
REASONS = {READ: "another_picture", UNREADABLE: "unreadable", BLOCKED: TAKEN_DOWN}


@dataclass(frozen=True)
class Counts:
    """Rows of one split."""

    wanted: int
    exact: int
    recompressed: int

    @property
    def rebuilt(self) -> int:
        """Those that have their picture again."""
        return self.exact + self.recompressed


@dataclass(frozen=True)
class Coverage:
    """How much of a recipe was rebuilt."""

    out: Path | None
    """Where it is; None where nothing could be rebuilt, and nothing was written."""
    version: str
    """Of what was rebuilt."""
    recipe_version: str
    splits: dict[str, dict[str, Counts]]
    """{config: {split: counts}}"""
    missing: dict[str, dict[str, int]]
    """{source: {reason: rows}}"""

    @property
    def rebuilt(self) -> int:
        """Rows of all configs that have their picture again."""
        return sum(one.rebuilt for splits in self.splits.values() for one in splits.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "out": None if self.out is None else str(self.out),
            "version": self.version,
            "recipe_version": self.recipe_version,
            "splits": {
                config: {
                    split: {**vars(one), "rebuilt": one.rebuilt} for split, one in splits.items()
                }
                for config, splits in self.splits.items()
            },
            "missing": self.missing,
        }


def reason_of(row: Wanted, found: Found, opened: Iterable[str]) -> str:
    """Return why the picture of a row is not there; `opened` are the sources that were read."""
    if row.source not in opened:
        return NO_SUCH_SOURCE
    state = found.named.get((row.source, row.source_id), "")
    return REASONS.get(state, NO_SUCH_FILE)


def counted(rows: Iterable[tuple[Wanted, Copy | None]]) -> dict[str, dict[str, Counts]]:
    """Return {config: {split: counts}} of the rows with their pictures."""
    kinds: dict[tuple[str, str], Counter[str]] = {}
    for row, copy in rows:
        kind = "missing" if copy is None else "exact" if copy.exact else "recompressed"
        kinds.setdefault((row.config, row.split), Counter())[kind] += 1
    splits: dict[str, dict[str, Counts]] = {}
    for (config, split), found in kinds.items():
        counts = Counts(found.total(), found["exact"], found["recompressed"])
        splits.setdefault(config, {})[split] = counts
    return splits


def missing_by_source(rows: Iterable[tuple[Wanted, str]]) -> dict[str, dict[str, int]]:
    """Return {source: {reason: rows}} of the rows that are missing, each with its reason."""
    counts: dict[str, Counter[str]] = {}
    for row, reason in rows:
        counts.setdefault(row.source, Counter())[reason] += 1
    return {source: dict(sorted(found.items())) for source, found in sorted(counts.items())}


def write_missing(folder: Path, rows: Iterable[tuple[Wanted, str]]) -> None:
    """Write missing.csv: a line for every row that is left out, and why.

    What was taken down is counted in the coverage alone: the file may be passed on.
    """
    with (folder / MISSING_NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # with "\n" at ends, a "\r" in a name is not quoted
        writer.writerow(COLUMNS)
        for row, reason in rows:
            if reason == TAKEN_DOWN:
                continue
            writer.writerow([row.config, row.split, row.source, row.source_id, reason])
