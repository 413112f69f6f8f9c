"""Arrivals: new hashes get their rows in the index, and are searched against all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.engine import Remote

from ..hashing.hash_table import ViewTable, joined_views
from .edges import Limits, first_alike, near_edges, rank_by_hashes
from .sample_index import SampleIndex
from .scan import rows_near

# So many new hashes are compared with all one by one, more of them in a join of the two sets.
SCANNED = 64


def take_in(
    index: SampleIndex, new: ViewTable, limits: Limits, remote: Remote | None = None
) -> NDArray[np.int64]:
    """Add hashes and their edges to the index, and return the row of each of them, int64 (n,).

    `remote` are processes that search.
    """
    store = index.hashes
    if len(new) == 0:
        return np.zeros(0, dtype=np.int64)
    if len(new) <= SCANNED:
        old_rows = rows_near(store, new, limits)
        old = store.rows(old_rows)
    else:
        old_rows, old = np.arange(store.count), store.table()
    both = joined_views([old, new]) if len(old) else new
    first = first_alike(both)
    leaders = np.flatnonzero(first == np.arange(first.size))
    fresh = leaders[leaders >= len(old)]
    row = np.zeros(first.size, dtype=np.int64)
    row[: len(old)] = old_rows
    row[fresh] = store.count + np.arange(fresh.size)
    if leaders.size > 1:
        among, is_new = leaders, leaders >= len(old)
        edges = near_edges(both, limits, among, is_new, rank_by_hashes(both), remote)
        index.add_edges(edges.between(row[edges.a], row[edges.b]))
    store.append(new.rows(fresh - len(old)))
    return row[first[len(old) :]]
