"""Rights: what may be done with a sample's pixels, where several records hold them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from occlufer.config import BuildConfig
from occlufer.record import Record, Reject, Result, image_sha256
from occlufer.schema import RIGHTS
from occlufer.stages import Changes, FollowingStage, Update
from occlufer.workspace import Workspace

from .same_bytes import same_bytes

VERSION = 1
BLOCKED = "blocked"


def stage(config: BuildConfig) -> FollowingStage:
    """Return the stage; it is before dedup, which must drop nothing for what is blocked itself."""
    return FollowingStage("rights", (), {"version": VERSION}, find_rights, follow)


def find_rights(workspace: Workspace, state: str) -> Iterator[Result]:
    """Yield the `rights` of every image: the strictest that any holder of its bytes has.

    Nobody can tell which holder's copy is passed on. Blocked bytes are rejected, whoever holds them
    and whether as a crop or as a photograph. Nothing is kept outside the catalog, in any `state`.
    """
    catalog = workspace.catalog
    yield from _rights(catalog.holders(), _blocked(catalog.records_without_image()))


def follow(workspace: Workspace, changes: Changes) -> Update | None:
    """Return what `find_rights` would change in its results now, None if these are many.

    Whoever holds bytes, or blocks them, speaks for every image of them.
    """
    images = same_bytes(changes.images)
    if images is None:
        return None
    catalog = workspace.catalog
    held = catalog.holders_of(images)
    blocked = _blocked(catalog.records_without_image({*map(image_sha256, images)}))
    gone = {image for image, _ in catalog.values("rights", images - held.keys())}
    return Update(list(_rights(sorted(held.items()), blocked)), gone)


def _rights(held: Iterable[tuple[str, list[Record]]], blocked: dict[str, str]) -> Iterator[Result]:
    """Yield the rights of images, which come in order with their holders, all of the same bytes."""
    # Crop and photograph of the same bytes are neighbours in the order of images.
    for sha256, same in itertools.groupby(held, key=lambda pair: image_sha256(pair[0])):
        images = list(same)
        records = [record for _, holders in images for record in holders]
        strictest = max(records, key=lambda record: RIGHTS.index(record.facts.rights))
        rights, speaker = strictest.facts.rights, strictest.id
        if sha256 in blocked:
            rights, speaker = BLOCKED, blocked[sha256]
        reject = None
        if rights == BLOCKED:
            reject = Reject(BLOCKED, f"the bytes are those of {speaker}, which is blocked")
        for image, _ in images:
            yield Result(image, {"rights": rights}, reject)


def _blocked(records: Iterable[Record]) -> dict[str, str]:
    """Return {sha256: record} of what was rejected as blocked when it was gathered."""
    return {
        (record.facts.evidence or {})["sha256"]: record.id
        for record in records
        if record.facts.rights == BLOCKED
    }
