"""Duplicates, of which one is kept, and related samples, which stay on one side of the split.

The two kinds of edge are explained in docs/decisions/0004-two-kinds-of-edge.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from occlufer.config import BuildConfig, DedupConfig
from occlufer.images import ImageStore
from occlufer.pipeline import stages_before
from occlufer.record import Record, Reject, Result
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

from .groups import group_ids
from .hashes import VIEWS, small_grey
from .pixels import decode_rgb
from .search import distances, hashes_from_hex, neighbours

VERSION = 2
AFTER = stages_before("dedup")


@dataclass(frozen=True)
class Candidate:
    """One sample as the search sees it."""

    image: str
    crop: str
    owner: Record
    pixels: int
    phash64: tuple[str, ...]
    """One hash per view, in the order of VIEWS."""
    phash256: tuple[str, ...]


@dataclass(frozen=True)
class Edge:
    """Sample `a`, seen in `view`, is near sample `b` as it is; both are positions."""

    a: int
    b: int
    view: str
    bits64: int
    bits256: int


def stage(config: BuildConfig) -> SetStage:
    """Return the stage."""
    params = {"version": VERSION, **vars(config.dedup)}
    return SetStage("dedup", AFTER, params, partial(find_duplicates, settings=config.dedup))


def find_duplicates(workspace: Workspace, settings: DedupConfig) -> Iterable[Result]:
    """Yield, per image, the `group` it belongs to, or what it is a duplicate of as a reject.

    The result does not depend on the order in which images came.
    """
    candidates = sorted(_candidates(workspace), key=_precedence)
    edges = near_edges(candidates, settings)
    blocks = partial(_block_difference, candidates, workspace.images, {})

    def verify(edge: Edge) -> bool:
        return blocks(edge) <= settings.block_difference

    stars = star_clusters(len(candidates), _near(edges, settings), verify)
    groups = group_ids(
        [candidate.image for candidate in candidates],
        [(edge.a, edge.b) for edge in edges if edge.bits256 <= settings.related_bits],
        [_subject(candidate.owner) for candidate in candidates],
    )
    for i, candidate in enumerate(candidates):
        if i not in stars:
            yield Result(candidate.image, {"group": groups[i]})
            continue
        edge = stars[i]
        kept = candidates[edge.a + edge.b - i]
        value = {
            "group": groups[i],
            "kept": kept.image,
            "view": edge.view,
            "phash64_bits": edge.bits64,
            "phash256_bits": edge.bits256,
            "block_difference": round(blocks(edge), 2),
        }
        yield Result(candidate.image, value, Reject("duplicate", _detail(kept, value)))


def near_edges(candidates: list[Candidate], settings: DedupConfig) -> list[Edge]:
    """Return the pairs that are near in some view, one edge a pair and view."""
    itself64 = hashes_from_hex([c.phash64[0] for c in candidates])
    itself256 = hashes_from_hex([c.phash256[0] for c in candidates])
    radius = max(settings.phash256_bits, settings.related_bits)
    edges = []
    for number, view in enumerate(VIEWS):
        queries = hashes_from_hex([c.phash256[number] for c in candidates])
        a, b, bits256 = neighbours(queries, itself256, radius)
        keep = a < b if view == "itself" else a != b
        a, b, bits256 = a[keep], b[keep], bits256[keep]
        bits64 = distances(hashes_from_hex([c.phash64[number] for c in candidates])[a], itself64[b])
        rows = zip(a.tolist(), b.tolist(), bits64.tolist(), bits256.tolist(), strict=True)
        edges += [Edge(i, j, view, near64, near256) for i, j, near64, near256 in rows]
    return edges


def star_clusters(count: int, near: list[Edge], verify: Callable[[Edge], bool]) -> dict[int, Edge]:
    """Return {dropped position: the edge to the one that is kept}.

    Whoever comes first in the order is kept; a sample is dropped only for one that is kept and
    that it was itself compared with, so likeness never travels along a chain. Only what could
    still be dropped is verified: once a sample, not once a pair.
    """
    by_position: dict[int, list[Edge]] = {}
    for edge in near:
        by_position.setdefault(min(edge.a, edge.b), []).append(edge)
    dropped: dict[int, Edge] = {}
    for kept in range(count):
        if kept in dropped:
            continue
        for edge in sorted(by_position.get(kept, []), key=lambda edge: edge.bits256):
            other = edge.a + edge.b - kept
            if other not in dropped and verify(edge):
                dropped[other] = edge
    return dropped


def block_difference(a: Any, b: Any) -> float:
    """Return the largest mean grey-level difference of any 8x8 block of two (32, 32) pictures.

    `b` is first fitted to `a` in gain and offset; the worst quarter of the pixels does not count
    in the fit, so that a pasted mask cannot pull it.
    """
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    weight = np.ones(x.size, dtype=bool)
    for _ in range(3):
        terms = np.stack([y[weight], np.ones(int(weight.sum()))], axis=1)
        gain, offset = np.linalg.lstsq(terms, x[weight], rcond=None)[0]
        residual = np.abs(x - gain * y - offset)
        weight = residual <= np.quantile(residual, 0.75)
    difference = (x - gain * y - offset).reshape(4, 8, 4, 8)
    return float(np.abs(difference.mean(axis=(1, 3))).max())


def _near(edges: list[Edge], settings: DedupConfig) -> list[Edge]:
    """Return the edges whose hashes are those of duplicates."""
    return [
        edge
        for edge in edges
        if edge.bits64 <= settings.phash64_bits and edge.bits256 <= settings.phash256_bits
    ]


def _block_difference(
    candidates: list[Candidate], store: ImageStore, seen: dict[tuple[int, str], Any], edge: Edge
) -> float:
    """Return the block difference of an edge; `seen` keeps the small pictures made so far."""
    for position, view in ((edge.a, edge.view), (edge.b, "itself")):
        if (position, view) not in seen:
            image = Image.fromarray(decode_rgb(store.get(candidates[position].crop)))
            seen[position, view] = small_grey(VIEWS[view](image.convert("L")))
    return block_difference(seen[edge.a, edge.view], seen[edge.b, "itself"])


def _candidates(workspace: Workspace) -> Iterable[Candidate]:
    catalog = workspace.catalog
    for image in catalog.images_passing(AFTER):
        faces, hashes = catalog.value("faces", image), catalog.value("hashes", image)
        yield Candidate(
            image,
            faces["crop"],
            catalog.owner(image),
            faces["width"] * faces["height"],
            tuple(hashes["phash64"][view] for view in VIEWS),
            tuple(hashes["phash256"][view] for view in VIEWS),
        )


def _precedence(candidate: Candidate) -> tuple[Any, ...]:
    # A sample without a vote would take the labelled copies with it.
    unlabelled = not candidate.owner.facts.votes
    return unlabelled, candidate.owner.rank, -candidate.pixels, candidate.image


def _subject(owner: Record) -> str | None:
    return None if owner.facts.subject is None else f"{owner.source}/{owner.facts.subject}"


def _detail(kept: Candidate, value: dict[str, Any]) -> str:
    return (
        f"of {kept.owner.id} in the view {value['view']}: phash64 {value['phash64_bits']} bits, "
        f"phash256 {value['phash256_bits']} bits, blocks {value['block_difference']} grey levels"
    )
