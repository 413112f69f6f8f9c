"""Strata: which groups validate, and how many samples each split takes of every cell.

The quotas of the classes are met exactly. Beside that each split shall have of every stratum of a
class its share of its candidates; a share that is rounded up or down is met, for samples are
not divided. Arrays of two rows are of train and of validation, in the order of SPLITS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import OccluferError

from .cells import Cell
from .program import Floats, Integers, Program
from .quotas import Room, bind_room, times, unit, whole

# How far a search goes.
GROUP_NODES = 100
SAMPLE_NODES = 500
# Of the samples wanted, the share whose strata a search may leave as they are.
GAP = 0.0005
# What one sample too many or too few in a stratum of a class costs; in a cell, 1.
STRATUM_COST = 4
# What a solver calls a whole number.
ROUNDING = 1e-6

Block = dict[int, int]
"""{block: sign}, the sum of which is how many samples a split takes of every cell"""


def choose_groups(
    room: Room,
    cells: Sequence[Cell],
    wanted: Integers,
    family: Integers,
    numbers: Integers,
) -> Integers | None:
    """Return how many groups of each kind validate; None if nothing was found in so many nodes.

    The cells are strata, (class, (column, value)), of which each sample has one in every column.
    `wanted`, (2, classes), is met in every column on its own, samples being divisible: what
    samples are taken is decided when the sides of all groups are known. Kinds that are alike but
    for strata are a family, `family` says which; the quotas are within reach if so many groups of
    each validate as `numbers` says: that is kept to if nothing else is found.
    """
    free = _groups_in_two_steps(room, cells, wanted, []) if _has_play(room, cells, wanted) else None
    return (
        free if free is not None else _groups_in_two_steps(room, cells, wanted, [family, numbers])
    )


def _has_play(room: Room, cells: Sequence[Cell], wanted: Integers) -> bool:
    """Return whether every class has samples alone in their group, or more than are wanted.

    Where not, whole groups alone would have to come to its counts: a search for that may not end.
    """
    label = np.array([cell[0] for cell in cells], dtype=np.int64)
    alone = room.train + room.validation - room.both
    return all(
        alone[label == place].any() or room.both[(label == place) & _first(cells)].sum() > number
        for place, number in enumerate(wanted.sum(axis=0).tolist())
        if number
    )


def _first(cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """Return which cells are of the column that all samples of a class have in common."""
    return np.array([column == -1 for _, (column, _) in cells], dtype=np.bool_)


def _groups_in_two_steps(
    room: Room, cells: Sequence[Cell], wanted: Integers, tied: Sequence[Integers]
) -> Integers | None:
    """Return what choose_groups does, with the numbers of families given, or with none.

    Of many groups few are in doubt if they may be divided; only these are decided on as a whole.
    """
    parts = _groups(
        room, cells, wanted, tied, np.zeros(len(room.sizes)), room.sizes.astype(np.float64), True
    )
    if parts is None:
        return None
    low, high = np.floor(parts + ROUNDING), np.ceil(parts - ROUNDING)
    found = _groups(room, cells, wanted, tied, low, high, False)
    return None if found is None else whole(found)


def _groups(
    room: Room,
    cells: Sequence[Cell],
    wanted: Integers,
    tied: Sequence[Integers],
    low: Floats,
    high: Floats,
    divided: bool,
) -> Floats | None:
    program = Program()
    kinds = program.unknowns(len(room.sizes), low=low, high=high, whole=not divided)
    if tied:
        family, numbers = tied
        program.bind({kinds: _incidence(family, len(numbers))}, numbers, numbers)
    _bind_columns(program, room, cells, wanted, kinds)
    values, _ = program.solve(GROUP_NODES, base=float(wanted.sum()), gap=GAP)
    return values[kinds] if values else None


def _bind_columns(
    program: Program, room: Room, cells: Sequence[Cell], wanted: Integers, kinds: int
) -> None:
    """Demand the quotas of every class in every column, and strata near their shares."""
    parts = sorted({(label, column) for label, (column, _) in cells})
    place = {part: number for number, part in enumerate(parts)}
    part = np.array([place[label, column] for label, (column, _) in cells], dtype=np.int64)
    in_part = _incidence(part, len(parts))
    of_part = whole(in_part @ room.both)
    taken = []
    for quota in wanted[:, [label for label, _ in parts]]:
        taken.append(_near_shares(program, room.both, quota[part], of_part[part], divided=True))
        program.bind(times(in_part, taken[-1]), quota, quota)
    bind_room(program, room, kinds, taken)


def choose_samples(room: Room, strata: Sequence[tuple[str, ...]], wanted: Integers) -> Integers:
    """Return how many samples of one class each split takes of every cell, (2, cells).

    `strata` are those of every cell, `wanted` the class's quotas, (2,), which must be within reach.
    """
    found = _choose_samples(room, _members(strata), wanted)
    if found is None:  # without strata it is a flow, to which there always is an answer
        found = _choose_samples(room, _members([()] * len(strata)), wanted)
    if found is None:
        raise OccluferError("split: the solver found no answer for the samples of a class")
    return found


def _choose_samples(room: Room, members: Any, wanted: Integers) -> Integers | None:
    """Return what choose_samples does; `members`, (strata, cells), says what is of which stratum.

    None if nothing was found in so many nodes.
    """
    there, of = whole(members @ room.both), room.both.sum()
    all_ = _incidence(np.zeros(len(room.both), dtype=np.int64), 1)
    program = Program()
    taken = []
    for quota in wanted:
        taken.append(_near_shares(program, room.both, quota, of, divided=False))
        program.bind(times(all_, taken[-1]), quota, quota)
        low, high = _share(there, quota, of)
        for sign, limits in ((-1, (-np.inf, high)), (1, (low, np.inf))):
            off = program.unknowns(len(there), cost=STRATUM_COST)
            program.bind({**times(members, taken[-1]), off: sign * unit(len(there))}, *limits)
    kinds = program.unknowns(0)
    bind_room(program, room, kinds, taken)
    values, _ = program.solve(SAMPLE_NODES, base=float(wanted.sum()), gap=GAP)
    if not values:
        return None
    numbers = [sum(sign * values[block] for block, sign in blocks.items()) for blocks in taken]
    return whole(np.stack([np.asarray(number) for number in numbers]))


def _near_shares(program: Program, there: Integers, quota: Any, of: Any, *, divided: bool) -> Block:
    """Return blocks for the samples taken of every cell; away from its share each costs 1."""
    low, high = _share(there, quota, of)
    share = program.unknowns(len(there), low=low, high=high, whole=not divided)
    more = program.unknowns(len(there), cost=1, whole=not divided)
    less = program.unknowns(len(there), high=low, cost=1, whole=not divided)
    return {share: 1, more: 1, less: -1}


def _share(there: Integers, quota: Any, of: Any) -> tuple[Integers, Integers]:
    """Return quota x there / of, rounded down and up."""
    of = np.maximum(of, 1)
    return there * quota // of, -(-there * quota // of)


def _members(strata: Sequence[tuple[str, ...]]) -> Any:
    """Return which cells are of which stratum, sparse, (strata, cells).

    What all cells have in common is left out: its share is the class's.
    """
    from scipy.sparse import csr_array

    found: dict[tuple[int, str], list[int]] = {}
    for place, values in enumerate(strata):
        for pair in enumerate(values):
            found.setdefault(pair, []).append(place)
    places = [some for _, some in sorted(found.items()) if len(some) < len(strata)]
    pairs = [(row, place) for row, some in enumerate(places) for place in some]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(places), len(strata))
    return csr_array((np.ones(len(pairs)), (rows, columns)), shape=shape)


def _incidence(part: Integers, count: int) -> Any:
    """Return which cells are of which part, sparse, (parts, cells)."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(part)), (part, np.arange(len(part)))), shape=(count, len(part)))
