"""Ties: groups between which a leak would be found; the split keeps them on one side.

Groups of look-alikes are capped in size and width, so samples of two groups may be as near as a
leak. What the split divides are therefore groups with all that they are tied to.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import pairwise

import numpy as np

from occlufer.config import DedupConfig, LeaksConfig
from occlufer.workspace import Workspace

from ..duplicates.edges import (
    Limits,
    are_near,
    first_alike,
    limits_of,
    near_edges,
    rank_by_hashes,
)
from ..duplicates.groups import Forest
from ..duplicates.kept_index import ask_index
from ..duplicates.sample_index import SampleIndex
from ..hashing.kept import view_hashes

log = logging.getLogger(__name__)


Pairs = Iterable[tuple[int, int]]


def tied_groups(
    workspace: Workspace, group_of: Mapping[str, str], near: DedupConfig, leaks: LeaksConfig
) -> dict[str, str]:
    """Return {group: the smallest of the groups that it is tied to, itself among them}.

    `group_of` is {image: group}, of all images between which there must be no leak. What is near
    is asked of dedup's index, made by the settings `near`; all are searched if it does not know.
    """
    images, wanted = sorted(group_of), limits_of(leaks)
    known = _known_pairs(workspace, images, near, wanted)
    rows, pairs = _found_pairs(workspace, images, wanted) if known is None else known
    groups = sorted(set(group_of.values()))
    number = {group: i for i, group in enumerate(groups)}
    members: dict[int, list[int]] = {}
    for image, row in zip(images, rows, strict=True):
        members.setdefault(row, []).append(number[group_of[image]])
    forest = Forest(len(groups))
    for together in members.values():  # the very same hashes
        for a, b in pairwise(together):
            forest.join(a, b)
    for a, b in pairs:
        if a in members and b in members:
            forest.join(members[a][0], members[b][0])
    smallest = forest.smallest(groups)
    ties = {group: smallest[forest.root(i)] for i, group in enumerate(groups)}
    _tell(ties, group_of)
    return ties


def _tell(ties: Mapping[str, str], group_of: Mapping[str, str]) -> None:
    """Log how much is tied: it decides what the split can do, and no published group shows it."""
    tied = len(ties) - len(set(ties.values()))
    if tied:
        samples = Counter(ties[group] for group in group_of.values())
        log.info(
            "split: %d groups are kept with others, for samples of theirs are near by [leaks]; "
            "most samples kept together: %d",
            *(tied, max(samples.values())),
        )


def _known_pairs(
    workspace: Workspace, images: Collection[str], near: DedupConfig, wanted: Limits
) -> tuple[list[int], Pairs] | None:
    """Return the row of each image and the pairs of near rows, None if the index has not all."""
    if workspace.catalog.mark("dedup") is None:
        return None
    if not wanted.within(limits_of(near)):
        log.info("split: all samples are searched, for [leaks] looks farther than [dedup]")
        return None
    return ask_index(workspace, near, partial(_indexed_pairs, images=images, wanted=wanted))


def _indexed_pairs(
    index: SampleIndex, images: Collection[str], wanted: Limits
) -> tuple[list[int], Pairs] | None:
    rows = index.rows()
    if not all(image in rows for image in images):
        return None
    pairs = index.near_pairs(wanted.bits256)
    # An index keeps the nearest edges of a pair by their 256 bits: another of its edges may
    # have fewer of 64.
    ends, places = np.unique(pairs, return_inverse=True)
    a, b = places.reshape(-1, 2).T
    pairs = pairs[are_near(index.hashes.rows(ends), a, b, wanted)]
    return [rows[image] for image in images], map(tuple, pairs.tolist())


def _found_pairs(
    workspace: Workspace, images: list[str], wanted: Limits
) -> tuple[list[int], Pairs]:
    """Return the first place with the hashes of each image, and the pairs of near places."""
    table = view_hashes(workspace.catalog, images)
    first = first_alike(table)
    leaders = np.flatnonzero(first == np.arange(first.size))
    new = np.ones(leaders.size, dtype=bool)
    edges = near_edges(table, wanted, leaders, new, rank_by_hashes(table))
    return first.tolist(), zip(edges.a.tolist(), edges.b.tolist(), strict=True)
