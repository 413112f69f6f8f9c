"""Shortages in words: which class falls short in which split, by how many, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from occlufer.errors import GateError
from occlufer.schema import SPLITS

from .cells import Counted
from .program import Integers
from .quotas import Found


@dataclass(frozen=True)
class ShortCell:
    """One class in one split of which there is not enough."""

    label: str
    split: str
    missing: int
    """How many samples."""


class ShortageError(GateError):
    """A quota that cannot be met; the message says what would help."""

    def __init__(self, message: str, cells: Sequence[ShortCell]) -> None:
        """Take the line for the user, and where it falls short."""
        super().__init__(message)
        self.cells = [*cells]


def shortage_of(
    found: Found, counted: Counted, classes: Sequence[str], wanted: Integers
) -> ShortageError:
    """Return the error for a quota that cannot be met; the cells of `counted` are the classes."""
    text = f"split: {shortage_text(found, counted, classes, wanted)}"
    return ShortageError(text, short_cells(found, classes))


def short_cells(found: Found, classes: Sequence[str]) -> list[ShortCell]:
    """Return where a quota falls short, by class, train before validation."""
    return [
        ShortCell(label, split, int(found.short[side, place]))
        for place, label in enumerate(classes)
        for side, split in enumerate(SPLITS)
        if found.short[side, place]
    ]


def shortage_text(found: Found, counted: Counted, classes: Sequence[str], wanted: Integers) -> str:
    """Return one line on a quota that cannot be met; the cells of `counted` are the classes."""
    cells = [f"{one.label} in {one.split} by {one.missing}" for one in short_cells(found, classes)]
    short = [place for place in range(len(classes)) if found.short[:, place].any()]
    reasons = {place: reason(place, counted, wanted) for place in short}
    why = [f"{classes[place]}: {what}" for place, (what, _) in reasons.items()]
    helps = dict.fromkeys(help_ for _, help_ in reasons.values())
    limit = "" if found.proven else " (the search for a better choice of groups was cut off)"
    lower = ", or lower counts in [split.train] and [split.validation]"
    return (
        f"the quota cannot be met, it falls short of {', '.join(cells)}{limit}; "
        f"{'; '.join(why)}; what would help: {', '.join(helps)}{lower}"
    )


def reason(place: int, counted: Counted, wanted: Integers) -> tuple[str, str]:
    """Return why a class falls short, and what would help."""
    grouped = sum(
        n * len(groups)
        for kind, groups in zip(counted.kinds, counted.groups, strict=True)
        for cell, n in kind
        if cell == place
    )
    free, fixed = int(counted.alone[place]) + grouped, int(counted.fixed[place])
    train, validation = wanted[:, place].tolist()
    if free + fixed < train + validation:
        what = (
            f"found {free + fixed} samples, expected {train} to train and {validation} to validate"
        )
        return what, "more labelled samples of these classes"
    if free < train:
        what = (
            f"found {free} samples that may train, expected {train}: {fixed} more are in groups "
            "with a test sample, which only validate"
        )
        return what, "samples that are like no test sample"
    largest = max((sum(n for _, n in kind) for kind in counted.kinds), default=1)
    what = (
        f"found {free + fixed} samples, enough for {train} and {validation}, but {grouped} are in "
        f"groups that cannot be divided so (the largest has {largest})"
    )
    return what, "samples of other subjects and photographs, groups being too large to divide so"
