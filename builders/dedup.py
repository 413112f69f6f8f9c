"""Duplicates, of which one is kept, and related samples, which stay on one side of the split.

Why there are two kinds of edge: docs/decisions/0004-two-kinds-of-edge.md. `hash_images`,
`neighbours` and `find_duplicates` work on any pictures, the stage on those of a workspace.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Mapping
from functools import partial
from typing import Any

from occlufer.config import BuildConfig, DedupConfig
from occlufer.damage import is_damage
from occlufer.digest import file_sha256
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.stages import Changes, FollowingStage, Update
from occlufer.workspace import Workspace

from .duplicates.arrivals import take_in
from .duplicates.clusters import Clusters, cluster, find_duplicates
from .duplicates.edges import limits_of
from .duplicates.follow import follow_changes
from .duplicates.group_file import read_groups
from .duplicates.kept_index import FOLDER, VERSION, most_followed, rules
from .duplicates.sample_index import SampleIndex, open_index
from .duplicates.samples import Sample, read_hashes, read_samples
from .duplicates.verdicts import nearest_kin, result_of, verdict_of
from .duplicates.worlds import differences, world_of
from .hashes import hash_images
from .hashing.search import neighbours

__all__ = ["Clusters", "find_duplicates", "hash_images", "neighbours", "stage"]

log = logging.getLogger(__name__)
AFTER = stages_before("dedup")
# An index of which more than half is of no sample any more is made anew.
SPARE_ROWS = 1000


def stage(config: BuildConfig) -> FollowingStage:
    """Return the stage; raises MissingError or UsageError if the file of groups cannot be read."""
    groups = read_groups(config.dedup.groups)
    settings = config.dedup
    whole = partial(cluster_samples, settings=settings, groups=groups)
    update = partial(follow, settings=settings, groups=groups)
    return FollowingStage("dedup", AFTER, params(settings), whole, update)


def params(settings: DedupConfig) -> dict[str, Any]:
    """Return the settings as JSON has them, the file of groups by its content."""
    path = settings.groups
    sha256 = None if path is None else file_sha256(path)
    return {"version": VERSION, **vars(settings), "groups": sha256, "keep": sorted(settings.keep)}


# All samples --------------------------------------------------------------------------------------


def cluster_samples(
    workspace: Workspace, state: str, settings: DedupConfig, groups: Mapping[str, str]
) -> list[Result]:
    """Return, per image, the `group` it belongs to, or what it is a duplicate of as a reject.

    Only hashes that are not in the index yet are searched; the result is that of searching all,
    and does not depend on the order in which images came. `groups` is {record: group}. The index
    comes to `state`.
    """
    _warn_of_unknown(workspace, {*groups, *settings.keep})
    try:
        return _cluster_indexed(workspace, state, settings, groups)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.warning("dedup: the index is made anew: %s", error)
        shutil.rmtree(workspace.folder / FOLDER)
    return _cluster_indexed(workspace, state, settings, groups)


def _cluster_indexed(
    workspace: Workspace, state: str, settings: DedupConfig, groups: Mapping[str, str]
) -> list[Result]:
    images = workspace.catalog.images_passing(AFTER)
    folder, made_by = workspace.folder / FOLDER, rules(workspace, settings)
    with open_index(folder, made_by) as index:
        wasteful = index.hashes.count > 2 * len(images) + SPARE_ROWS
    if wasteful:
        shutil.rmtree(folder)
    with open_index(folder, made_by) as index, index.changing(state):
        samples = _all_samples(workspace, index, images, settings, groups)
        return _clustered(workspace, index, samples, settings)


def _all_samples(
    workspace: Workspace,
    index: SampleIndex,
    images: list[str],
    settings: DedupConfig,
    groups: Mapping[str, str],
) -> list[Sample]:
    """Return the samples of these images, the index knowing the hashes of all of them."""
    catalog = workspace.catalog
    sizes, rows = index.sizes()
    new_sizes, new = read_hashes(catalog, [image for image in images if image not in rows])
    new_rows = take_in(index, new, limits_of(settings), workspace.engine.remote).tolist()
    sizes |= new_sizes
    rows |= dict(zip(new_sizes, new_rows, strict=True))
    passing = set(images)
    holders = ((image, records) for image, records in catalog.holders() if image in passing)
    return list(read_samples(holders, sizes, rows, groups, settings.keep))


def _clustered(
    workspace: Workspace, index: SampleIndex, samples: list[Sample], settings: DedupConfig
) -> list[Result]:
    world = world_of(samples, index.edges())
    clusters = cluster(
        world.images,
        world.first,
        world.edges,
        differences(workspace.catalog, world),
        settings,
        world.joined(),
        world.protected(),
    )
    if clusters.cut:
        log.warning(
            "dedup: look-alikes cut off groups, see [dedup] group_size: %d", len(clusters.cut)
        )
    kin = nearest_kin(world, clusters.groups, clusters.dropped)
    results, outcomes = [], []
    for i, (sample, group) in enumerate(zip(world.samples, clusters.groups, strict=True)):
        drop = clusters.dropped.get(i)
        kept = None if drop is None else world.samples[drop.kept]
        verdict = None if drop is None else verdict_of(drop, world.samples[drop.kept])
        owner = "" if kept is None else kept.owner
        results.append(result_of(sample.image, group, kin.get(i), verdict, owner))
        outcomes.append((None if kept is None else kept.image, group))
    index.replace(world.samples, outcomes)
    return results


def _warn_of_unknown(workspace: Workspace, named: set[str]) -> None:
    unknown = sorted(named - {record.id for record in workspace.catalog.records()}) if named else []
    if unknown:
        log.warning("[dedup] groups, keep: no such record: %s", ", ".join(unknown[:10]))


# A few of them ------------------------------------------------------------------------------------


def follow(
    workspace: Workspace, changes: Changes, settings: DedupConfig, groups: Mapping[str, str]
) -> Update | None:
    """Return what `cluster_samples` would change in its results now; None if it had better run."""
    folder = workspace.folder / FOLDER
    try:
        with open_index(folder, rules(workspace, settings)) as index:
            if index.state != changes.before or len(changes.images) > most_followed(index):
                return None
            with index.changing(changes.after):
                return follow_changes(workspace, index, changes.images, settings, groups)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.warning("dedup: the index cannot be read: %s", error)
        return None
