"""Takedown: the stage that rejects what tombstones name, before anything else is done with it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from occlufer.config import BuildConfig
from occlufer.errors import UsageError
from occlufer.pipeline import stages_before
from occlufer.record import Reject, Result, image_sha256
from occlufer.stages import Changes, FollowingStage, Update
from occlufer.workspace import Workspace

from .hashing.hash_table import from_hex
from .same_bytes import same_bytes
from .tombstones import (
    IMAGES_AT_ONCE,
    LIMITS,
    TAKEDOWN_NAME,
    TAKEN_DOWN,
    Suspect,
    TakenDown,
    Tombstones,
    hits,
    read_tombstones,
)

VERSION = 1
AFTER = stages_before("takedown")
# What is known of an image once it can be compared.
HASHED = ("faces", "hashes")
VIEWS = ("views64", "views256")

log = logging.getLogger(__name__)


def stage(config: BuildConfig) -> FollowingStage:
    """Return the stage; raises UsageError if the file of tombstones cannot be read."""
    tombstones = tombstones_of(config)
    whole = partial(find_taken_down, tombstones=tombstones)
    update = partial(follow, tombstones=tombstones)
    gate = partial(warn_of_lost, config=config, tombstones=tombstones)
    made_of = {"version": VERSION, **(params(tombstones) or {})}
    return FollowingStage("takedown", AFTER, made_of, whole, update, gate)


def tombstones_of(config: BuildConfig) -> Tombstones:
    """Return the tombstones that the config names; raises UsageError for a place in `out`."""
    check_place(config)
    return read_tombstones(config.takedown)


def check_place(config: BuildConfig) -> None:
    """Raise UsageError if a build would replace the tombstones together with what it publishes."""
    out, path = config.out.resolve(), config.takedown.resolve()
    if path.is_relative_to(out):
        raise UsageError(
            f"takedown = {path}: lies in the published folder {out}, which every build replaces; "
            "expected a place apart"
        )


def params(tombstones: Tombstones) -> dict[str, Any] | None:
    """Return what the stage depends on, as JSON has it; None if nothing was taken down."""
    if not tombstones:
        return None
    bits = {"phash64_bits": LIMITS.bits64, "phash256_bits": LIMITS.view_bits256}
    return {"tombstones": len(tombstones.bare_lines()), "sha256": tombstones.digest(), **bits}


def find_taken_down(workspace: Workspace, state: str, tombstones: Tombstones) -> Iterator[Result]:
    """Yield a result per image: those that a tombstone names are rejected.

    All images of the same bytes go together. Nothing is kept outside the catalog, in any `state`.
    """
    yield from _results(workspace, workspace.catalog.images_passing(AFTER), tombstones)


def follow(workspace: Workspace, changes: Changes, tombstones: Tombstones) -> Update | None:
    """Return what `find_taken_down` would change in its results now, None if these are many."""
    images = same_bytes(changes.images)
    if images is None:
        return None
    catalog = workspace.catalog
    passing = catalog.passing_among(sorted(images), AFTER)
    gone = {image for image, _ in catalog.values("takedown", sorted(images - passing))}
    return Update(list(_results(workspace, sorted(passing), tombstones)), gone)


def warn_of_lost(workspace: Workspace, config: BuildConfig, tombstones: Tombstones) -> None:
    """Warn of tombstones in the folder that is about to be replaced which nobody has any more."""
    published = read_tombstones(config.out / TAKEDOWN_NAME)
    lost = len(tombstones.missing(published.stones))
    if lost:
        log.warning(
            "takedown: %d tombstones of %s are not in %s any more: what they took down comes back",
            *(lost, config.out, config.takedown),
        )


def _results(
    workspace: Workspace, images: Iterable[str], tombstones: Tombstones
) -> Iterator[Result]:
    """Yield the results of images, which come in order."""
    for image, hit in _decided(workspace, images, tombstones):
        yield Result(image, {}, Reject(TAKEN_DOWN, hit.how) if hit else None)


def taken_down(workspace: Workspace, tombstones: Tombstones) -> dict[str, TakenDown]:
    """Return {image: why it must go} of all that have hashes and that the stage would reject."""
    images = workspace.catalog.images_passing(HASHED)
    return {image: hit for image, hit in _decided(workspace, images, tombstones) if hit}


def _decided(
    workspace: Workspace, images: Iterable[str], tombstones: Tombstones
) -> Iterator[tuple[str, TakenDown | None]]:
    """Yield (image, why it must go, if it must) of images, which come in order.

    Those of the same bytes, side by side in that order, go together.
    """
    groups = (list(same) for _, same in itertools.groupby(images, key=image_sha256))
    # Never cut between images of the same bytes.
    while groups_now := list(itertools.islice(groups, IMAGES_AT_ONCE)):
        found = _named(workspace, [image for same in groups_now for image in same], tombstones)
        for same in groups_now:
            hit = next((found[image] for image in same if image in found), None)
            yield from ((image, hit) for image in same)


def _named(workspace: Workspace, images: list[str], tombstones: Tombstones) -> dict[str, TakenDown]:
    """Return {image: why it must go} of those of `images` that a tombstone itself names."""
    if not tombstones:
        return {}
    found = hits(tombstones, suspects(workspace, images))
    return {images[i]: hit for i, hit in found.items()}


def suspects(workspace: Workspace, images: list[str]) -> list[Suspect]:
    """Return what the catalog knows of these images, which have crops and hashes."""
    catalog = workspace.catalog
    crops = {image: value["crop"] for image, value in catalog.values("faces", images)}
    hashes = dict(catalog.values("hashes", images))
    holders = catalog.holders_of(images)
    found = []
    for image in images:
        evidence = [record.facts.evidence or {} for record in holders.get(image, ())]
        urls = (str(told[key]) for told in evidence for key in ("url", "page") if told.get(key))
        words = {name: from_hex(hashes[image][name]) for name in VIEWS}
        found.append(Suspect((image_sha256(image), crops[image]), tuple(urls), words))
    return found
