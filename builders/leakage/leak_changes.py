"""Leaks of a few: what new, changed and gone samples change of the hits, and nothing else.

A hit is between two pictures. So those that train are compared anew if they have changed, or are
near a picture that has: with the registered test sets, and with what is near them of the samples'
own. What is near is asked of dedup's sample index: it knows all that may be a test picture.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from occlufer.config import DedupConfig, LeaksConfig
from occlufer.pipeline import stages_before
from occlufer.stages import Changes, Update
from occlufer.workspace import Workspace

from ..duplicates.edges import edges_between, limits_of
from ..duplicates.kept_index import ask_index, most_followed
from ..duplicates.sample_index import SampleIndex
from ..duplicates.scan import rows_near
from ..duplicates.worlds import near_rows
from ..hashing.kept import view_hashes
from .hits import Hit, NamedHashes, find_hits, known_hits, results_of
from .leak_sets import sets_of

AFTER = stages_before("leaks")
# If the index has no edges as wide, every hash is looked at: for so many samples at most.
FEW_SCANS = 16


def follow(
    workspace: Workspace, changes: Changes, settings: LeaksConfig, near: DedupConfig
) -> tuple[Update, dict[str, list[Hit]]] | None:
    """Return what changes of the results, and all hits that there are then.

    None if a search of all had better run: there are too many changes, or dedup's index, made by
    the settings `near`, does not know the samples as they are.
    """
    mark = workspace.catalog.mark("dedup")
    if mark is None or workspace.catalog.changed_since(mark.seq, mark.watches):
        return None  # dedup has not run since

    def ask(index: SampleIndex) -> tuple[set[str], dict[str, list[Hit]]] | None:
        if len(changes.images) > most_followed(index):
            return None
        asked = _asked(workspace, index, changes, settings, near)
        found = None if asked is None else _hits(workspace, index, asked, settings, near)
        return None if asked is None or found is None else (asked, found)

    told = ask_index(workspace, near, ask)
    return None if told is None else _update(workspace, changes.images, *told, settings)


def _update(
    workspace: Workspace,
    changed: set[str],
    asked: set[str],
    found: dict[str, list[Hit]],
    settings: LeaksConfig,
) -> tuple[Update, dict[str, list[Hit]]]:
    passing = workspace.catalog.passing_among(changed, AFTER)
    gone = {image for image, _ in workspace.catalog.values("leaks", changed - passing)}
    told = sorted(passing | asked)
    results = list(results_of(workspace, told, found, settings))
    others = known_hits(workspace, but={*told, *gone})
    return Update(results, gone), {**others, **found}


def _asked(
    workspace: Workspace,
    index: SampleIndex,
    changes: Changes,
    settings: LeaksConfig,
    near: DedupConfig,
) -> set[str] | None:
    """Return the training samples whose hits may be new, None if they cannot be told."""
    changed = index.samples(changes.images)
    rows = _rows_near(index, {sample.row for sample in changed.values()}, settings, near)
    if rows is None:
        return None
    beside = set(index.samples_of_rows(rows))
    beside |= _near_gone(workspace, changes.images - changed.keys(), settings)
    return _of_split(workspace, beside, "train")


def _near_gone(workspace: Workspace, gone: set[str], settings: LeaksConfig) -> set[str]:
    """Return the samples with hits that are near one of `gone`, which the index has forgotten.

    What was found out about an image stays when its records are gone.
    """
    known = [image for image, _ in workspace.catalog.values("hashes", gone)]
    hit = list(known_hits(workspace)) if known else []
    if not hit:
        return set()
    table, hit_table = (view_hashes(workspace.catalog, images) for images in (known, hit))
    edges = edges_between(hit_table, table, limits_of(settings))
    return {hit[position] for position in edges.a.tolist()}


def _hits(
    workspace: Workspace,
    index: SampleIndex,
    asked: set[str],
    settings: LeaksConfig,
    near: DedupConfig,
) -> dict[str, list[Hit]] | None:
    """Return the hits of training samples, None if they cannot be told."""
    if not asked:
        return {}
    catalog = workspace.catalog
    rows = _rows_near(index, {s.row for s in index.samples(asked).values()}, settings, near)
    if rows is None:
        return None
    beside = catalog.holders_of(index.samples_of_rows(rows))
    validating = sorted(_of_split(workspace, beside, "validation"))
    ours = sorted(asked)
    test_sets = sets_of(workspace, sorted(beside.items()), validating)
    return find_hits(NamedHashes(ours, view_hashes(catalog, ours)), test_sets, settings)


def _of_split(workspace: Workspace, images: Collection[str], split: str) -> set[str]:
    """Return those of these images that are in a split."""
    passing = workspace.catalog.passing_among(images, AFTER)
    values = workspace.catalog.values("split", passing)
    return {image for image, value in values if value["split"] == split}


def _rows_near(
    index: SampleIndex, rows: set[int], settings: LeaksConfig, near: DedupConfig
) -> set[int] | None:
    """Return these rows and all that may be as near one of them as a hit, None if too many."""
    wanted, known = limits_of(settings), limits_of(near)
    if wanted.within(known):
        return near_rows(index.edges(rows), rows)
    if len(rows) > FEW_SCANS:
        return None
    table = index.hashes.rows(np.array(sorted(rows), dtype=np.int64))
    return {*rows, *rows_near(index.hashes, table, wanted).tolist()}
