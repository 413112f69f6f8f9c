"""Duplicates, of which one is kept, and related samples, which stay on one side of the split.

Why there are two kinds of edge: docs/decisions/0004-two-kinds-of-edge.md. `hash_images`,
`neighbours` and `find_duplicates` work on any pictures, the stage on those of a workspace.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.config import BuildConfig, DedupConfig
from occlufer.pipeline import stages_before
from occlufer.record import Record, Reject, Result
from occlufer.stages import SetStage, fingerprint
from occlufer.workspace import Workspace

from .clusters import Clusters, cluster, find_duplicates, limits
from .edges import Edge, Edges, first_alike, joined, near_edges
from .group_file import read_groups
from .hash_table import SHAPES, HashTable, from_hex, table_of
from .hashes import grey_of, hash_images
from .search import neighbours
from .stars import Drop

__all__ = ["Clusters", "find_duplicates", "hash_images", "neighbours", "stage"]

VERSION = 4

log = logging.getLogger(__name__)
AFTER = stages_before("dedup")


@dataclass(frozen=True)
class Candidate:
    """One sample as the search sees it."""

    image: str
    crop: str
    holders: list[Record]
    """The records that hold its bytes, the one that speaks for it first."""
    pixels: int
    size_bytes: int


@dataclass(frozen=True)
class Known:
    """The edges that an earlier run has found."""

    searched: NDArray[np.bool_]
    """(n,): whether a sample's edges to all others that were searched are among them."""
    edges: Edges
    measured: dict[Edge, float]
    """The block differences that were measured."""


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; raises MissingError or UsageError if the file of groups cannot be read."""
    groups = read_groups(config.dedup.groups)
    function = partial(cluster_samples, settings=config.dedup, groups=groups)
    return SetStage("dedup", AFTER, params(config.dedup), function)


def params(settings: DedupConfig) -> dict[str, Any]:
    """Return the settings as JSON has them, the file of groups by its content."""
    path = settings.groups
    sha256 = None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    return {"version": VERSION, **vars(settings), "groups": sha256, "keep": sorted(settings.keep)}


def cluster_samples(
    workspace: Workspace, settings: DedupConfig, groups: dict[str, str]
) -> Iterable[Result]:
    """Yield, per image, the `group` it belongs to, or what it is a duplicate of as a reject.

    Only samples that no earlier run has searched are searched now; the result is that of searching
    all, and does not depend on the order in which images came. `groups` is {record: group}.
    """
    candidates, table = _candidates(workspace)
    first = first_alike(table)
    tag = _tag(workspace, settings)
    known = _known(workspace, candidates, first, tag)
    leaders = np.flatnonzero(first == np.arange(first.size))
    rank = np.argsort(np.argsort([candidate.image for candidate in candidates]))
    new = near_edges(table, limits(settings), leaders, ~known.searched[leaders], rank)
    edges = joined([known.edges, new])
    measured = dict(known.measured)
    clusters = cluster(
        [candidate.image for candidate in candidates],
        first,
        edges,
        lambda position: grey_of(workspace.images.get(candidates[position].crop)),
        settings,
        _joined(candidates, groups),
        {i for i, c in enumerate(candidates) if {r.id for r in c.holders} & set(settings.keep)},
        measured,
    )
    if clusters.cut:
        log.warning(
            "dedup: look-alikes cut off groups, see [dedup] group_size: %d", len(clusters.cut)
        )
    _warn_of_unknown(workspace, {*groups, *settings.keep})
    near = _near(candidates, edges, measured)
    kin = _nearest_kin(candidates, edges, clusters)
    for i, candidate in enumerate(candidates):
        value: dict[str, Any] = {"group": clusters.groups[i]}
        if first[i] == i:
            value |= {"searched": tag, "near": near.get(i, [])}
        if i in kin:
            value["related"] = kin[i]
        yield _result(candidate, value, candidates, clusters.dropped.get(i))


def _result(
    candidate: Candidate, value: dict[str, Any], candidates: list[Candidate], drop: Drop | None
) -> Result:
    if drop is None:
        return Result(candidate.image, value)
    kept = candidates[drop.kept]
    value |= {
        "kept": kept.image,
        "view": drop.edge.view,
        "seen": drop.seen,
        "phash64_bits": drop.edge.bits64,
        "phash256_bits": drop.edge.bits256,
        "block_difference": round(drop.block_difference, 2),
    }
    detail = (
        f"of {kept.holders[0].id} in the view {value['view']} (of the {value['seen']} one): "
        f"phash64 {value['phash64_bits']} bits, phash256 {value['phash256_bits']} bits, "
        f"blocks {value['block_difference']} grey levels"
    )
    return Result(candidate.image, value, Reject("duplicate", detail))


def _nearest_kin(
    candidates: list[Candidate], edges: Edges, clusters: Clusters
) -> dict[int, dict[str, Any]]:
    """Return, of kept samples, the kept sample of their group that is nearest, and how near."""
    nearest: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    for edge in edges:
        if clusters.groups[edge.a] != clusters.groups[edge.b]:
            continue
        if edge.a in clusters.dropped or edge.b in clusters.dropped:
            continue
        for i, other in ((edge.a, edge.b), (edge.b, edge.a)):
            image = candidates[other].image
            order = (edge.bits256, edge.bits64, image, edge.seen, edge.taken)
            if i not in nearest or order < nearest[i][0]:
                bits = {"phash64_bits": edge.bits64, "phash256_bits": edge.bits256}
                nearest[i] = order, {"image": image, "view": edge.view, **bits}
    return {i: kin for i, (_, kin) in nearest.items()}


def _warn_of_unknown(workspace: Workspace, named: set[str]) -> None:
    unknown = sorted(named - {record.id for record in workspace.catalog.records()}) if named else []
    if unknown:
        log.warning("[dedup] groups, keep: no such record: %s", ", ".join(unknown[:10]))


# What the catalog holds ---------------------------------------------------------------------------


def _candidates(workspace: Workspace) -> tuple[list[Candidate], HashTable]:
    """Return the samples in the order of precedence, and their hashes."""
    catalog = workspace.catalog
    passing = set(catalog.images_passing(AFTER))
    holders = {image: records for image, records in catalog.holders() if image in passing}
    sizes = {
        result.image: (result.value["crop"], result.value["width"] * result.value["height"])
        for result in catalog.results("faces")
        if result.image in passing
    }
    found, rows = [], []
    for result in catalog.results("hashes"):
        if result.image not in passing:
            continue
        crop, pixels = sizes[result.image]
        size_bytes = result.value["size_bytes"]
        found.append(Candidate(result.image, crop, holders[result.image], pixels, size_bytes))
        rows.append({name: from_hex(result.value[name]) for name in SHAPES})
    order = sorted(range(len(found)), key=lambda i: _precedence(found[i]))
    return [found[i] for i in order], table_of(rows[i] for i in order)


def _precedence(candidate: Candidate) -> tuple[Any, ...]:
    # A sample without a label would take the labelled copies with it.
    votes = Counter(vote.label for r in candidate.holders for vote in r.facts.votes)
    first, second = [*sorted(votes.values(), reverse=True), 0, 0][:2]
    rank = candidate.holders[0].rank
    return first == second, rank, -candidate.pixels, -candidate.size_bytes, candidate.image


def _joined(candidates: list[Candidate], groups: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of samples of one subject, or of one group of the user's."""
    members: dict[tuple[str, str], list[int]] = {}
    for i, candidate in enumerate(candidates):
        for record in candidate.holders:
            if record.facts.subject is not None:
                members.setdefault((record.source, record.facts.subject), []).append(i)
            if record.id in groups:
                members.setdefault(("", groups[record.id]), []).append(i)
    for together in members.values():
        yield from itertools.pairwise(together)


