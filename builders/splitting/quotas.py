"""The quotas of the classes: whether they can be met, what is missing, and what is nearest.

Integer programs over kinds of groups; which strata the samples are of is decided in strata.py.
Arrays of two rows are of train and of validation, in the order of SPLITS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from occlufer.errors import OccluferError

from .cells import Counted
from .program import Integers, Program

# How far a search goes.
CLASS_NODES = 10_000
# Of shares of classes: it ends the search where the last sample's place is all there is to win.
SHARE_GAP = 0.01
# Of two shortages as large that in train is taken: validation is small enough.
VALIDATION_COST = 1.0001


@dataclass(frozen=True)
class Room:
    """How many samples of every cell the splits can take if no kind of group validates."""

    train: Integers
    validation: Integers
    both: Integers
    """Of both splits together: a sample that either may take is taken once."""
    kinds: Any
    """Sparse, (cells, kinds): what a group that validates takes from train to validation."""
    sizes: Integers
    """How many groups of each kind there are."""


@dataclass(frozen=True)
class Found:
    """How near one can come to the quotas of the classes."""

    short: Integers
    """Samples missing, (2, classes)."""
    validating: Integers
    """How many groups of each kind validate."""
    proven: bool
    """Whether no other choice comes nearer; else the search was ended before that was known."""


def room_of(counted: Counted) -> Room:
    """Return the room that the candidates give."""
    from scipy.sparse import csr_array

    pairs = [(cell, k, n) for k, kind in enumerate(counted.kinds) for cell, n in kind]
    cell, kind, samples = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    shape = (len(counted.cells), len(counted.kinds))
    kinds = csr_array((samples.astype(np.float64), (cell, kind)), shape=shape)
    sizes = np.array([len(groups) for groups in counted.groups], dtype=np.int64)
    train = counted.alone + whole(kinds @ sizes)
    validation = counted.alone + counted.fixed
    return Room(train, validation, train + counted.fixed, kinds, sizes)


def no_kinds(train: Integers, validation: Integers, both: Integers) -> Room:
    """Return the room where the side of every group is known."""
    from scipy.sparse import csr_array

    return Room(train, validation, both, csr_array((len(both), 0)), np.zeros(0, dtype=np.int64))


def least_short(room: Room, wanted: Integers, unknown: bool = False) -> Found:
    """Return the fewest samples by which the classes fall short of `wanted`, (2, classes).

    The cells are the classes. With `unknown` there is one cell more, the last: samples that may
    turn out to be of any class.
    """
    from scipy.sparse import csr_array

    classes, cells = wanted.shape[1], len(room.both)
    program = Program()
    kinds = program.unknowns(len(room.sizes), high=room.sizes)
    taken = [program.unknowns(cells) for _ in wanted]
    costs = (1, VALIDATION_COST)
    short = [program.unknowns(classes, cost=cost) for cost in costs]
    filled = [program.unknowns(classes, high=np.inf if unknown else 0) for _ in wanted]
    bind_room(program, room, kinds, [{block: 1} for block in taken])
    one, own = unit(classes), unit(classes, cells)
    last = csr_array(np.eye(1, cells, cells - 1))
    for split, quota in enumerate(wanted):
        blocks = {taken[split]: own, short[split]: one, filled[split]: one}
        program.bind(blocks, quota, quota)
        if unknown:
            each = csr_array(np.ones((1, classes)))
            program.bind({filled[split]: each, taken[split]: -last}, 0, 0)
    values, proven = program.solve(CLASS_NODES)
    if not values:
        raise OccluferError("split: the solver found no answer for the quotas of the classes")
    return Found(whole(np.stack([values[block] for block in short])), whole(values[kinds]), proven)


def nearest_counts(room: Room, share: float) -> tuple[Integers, Integers]:
    """Return how many samples of every class, and groups of every kind, validate if none is left.

    The cells are the classes. Every class comes as near to its share as whole groups let it, in the
    sum of absolute differences, beside what validates in any case.
    """
    fixed = room.both - room.train
    wanted = np.maximum(wanted_counts(room.both, share) - fixed, 0)
    program = Program()
    kinds = program.unknowns(len(room.sizes), high=room.sizes)
    alone = program.unknowns(len(wanted), high=room.validation - fixed)
    over, under = (program.unknowns(len(wanted), cost=1, whole=False) for _ in range(2))
    one = unit(len(wanted))
    program.bind({kinds: room.kinds, alone: one, over: -one, under: one}, wanted, wanted)
    values, _ = program.solve(CLASS_NODES, gap=SHARE_GAP)
    if not values:
        raise OccluferError("split: the solver found no answer for the shares of the classes")
    validating = whole(values[kinds])
    return fixed + whole(room.kinds @ validating) + whole(values[alone]), validating


def wanted_counts(class_sizes: Integers, share: float) -> Integers:
    """Return how many samples of every class shall validate: its share, rounded.

    A class of two samples or more has one at least: a class that is never seen is never measured.
    """
    least = ((class_sizes >= 2) & (share > 0)).astype(np.int64)
    return np.asarray(np.maximum(np.floor(class_sizes * share + 0.5), least), np.int64)


def bind_room(program: Program, room: Room, kinds: int, taken: list[dict[int, int]]) -> None:
    """Demand that no split takes more than there is; `taken` is {block: sign} by split."""
    train, validation = (times(unit(len(room.both)), blocks) for blocks in taken)
    program.bind({kinds: room.kinds, **train}, -np.inf, room.train)
    program.bind({kinds: -room.kinds, **validation}, -np.inf, room.validation)
    program.bind({**train, **validation}, -np.inf, room.both)


def whole(values: Any) -> Integers:
    """Return the whole numbers that a solver means."""
    return np.asarray(np.round(values), dtype=np.int64)


def unit(rows: int, columns: int | None = None) -> Any:
    """Return ones on the diagonal, sparse."""
    from scipy.sparse import csr_array, eye

    return csr_array(eye(rows, columns))


def times(matrix: Any, blocks: dict[int, int]) -> dict[int, Any]:
    """Return {block: sign x matrix} of {block: sign}: rows on the sum of the signed blocks."""
    return {block: sign * matrix for block, sign in blocks.items()}
