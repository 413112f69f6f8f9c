"""Clusters: which pictures are duplicates of which, and which are related."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.config import DedupConfig
from occlufer.engine import map_local

from ..hashes import Look, Picture, look
from ..hashing.hash_table import table_of
from ..hashing.sketches import Sketch, seen_as
from .blocks import block_differences
from .edges import Edge, Edges, first_alike, limits_of, near_edges
from .groups import Likenesses, find_groups
from .stars import Differences, Drop, star_clusters


@dataclass(frozen=True)
class Clusters:
    """What became of n pictures, by their positions."""

    dropped: dict[int, Drop]
    """{duplicate: the one that is kept for it, and how near they are}."""
    groups: list[str]
    """The group of every picture, of dropped ones too: it stays on one side of the split."""
    cut: list[tuple[int, int]]
    """Related pairs in two groups, for one group would have been too large or too wide."""

    def related(self) -> list[list[int]]:
        """Return the kept members of every group that has two of them or more."""
        members: dict[str, list[int]] = {}
        for position, group in enumerate(self.groups):
            if position not in self.dropped:
                members.setdefault(group, []).append(position)
        return [positions for positions in members.values() if len(positions) > 1]


def find_duplicates(
    pictures: Sequence[Picture], settings: DedupConfig | None = None, workers: int = 0
) -> Clusters:
    """Return what is duplicate and what is related among pictures: paths, bytes, Pillow images.

    Of copies the one with the most pixels is kept, then that of the largest file. The order in
    which they are given changes nothing, but of pictures alike in everything the first is kept.
    Raises BadImageError for what is no picture, OSError for what cannot be read.
    """
    looks = list(map_local(look, pictures, workers))
    return cluster_looks(looks, settings or DedupConfig())


def cluster_looks(looks: Sequence[Look], settings: DedupConfig) -> Clusters:
    """Return the clusters of pictures that were looked at."""

    def precedence(i: int) -> tuple[Any, ...]:
        return -looks[i].pixels, -looks[i].size_bytes, looks[i].sha256, i

    order = sorted(range(len(looks)), key=precedence)
    table = table_of(looks[i].hashes for i in order)
    first = first_alike(table)
    leaders = np.flatnonzero(first == np.arange(first.size))
    edges = near_edges(
        table,
        limits_of(settings),
        leaders,
        np.ones(leaders.size, dtype=bool),
        np.arange(first.size),
    )
    names = [f"{looks[i].sha256} {place:09d}" for place, i in enumerate(order)]
    differences = differences_by(lambda place: looks[order[place]].sketch)
    found = cluster(names, first, edges, differences, settings)
    return _placed(found, order)


def cluster(
    images: list[str],
    first: NDArray[np.int64],
    edges: Edges,
    differences: Differences,
    settings: DedupConfig,
    joined: Iterable[tuple[int, int]] = (),
    protected: Collection[int] = (),
) -> Clusters:
    """Return the clusters of images in the order of precedence.

    `first`, `edges` and `differences` are those of `first_alike`, `near_edges`, `differences_by`.
    Pairs that are `joined` are in one group; `protected` positions are never dropped.
    """
    dropped = star_clusters(
        first.tolist(), edges, differences, settings.block_difference, protected
    )
    copies = [(i, drop.kept) for i, drop in dropped.items()]
    groups = find_groups(
        images,
        [*copies, *joined],
        likenesses(first, edges),
        settings.group_size,
        settings.group_width,
    )
    return Clusters(dropped, groups.names, groups.cut)


def likenesses(first: NDArray[np.int64], edges: Edges) -> Likenesses:
    """Return who looks like whom, from what `first_alike` and `near_edges` tell."""
    twins = np.flatnonzero(first != np.arange(first.size))
    return Likenesses(
        np.concatenate([edges.a, twins]),
        np.concatenate([edges.b, first[twins]]),
        np.concatenate([edges.bits256, np.zeros_like(twins)]),
    )


def differences_by(sketch: Callable[[int], Sketch]) -> Differences:
    """Return what measures, in grey levels, how far the pictures at the ends of edges differ.

    By blocks.block_differences; `sketch` gives that of the picture at a position.
    """

    def differences(edges: Sequence[Edge]) -> list[float]:
        seen = seen_as([sketch(e.a) for e in edges], [e.seen for e in edges])
        taken = seen_as([sketch(e.b) for e in edges], [e.taken for e in edges])
        return block_differences(seen, taken)

    return differences


def _placed(clusters: Clusters, order: list[int]) -> Clusters:
    """Return the clusters with each position replaced by what `order` has there."""

    def place(drop: Drop) -> Drop:
        edge = drop.edge._replace(a=order[drop.edge.a], b=order[drop.edge.b])
        return replace(drop, kept=order[drop.kept], edge=edge)

    groups = dict(zip(order, clusters.groups, strict=True))
    return Clusters(
        dict(sorted((order[i], place(drop)) for i, drop in clusters.dropped.items())),
        [groups[i] for i in range(len(order))],
        sorted((order[a], order[b]) for a, b in clusters.cut),
    )
