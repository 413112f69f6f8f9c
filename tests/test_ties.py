"""What is as near as a leak stays on one side of the split, whatever the caps of groups cut.

That whole builds keep it so is tested in test_leaks.py.
"""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_leak_changes import (
    DAMAGES,
    DEDUP,
    NARROW,
    NUMBERS,
    WIDE,
    Textured,
    before_leaks,
    change,
    put_found,
    record,
)

from occlufer.builders.duplicates.edges import Limits, are_near, near_edges
from occlufer.builders.hashing.hash_table import ViewTable
from occlufer.builders.hashing.kept import view_hashes
from occlufer.builders.hashing.views import HASHED, POSITION
from occlufer.builders.leakage import ties
from occlufer.builders.leakage.hits import NamedHashes, find_hits
from occlufer.builders.leakage.ties import tied_groups
from occlufer.config import LeaksConfig
from occlufer.stages import run_stage
from occlufer.workspace import Workspace, open_workspace


def deduplicated(workspace: Workspace, textured: Textured, numbers: set[int]) -> dict[str, str]:
    """Put samples, look for duplicates among them, and return {image: group}."""
    put_found(workspace, textured)
    change(workspace, [record(str(n), n) for n in sorted(numbers)])
    run_stage(before_leaks(frozenset())[0], workspace)
    return {r.image: r.value["group"] for r in workspace.catalog.results("dedup")}


def tied_by_the_leak_check(
    workspace: Workspace, group_of: dict[str, str], rules: LeaksConfig
) -> set[frozenset[str]]:
    """Return the sets of groups between which the leak check would find hits."""
    images = sorted(group_of)
    ours = NamedHashes(images, view_hashes(workspace.catalog, images))
    parts = {frozenset({group}) for group in group_of.values()}
    for hits in find_hits(ours, [("all", ours)], rules).values():
        for hit in hits:
            ends = {group_of[hit.image], group_of[hit.test_picture]}
            touched = {part for part in parts if part & ends}
            parts = parts - touched | {frozenset().union(*touched)}
    return parts


def sets_of(tied: dict[str, str]) -> set[frozenset[str]]:
    for name, some in itertools.groupby(sorted(tied, key=tied.__getitem__), tied.__getitem__):
        assert name in some
    return {frozenset(g for g in tied if tied[g] == name) for name in tied.values()}


# Of 64 bits fewer than dedup's index takes, as by default; and more of all.
FEW_BITS64 = replace(NARROW, phash64_bits=7)


@settings(max_examples=30)
@given(
    st.sets(st.integers(0, NUMBERS - 1), min_size=1),
    st.sets(st.integers(0, NUMBERS - 1)),
    st.sampled_from([NARROW, FEW_BITS64, WIDE]),
)
def test_groups_are_tied_where_the_leak_check_would_find_them(
    textured: Textured,
    tmp_path_factory: pytest.TempPathFactory,
    numbers: set[int],
    left_out: set[int],
    rules: LeaksConfig,
) -> None:
    with open_workspace(tmp_path_factory.mktemp("ties")) as workspace:
        group_of = deduplicated(workspace, textured, numbers)
        asked = {i: g for i, g in group_of.items() if int(i[-2:]) not in left_out}
        expected = tied_by_the_leak_check(workspace, asked, rules)
        with pytest.MonkeyPatch.context() as patch:
            if rules != WIDE:
                patch.setattr(ties, "_found_pairs", not_searched)
            assert sets_of(tied_groups(workspace, asked, DEDUP, rules)) == expected
        shutil.rmtree(workspace.folder / "dedup", ignore_errors=True)
        assert sets_of(tied_groups(workspace, asked, DEDUP, rules)) == expected


def not_searched(*arguments: object) -> NoReturn:
    raise AssertionError("searched, although the index knows")


def test_a_pair_is_tied_by_the_view_that_is_near_and_not_by_its_nearest_one() -> None:
    """Of one view few bits of 256 differ and many of 64, of another one it is the other way."""
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 2**64 - 1, (1, len(HASHED)), dtype=np.uint64)
    fine = rng.integers(0, 2**64 - 1, (1, len(HASHED), 4), dtype=np.uint64)
    views64 = np.concatenate([whole, ~whole])
    views256 = np.concatenate([fine, ~fine])
    upper, mirrored = POSITION["upper part"], POSITION["upper part of the mirror"]
    for place, bits64, bits256 in ((upper, 11, 40), (mirrored, 9, 44)):
        views64[1, place] = whole[0, upper] ^ np.uint64(2**bits64 - 1)
        views256[1, place] = fine[0, upper]
        views256[1, place, 0] ^= np.uint64(2**bits256 - 1)
    table = ViewTable(views64, views256)
    ends = np.array([0]), np.array([1])
    new, rank = np.ones(2, dtype=bool), np.arange(2)
    kept = near_edges(table, Limits(12, 64, 56), np.arange(2), new, rank)
    assert list(zip(kept.bits64.tolist(), kept.bits256.tolist(), strict=True)) == [(11, 40)]
    assert are_near(table, *ends, Limits(10, 56, 48)).tolist() == [True]
    assert are_near(table, *ends, Limits(8, 56, 48)).tolist() == [False]
    assert are_near(table, *ends, Limits(10, 56, 43)).tolist() == [False]


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_dedup_s_index_all_are_searched(
    workspace: Workspace, textured: Textured, damage: str
) -> None:
    group_of = deduplicated(workspace, textured, {1, 4, 7, 9, 13})
    expected = tied_groups(workspace, group_of, DEDUP, NARROW)
    assert len(set(expected.values())) < len(set(group_of.values()))
    DAMAGES[damage](workspace.folder / "dedup")
    assert tied_groups(workspace, group_of, DEDUP, NARROW) == expected