# Edges of earlier runs ----------------------------------------------------------------------------


def _tag(workspace: Workspace, settings: DedupConfig) -> str:
    """Return what edges depend on, beside the samples: others are searched anew."""
    hashes = workspace.catalog.fingerprint("hashes")
    return fingerprint(VERSION, vars(limits(settings)), hashes)[:12]


def _known(
    workspace: Workspace, candidates: list[Candidate], first: NDArray[np.int64], tag: str
) -> Known:
    """Return the edges that the catalog's results hold, between the first ones alike."""
    position = {candidate.image: i for i, candidate in enumerate(candidates)}
    searched = np.zeros(len(candidates), dtype=bool)
    rows: list[tuple[int, ...]] = []
    measured: dict[Edge, float] = {}
    results = [
        result
        for result in workspace.catalog.results("dedup")
        if result.value.get("searched") == tag and result.image in position
    ]
    for result in results:
        searched[first[position[result.image]]] = True
    for result in results:
        a = position[result.image]
        for other, seen, taken, bits64, bits256, blocks in result.value["near"]:
            b = position.get(other)
            if b is None or not searched[first[b]]:
                continue
            edge = Edge(int(first[a]), int(first[b]), seen, taken, bits64, bits256)
            rows.append((edge.a, edge.b, seen, taken, bits64, bits256))
            if blocks is not None and (edge.a, edge.b) == (a, b):
                measured[edge] = blocks
    columns = np.array(rows, dtype=np.int64).reshape(-1, 6).T
    return Known(searched, Edges(*columns), measured)


def _near(
    candidates: list[Candidate], edges: Edges, measured: dict[Edge, float]
) -> dict[int, list[list[Any]]]:
    """Return {position: its edges as `_known` reads them}."""
    near: dict[int, list[list[Any]]] = {}
    for edge in edges:
        blocks = measured.get(edge)
        row = [edge.seen, edge.taken, edge.bits64, edge.bits256, blocks]
        near.setdefault(edge.a, []).append([candidates[edge.b].image, *row])
    return {position: sorted(rows, key=lambda row: row[:5]) for position, rows in near.items()}
