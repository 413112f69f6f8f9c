"""Following: what a few new, changed or gone samples change for the others, and nothing else.

Stars and groups are those of `clusters.cluster` on all samples. Both are found by greedy passes, so
a change reaches as far as it alters what comes later in the pass, and often no farther than its
neighbours: the samples that may change are taken together with all that they depend on, and more
are taken in until those at the rim do not change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from occlufer.config import DedupConfig
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.stages import Update
from occlufer.workspace import Workspace

from .arrivals import take_in
from .clusters import likenesses
from .edges import limits_of
from .groups import find_groups
from .sample_index import Outcome, SampleIndex
from .samples import read_hashes, read_samples
from .stars import star_clusters
from .verdicts import VERDICT, Verdict, nearest_kin, result_of, verdict_of
from .worlds import World, differences, near_rows, world_of

AFTER = stages_before("dedup")


@dataclass(frozen=True)
class Touched:
    """What has changed of the samples themselves."""

    alive: set[str]
    """New and changed ones."""
    gone: set[str]
    rows: set[int]
    """Of both."""
    groups: set[str]
    """The groups they were in."""


def follow_changes(
    workspace: Workspace,
    index: SampleIndex,
    images: set[str],
    settings: DedupConfig,
    groups: Mapping[str, str],
) -> Update:
    """Bring the index up to date with these images, and return what changes of the results."""
    touched = _take_over(workspace, index, images, settings, groups)
    verdicts = _follow_stars(workspace, index, touched, settings)
    return _follow_groups(workspace, index, touched, verdicts, settings)


def _take_over(
    workspace: Workspace,
    index: SampleIndex,
    images: set[str],
    settings: DedupConfig,
    groups: Mapping[str, str],
) -> Touched:
    """Bring the samples of the index up to date, and return which have changed."""
    catalog = workspace.catalog
    passing = catalog.passing_among(images, AFTER)
    before = index.samples(images)
    sizes, new = read_hashes(catalog, sorted(passing - before.keys()))
    rows = dict(zip(sizes, take_in(index, new, limits_of(settings)).tolist(), strict=True))
    sizes |= {image: sample.size for image, sample in before.items()}
    rows |= {image: sample.row for image, sample in before.items()}
    holders = catalog.holders_of(passing).items()
    now = {s.image: s for s in read_samples(holders, sizes, rows, groups, settings.keep)}
    changed = {image for image, sample in now.items() if before.get(image) != sample}
    gone = before.keys() - now.keys()
    old_groups = {group for _, group in index.outcomes(images).values() if group is not None}
    index.forget(gone)
    index.put(now[image] for image in sorted(changed))
    return Touched(changed, gone, {rows[image] for image in changed | gone}, old_groups)


# Stars --------------------------------------------------------------------------------------------


def _follow_stars(
    workspace: Workspace, index: SampleIndex, touched: Touched, settings: DedupConfig
) -> dict[str, Verdict | None]:
    """Return {image: why it is dropped, None if it is kept} of all for which that may be new.

    Whether a sample is dropped depends on which of its neighbours before it are kept.
    """
    asked = set(index.samples_of_rows(_near(index, touched.rows)))
    while True:
        world, drops = _stars_among(workspace, index, asked, settings)
        known = index.outcomes(asked)
        turned = {
            sample.row
            for i, sample in enumerate(world.samples)
            if sample.image in asked and (i in drops) != (known[sample.image][0] is not None)
        }
        grown = asked | set(index.samples_of_rows(_near(index, turned)))
        if grown == asked:
            break
        asked = grown
    verdicts: dict[str, Verdict | None] = dict.fromkeys(asked)
    for i, verdict in drops.items():
        verdicts[world.samples[i].image] = verdict
    return verdicts


def _near(index: SampleIndex, rows: Collection[int]) -> set[int]:
    """Return these rows, and those near them in a view."""
    edges = index.edges(rows)
    return near_rows(edges.rows(~edges.of_parts), rows)


def _stars_among(
    workspace: Workspace, index: SampleIndex, asked: set[str], settings: DedupConfig
) -> tuple[World, dict[int, Verdict]]:
    """Return the samples and their neighbours, and {position: why it is dropped} of those asked."""
    rows = {sample.row for sample in index.samples(asked).values()}
    edges = index.edges(rows)
    edges = edges.rows(~edges.of_parts)  # no copies are seen by their parts
    samples = index.samples_of_rows(near_rows(edges, rows))
    world = world_of(samples.values(), edges)
    outcomes = index.outcomes(samples)
    settled = {i for i, sample in enumerate(world.samples) if sample.image not in asked}
    dropped = {i for i in settled if outcomes[world.samples[i].image][0] is not None}
    measure, most = differences(workspace.catalog, world), settings.block_difference
    kept = world.protected() | settled
    drops = star_clusters(world.first.tolist(), world.edges, measure, most, kept, dropped)
    return world, {i: verdict_of(drop, world.samples[drop.kept]) for i, drop in drops.items()}


# Groups -------------------------------------------------------------------------------------------


def _follow_groups(
    workspace: Workspace,
    index: SampleIndex,
    touched: Touched,
    verdicts: Mapping[str, Verdict | None],
    settings: DedupConfig,
) -> Update:
    """Return the results of all samples whose groups, or those in them, may be new.

    A group stands on the likenesses within it, and on those that were cut because two groups would
    have become too large or too wide. So whole groups are found anew, beside the groups that
    something in them is like; if one of those comes together with them, it is found anew, too.
    """
    kept_for = {i: None if v is None else str(v["kept"]) for i, v in verdicts.items()}
    known = index.outcomes(verdicts)
    moved = {image for image, kept in kept_for.items() if kept != known[image][0]}
    index.put_kept({image: kept_for[image] for image in moved})
    region = _first_region(index, touched, moved)
    while True:
        world = _around(index, region)
        outcomes = index.outcomes(world.images)
        groups = _groups_among(world, region, outcomes, settings)
        inside = {
            group for group, image in zip(groups, world.images, strict=True) if image in region
        }
        reached = {i for i, g in zip(world.images, groups, strict=True) if g in inside} - region
        if not reached:
            break
        region |= _with_groups(index, reached)
    index.put_groups({i: g for i, g in zip(world.images, groups, strict=True) if i in region})
    others = region - verdicts.keys()
    told = dict(workspace.catalog.values("dedup", others))
    earlier = {image: _verdict_in(told[image]) for image in others}
    return Update(_results(world, groups, region, {**earlier, **verdicts}), touched.gone)


def _first_region(index: SampleIndex, touched: Touched, moved: Collection[str]) -> set[str]:
    """Return what may come into another group before anything else has moved."""
    seeds = {*touched.alive, *moved, *index.samples_of_rows(touched.rows)}
    joins = {name for sample in index.samples(touched.alive).values() for name in sample.joins}
    kept = {kept for kept, _ in index.outcomes(moved).values() if kept is not None}
    seeds |= index.joined(joins) | kept | index.members(touched.groups)
    return _with_groups(index, seeds)


def _with_groups(index: SampleIndex, images: set[str]) -> set[str]:
    """Return these images, and all of the groups that they were in."""
    groups = {group for _, group in index.outcomes(images).values() if group is not None}
    return images | index.members(groups)


def _around(index: SampleIndex, region: set[str]) -> World:
    """Return the region, and the whole groups of what is like something in it."""
    rows = {sample.row for sample in index.samples(region).values()}
    beside = index.samples_of_rows(near_rows(index.edges(rows), rows))
    samples = index.samples(_with_groups(index, set(beside)) | region)
    rows = {sample.row for sample in samples.values()}
    return world_of(index.samples_of_rows(rows).values(), index.edges(rows))


def _groups_among(
    world: World, region: set[str], outcomes: Mapping[str, Outcome], settings: DedupConfig
) -> list[str]:
    """Return the group of every sample of a world, anew where the region matters.

    Of what lies beside it only likenesses within one group are looked at: the others were cut, and
    stay cut, for nothing of what they stand on has changed.
    """
    position = {image: i for i, image in enumerate(world.images)}
    parts = ["" if image in region else str(outcomes[image][1]) for image in world.images]
    part = np.array(parts, dtype=np.str_)
    alike = likenesses(world.first, world.edges)
    a, b = part[alike.a], part[alike.b]
    alike = alike.rows((a == "") | (b == "") | (a == b))
    copies = [
        (position[image], position[kept])
        for image, (kept, _) in outcomes.items()
        if kept in position
    ]
    size, width = settings.group_size, settings.group_width
    return find_groups(world.images, [*copies, *world.joined()], alike, size, width).names


def _verdict_in(value: Mapping[str, Any]) -> Verdict | None:
    """Return what a result says of why its sample is dropped, None if it is kept."""
    return {name: value[name] for name in VERDICT} if "kept" in value else None


def _results(
    world: World,
    groups: list[str],
    region: set[str],
    verdicts: Mapping[str, Verdict | None],
) -> list[Result]:
    """Return the results of the samples in the region."""
    owners = {sample.image: sample.owner for sample in world.samples}
    inside = [i for i, image in enumerate(world.images) if image in region]
    dropped = {i for i in inside if verdicts[world.images[i]] is not None}
    kin = nearest_kin(world, groups, dropped)
    results = []
    for i in inside:
        image = world.images[i]
        verdict = verdicts[image]
        owner = "" if verdict is None else owners[verdict["kept"]]
        results.append(result_of(image, groups[i], kin.get(i), verdict, owner))
    return results
