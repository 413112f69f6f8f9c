"""Candidates by cell, groups by kind: what the programs of quotas.py choose from.

A cell is a class with one value of every stratum, e.g. fear, behind a hand, severity 20, of RAF-DB.
Groups are of one kind if they have as many samples in every cell: which of them it is does not
matter to any count, so a program decides how many of a kind validate, and a draw says which.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from occlufer.errors import UsageError

from .program import Integers

Cell = tuple[int, tuple[Any, ...]]
"""(class, what else counts)"""
Kind = tuple[tuple[int, int], ...]
"""((cell, samples), ...) of a group of two samples or more"""


@dataclass(frozen=True)
class Candidate:
    """One labelled sample that a split may take."""

    name: str
    label: int
    """The class, as its place among the classes."""
    group: str
    strata: tuple[str, ...] = ()


def class_cells(candidate: Candidate) -> list[Cell]:
    """Return the one cell that a candidate counts in if nothing but its class does."""
    return [(candidate.label, ())]


def strata_cells(candidate: Candidate) -> list[Cell]:
    """Return a cell for each column of strata, and one that all candidates of the class are in."""
    columns = [(column, value) for column, value in enumerate(candidate.strata)]
    return [(candidate.label, column) for column in [(-1, ""), *columns]]


@dataclass(frozen=True)
class Counted:
    """How many candidates there are; arrays have a place for every cell."""

    cells: tuple[Cell, ...]
    alone: Integers
    """Those that no other candidate shares a group with: either split may take them."""
    fixed: Integers
    """Those of groups that may only validate."""
    kinds: tuple[Kind, ...]
    """Of the other groups."""
    groups: tuple[tuple[str, ...], ...]
    """The groups of each kind, in the order of their draw."""


def read_candidates(
    table: Any, classes: Sequence[str], strata: Sequence[str]
) -> tuple[Candidate, ...]:
    """Return the rows of a pandas DataFrame or of {column: values}.

    Raises UsageError for a column that is missing or too short, a class that is not one of
    `classes`, and a sample that is named twice.
    """
    there = list(table.columns) if hasattr(table, "columns") else list(table)
    wanted = ("sample", "class", "group", *strata)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise UsageError(
            f"split table: found the columns {', '.join(map(str, there))}, "
            f"expected also {', '.join(missing)}"
        )
    columns = {name: list(table[name]) for name in wanted}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"split table: found columns of the lengths {lengths}, expected one")
    place = {name: number for number, name in enumerate(classes)}
    for row, label in enumerate(columns["class"]):
        if label not in place:
            raise UsageError(
                f"split table, row {row}: found the class {label!r}, "
                f"expected one of {', '.join(classes)}"
            )
    names = [str(name) for name in columns["sample"]]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"split table: found the sample {twice[0]} twice, expected it once")
    values = zip(*(map(str, columns[name]) for name in strata), strict=True)
    rows = values if strata else [()] * len(names)
    return tuple(
        Candidate(name, place[label], str(group), tuple(row))
        for name, label, group, row in zip(
            names, columns["class"], columns["group"], rows, strict=True
        )
    )


def class_kind(kind: Kind, cells: Sequence[Cell]) -> Kind:
    """Return the kind that a kind by strata is of if nothing but the class counts."""
    return tuple((cells[cell][0], n) for cell, n in kind if cells[cell][1][0] == -1)


def count(
    candidates: Iterable[Candidate],
    cells: Sequence[Cell],
    cells_of: Callable[[Candidate], list[Cell]],
    validating: Collection[str],
    seed: int,
) -> Counted:
    """Return the counts; the groups `validating` may only validate.

    `cells_of` says in which of `cells` a candidate counts.
    """
    place = {cell: number for number, cell in enumerate(cells)}
    alone, fixed = (np.zeros(len(cells), dtype=np.int64) for _ in range(2))
    kinds: dict[Kind, list[str]] = {}
    for group, members in by_group(candidates).items():
        kind = tuple(
            sorted(Counter(place[cell] for one in members for cell in cells_of(one)).items())
        )
        if group in validating or len(members) == 1:
            for cell, samples in kind:
                (fixed if group in validating else alone)[cell] += samples
        else:
            kinds.setdefault(kind, []).append(group)
    order = sorted(kinds)
    groups = tuple(tuple(sorted(kinds[kind], key=lambda g: draw(g, seed))) for kind in order)
    return Counted(tuple(cells), alone, fixed, tuple(order), groups)


def by_group(candidates: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    """Return {group: its candidates}."""
    members: dict[str, list[Candidate]] = {}
    for one in candidates:
        members.setdefault(one.group, []).append(one)
    return members


def draw(name: str, seed: int) -> bytes:
    """Return the lot of a name: whoever sorts by it draws, whatever order things came in."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
