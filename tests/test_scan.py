"""The scan marks every row that has an edge with a new one, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.duplicates import scan
from occlufer.builders.duplicates.edges import Limits, near_edges
from occlufer.builders.duplicates.scan import rows_near
from occlufer.builders.hashing import hash_store
from occlufer.builders.hashing.hash_store import HashStore, StoreError
from occlufer.builders.hashing.hash_table import ViewTable, joined_views
from occlufer.builders.hashing.views import HASHED

LIMITS = Limits(12, 64, 56)


def random_table(rng: np.random.Generator, count: int) -> ViewTable:
    words = rng.integers(0, 2**64 - 1, (count, len(HASHED), 5), dtype=np.uint64)
    return ViewTable(np.asfortranarray(words[:, :, 0]), words[:, :, 1:].copy())


def plant(rng: np.random.Generator, table: ViewTable, seen: int, other: Any, taken: int) -> None:
    """Make a view of one row of `table` near one of `other`, or just too far."""
    row, old = rng.integers(0, len(table)), rng.integers(0, len(other))
    flips64 = rng.choice(64, rng.integers(10, 15), replace=False)
    flips256 = rng.choice(256, rng.integers(50, 70), replace=False)
    bits64 = np.unpackbits(other.views64[old, [taken]].view(np.uint8))
    bits256 = np.unpackbits(np.ascontiguousarray(other.views256[old, taken]).view(np.uint8))
    bits64[flips64] ^= 1
    bits256[flips256] ^= 1
    table.views64[row, seen] = np.packbits(bits64).view(np.uint64)[0]
    table.views256[row, seen] = np.packbits(bits256).view(np.uint64)


@given(
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.integers(0, 50),
    st.lists(st.tuples(*[st.integers(0, len(HASHED) - 1)] * 2), max_size=12),
)
def test_the_rows_found_are_those_with_an_edge(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    new_count: int,
    count: int,
    planted: list[tuple[int, int]],
) -> None:
    rng = np.random.default_rng(seed)
    old, new = random_table(rng, count), random_table(rng, new_count)
    for seen, taken in planted if count else []:
        plant(rng, new, seen, old, taken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_store, "CHUNK_ROWS", 16)
        patch.setattr(scan, "CHUNK_ROWS", 16)
        store = HashStore(tmp_path_factory.mktemp("store"), 0)
        store.append(old)
        found = rows_near(store, new, LIMITS)
    both, every = joined_views([old, new]), np.arange(count + new_count)
    edges = near_edges(both, LIMITS, every, every >= count, every)
    ends = {*edges.a.tolist(), *edges.b.tolist()}
    assert found.tolist() == sorted(end for end in ends if end < count)


@given(st.lists(st.integers(0, 40), max_size=4))
def test_rows_come_back_as_they_were_appended(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    rng = np.random.default_rng(len(counts))
    folder = tmp_path_factory.mktemp("store")
    tables = [random_table(rng, count) for count in counts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_store, "CHUNK_ROWS", 16)
        for number, table in enumerate(tables):
            store = HashStore(folder, sum(counts[:number]))
            store.append(random_table(rng, 3))  # a run that was killed before it committed
            store = HashStore(folder, sum(counts[:number]))
            store.append(table)
        store = HashStore(folder, sum(counts))
        everything = joined_views([random_table(rng, 0), *tables])
        chosen = np.arange(sum(counts))[::-2]
        for found, wanted in (
            (store.table(), everything),
            (store.rows(chosen), everything.rows(chosen)),
        ):
            assert np.array_equal(found.views64, wanted.views64)
            assert np.array_equal(found.views256, wanted.views256)


def test_a_store_that_is_too_short_is_named(tmp_path: Path) -> None:
    HashStore(tmp_path, 0).append(random_table(np.random.default_rng(0), 2))
    with pytest.raises(StoreError, match=r"views256: found 2368 bytes, expected 3552"):
        HashStore(tmp_path, 3)
