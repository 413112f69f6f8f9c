"""An integer program under construction, solved by HiGHS, the solver in SciPy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# SciPy's status for "other", e.g. an error within HiGHS.
SOLVER_FAILED = 4


class Program:
    """Blocks of unknowns with bounds and costs, and the rows that bind them.

    The same blocks and rows in the same order give the same answer: a search ends by its nodes or
    by its gap, never by a clock, or a slow machine would find another one.
    """

    def __init__(self) -> None:
        """Begin without unknowns."""
        self._blocks: list[tuple[Floats, Floats, Floats, Floats]] = []
        self._rows: list[tuple[Mapping[int, Any], Floats, Floats]] = []

    def unknowns(
        self, count: int, *, low: Any = 0, high: Any = np.inf, cost: float = 0, whole: bool = True
    ) -> int:
        """Return the number of a new block of `count` unknowns, from `low` to `high`."""
        given = (low, high, cost, int(whole))
        self._blocks.append(tuple(np.full(count, v, dtype=np.float64) for v in given))  # type: ignore[arg-type]
        return len(self._blocks) - 1

    def bind(self, matrices: Mapping[int, Any], low: Any, high: Any) -> None:
        """Demand that the sum of matrix @ block, of {block: sparse matrix}, is within limits."""
        count = next(iter(matrices.values())).shape[0]
        if count:
            floor, ceiling = (np.full(count, v, dtype=np.float64) for v in (low, high))
            self._rows.append((matrices, floor, ceiling))

    def solve(self, nodes: int, base: float = 0, gap: float = 0) -> tuple[list[Floats], bool]:
        """Return the cheapest values by block, and whether none are cheaper.

        Cheaper by less than `gap` of the cost and `base` together does not count. No block at all:
        no values were found within so many nodes.
        """
        from scipy.optimize import Bounds, milp

        low, high, cost, whole = (np.concatenate(part) for part in zip(*self._blocks, strict=True))
        # One more unknown, which is 1: what it costs is what the gap is measured by.
        options = {"node_limit": nodes, "mip_rel_gap": gap}
        solve = partial(
            milp,
            np.append(cost, base),
            integrality=np.append(whole, 0),
            bounds=Bounds(np.append(low, 1), np.append(high, 1)),
            constraints=self._constraints(),
        )
        found = solve(options=options)
        if found.status == SOLVER_FAILED:
            # HiGHS's presolve now and then breaks off at a program that has an answer.
            found = solve(options={**options, "presolve": False})
        if found.x is None:
            return [], False
        ends = np.cumsum([len(block[0]) for block in self._blocks])
        return np.split(found.x, ends)[:-1], bool(found.status == 0)

    def _constraints(self) -> Any:
        from scipy.optimize import LinearConstraint
        from scipy.sparse import block_array, csr_array

        widths = {number: len(block[0]) for number, block in enumerate(self._blocks)}
        # SciPy wants no block without a row or a column.
        there = [number for number, width in widths.items() if width]
        # The first row holds nothing: it tells the width of every block.
        parts: list[list[Any]] = [[csr_array((1, w)) for w in [*map(widths.get, there), 1]]]
        for matrices, _, _ in self._rows:
            parts.append([*map(matrices.get, there), None])
        lows, highs = ([row[side] for row in self._rows] for side in (1, 2))
        matrix = block_array(parts, format="csc")
        return LinearConstraint(matrix, np.concatenate([[0], *lows]), np.concatenate([[0], *highs]))
