"""Splits of a table: which rows train, which validate, and which are not needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from occlufer.errors import UsageError
from occlufer.schema import LABELS, SPLITS, TABLE_1_QUOTAS

from .cells import (
    Candidate,
    Cell,
    Counted,
    class_cells,
    class_kind,
    count,
    draw,
    read_candidates,
    strata_cells,
)
from .program import Integers
from .quotas import least_short, nearest_counts, no_kinds, room_of
from .shortage import shortage_of
from .strata import choose_groups, choose_samples

STRATA = ("occlusion", "severity", "source")
Quotas = Mapping[str, Mapping[str, int]]
"""{split: {class: samples}}"""


def assign_splits(
    table: Any,
    quotas: Quotas = TABLE_1_QUOTAS,
    seed: int = 0,
    strata: Sequence[str] = STRATA,
    validating: Collection[str] = (),
) -> list[str | None]:
    """Return "train", "validation", or None for a sample that is not needed, by row of `table`.

    `table` is a pandas DataFrame, or {column: values}, with the columns sample, class, group and
    `strata`. The quotas are met exactly, or ShortageError says what would help, and in its `cells`
    which classes fall short in which split, and by how many. Two samples of a group never come into
    different splits, and those of the groups `validating` never train. Within every class each
    split has of every stratum its share of the candidates, rounded up or down, as far as the sides
    of groups let it. `seed` draws which; the order of the rows changes nothing.
    """
    classes, wanted = read_quotas(quotas)
    candidates = read_candidates(table, classes, strata)
    counted = count_classes(candidates, classes, set(validating), seed)
    found = least_short(room_of(counted), wanted)
    if found.short.any():
        raise shortage_of(found, counted, classes, wanted)
    return _assign(candidates, wanted, set(validating), seed, counted, found.validating)


def assign_shares(
    table: Any,
    validation_share: float,
    seed: int = 0,
    strata: Sequence[str] = STRATA,
    validating: Collection[str] = (),
) -> list[str | None]:
    """Return "train" or "validation" by row of `table`, as assign_splits does; None never.

    Every class comes as near to `validation_share` as whole groups let it; the groups `validating`
    validate in any case.
    """
    candidates = read_candidates(table, LABELS, strata)
    counted = count_classes(candidates, LABELS, set(validating), seed)
    room = room_of(counted)
    validation, kinds = nearest_counts(room, validation_share)
    wanted = np.stack([room.both - validation, validation])
    return _assign(candidates, wanted, set(validating), seed, counted, kinds)


def read_quotas(quotas: Quotas) -> tuple[list[str], Integers]:
    """Return the classes, and how many samples are wanted of them, (2, classes).

    Raises UsageError for another split, or a count that is none.
    """
    if set(quotas) != set(SPLITS):
        raise UsageError(f"quotas: found {', '.join(quotas)}, expected {' and '.join(SPLITS)}")
    for split, counts in quotas.items():
        for label, wanted in counts.items():
            # NaN and infinity are numbers, and have no int.
            whole = isinstance(wanted, Real) and math.isfinite(wanted) and wanted == int(wanted)
            if not whole or wanted < 0:
                raise UsageError(f"quotas, {split}, {label}: found {wanted}, expected 0 or more")
    named = {label for counts in quotas.values() for label in counts}
    classes = [label for label in LABELS if label in named] + sorted(named - set(LABELS))
    rows = [[int(quotas[split].get(label, 0)) for label in classes] for split in SPLITS]
    return classes, np.array(rows, dtype=np.int64).reshape(2, -1)


def count_classes(
    candidates: Iterable[Candidate], classes: Sequence[str], validating: set[str], seed: int
) -> Counted:
    """Return the counts by class alone."""
    cells: list[Cell] = [(label, ()) for label in range(len(classes))]
    return count(candidates, cells, class_cells, validating, seed)


def _assign(
    candidates: Sequence[Candidate],
    wanted: Integers,
    validating: set[str],
    seed: int,
    by_class: Counted,
    numbers: Integers,
) -> list[str | None]:
    """Return the splits; `wanted` is within reach if so many groups of each kind validate."""
    validating = validating | _validating(candidates, wanted, validating, seed, by_class, numbers)
    sizes = Counter(one.group for one in candidates)
    classes: dict[int, list[Candidate]] = {}
    for one in candidates:
        classes.setdefault(one.label, []).append(one)
    split_of: dict[str, str] = {}
    for label, own in classes.items():
        alone = {one.group for one in own if sizes[one.group] == 1} - validating
        split_of.update(_pick(own, wanted[:, label], alone, validating, seed))
    return [split_of.get(one.name) for one in candidates]


def _validating(
    candidates: Sequence[Candidate],
    wanted: Integers,
    fixed: set[str],
    seed: int,
    by_class: Counted,
    numbers: Integers,
) -> set[str]:
    """Return the groups that validate beside `fixed`: of every kind the number that is given."""
    if not by_class.kinds:
        return set()
    cells = sorted({cell for one in candidates for cell in strata_cells(one)})
    counted = count(candidates, cells, strata_cells, fixed, seed)
    families = {kind: number for number, kind in enumerate(by_class.kinds)}
    family = [families[class_kind(kind, cells)] for kind in counted.kinds]
    chosen = choose_groups(
        room_of(counted), cells, wanted, np.array(family, dtype=np.int64), numbers
    )
    return _groups(by_class, numbers) if chosen is None else _groups(counted, chosen)


def _groups(counted: Counted, kinds: Integers) -> set[str]:
    """Return so many groups of every kind, the first of their draw."""
    numbered = zip(counted.groups, kinds.tolist(), strict=True)
    return {group for groups, number in numbered for group in groups[:number]}


@dataclass
class _Pool:
    """The candidates of one cell, by who may take them, each in the order of a draw."""

    alone: list[Candidate] = field(default_factory=list)
    train: list[Candidate] = field(default_factory=list)
    validation: list[Candidate] = field(default_factory=list)


def _pick(
    candidates: Sequence[Candidate],
    wanted: Integers,
    alone: set[str],
    validating: set[str],
    seed: int,
) -> dict[str, str]:
    """Return {sample: split} of what is taken of the candidates of one class."""
    pools: dict[tuple[str, ...], _Pool] = {}
    for one in sorted(candidates, key=lambda one: draw(one.group, seed)):
        pool = pools.setdefault(one.strata, _Pool())
        if one.group in alone:
            pool.alone.append(one)
        else:
            (pool.validation if one.group in validating else pool.train).append(one)
    order = sorted(pools)
    sizes = np.array([[len(part) for part in vars(pools[key]).values()] for key in order])
    room = no_kinds(sizes[:, 0] + sizes[:, 1], sizes[:, 0] + sizes[:, 2], sizes.sum(axis=1))
    chosen = choose_samples(room, order, wanted)
    return {
        one.name: split
        for key, (train, validation) in zip(order, chosen.T.tolist(), strict=True)
        for split, some in zip(SPLITS, _draw(pools[key], train, validation, seed), strict=True)
        for one in some
    }


def _draw(
    pool: _Pool, train: int, validation: int, seed: int
) -> tuple[list[Candidate], list[Candidate]]:
    """Return so many candidates for each split, whether alone in their group or not."""
    least = max(validation - len(pool.validation), 0)
    most = len(pool.alone) - max(train - len(pool.train), 0)
    fair = round(len(pool.alone) * validation / max(train + validation, 1))
    side = min(max(fair, least), most)
    pools = pool.train + pool.alone[side:], pool.validation + pool.alone[:side]
    drawn = (sorted(some, key=lambda one: draw(one.name, seed)) for some in pools)
    first, second = drawn
    return first[:train], second[:validation]
