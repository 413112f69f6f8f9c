"""Remote search: the joins of `search.py` on other processes.

The hashes travel to each of them once and are sorted there; what comes back are pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from occlufer.engine import Remote, Task

from .hash_table import Hashes
from .search import Cursor, Join, JoinPlan, Pairs

# What a process keeps sorted: of the band that is joined, and of the one before, which others
# may still be at.
JOINS_KEPT = 2


def submitter(remote: Remote, a: Hashes, b: Hashes) -> Callable[[Join, Cursor], Task]:
    """Return what gives a part of a join of `a` and `b` to one of the processes."""
    far_a = remote.hold(a)
    far_b = far_a if b is a else remote.hold(b)
    return lambda join, cursor: remote.submit(_run, far_a, far_b, join.plan, cursor)


def _run(a: Hashes, b: Hashes, plan: JoinPlan, cursor: Cursor) -> tuple[Pairs, Cursor | None]:
    return _joined(_Same(a), _Same(b), plan).run(cursor)


@dataclass(frozen=True, eq=False)
class _Same:
    """An array that is equal to itself alone: those of a search come once to a process."""

    array: Hashes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.array is other.array

    def __hash__(self) -> int:
        return id(self.array)


@lru_cache(maxsize=JOINS_KEPT)
def _joined(a: _Same, b: _Same, plan: JoinPlan) -> Join:
    return plan.join(a.array, b.array)
