"""Rights: what may be done with a sample's pixels, where several records hold them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from occlufer.config import BuildConfig
from occlufer.record import Record, Reject, Result
from occlufer.schema import RIGHTS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

VERSION = 1
BLOCKED = "blocked"


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; it is before dedup, which must drop nothing for what is blocked itself."""
    return SetStage("rights", (), {"version": VERSION}, find_rights)


def find_rights(workspace: Workspace) -> Iterable[Result]:
    """Yield the `rights` of every image: the strictest that any holder of its bytes has.

    Nobody can tell which holder's copy is passed on. Blocked bytes are rejected, whoever holds them
    and whether as a crop or as a photograph.
    """
    blocked = _blocked(workspace)
    found = workspace.catalog.holders()
    # Crop and photograph of the same bytes are neighbours in the order of images.
    for sha256, same in itertools.groupby(found, key=lambda pair: _sha256(pair[0])):
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


def _blocked(workspace: Workspace) -> dict[str, str]:
    """Return {sha256: record} of what was rejected as blocked when it was gathered."""
    return {
        sha256: record.id
        for record in workspace.catalog.records()
        if (sha256 := _blocked_sha256(record)) is not None
    }


def _blocked_sha256(record: Record) -> str | None:
    if record.image is not None or record.facts.rights != BLOCKED:
        return None
    return (record.facts.evidence or {}).get("sha256")


def _sha256(image: str) -> str:
    return image.partition(".")[0]
