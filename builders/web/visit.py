"""One photograph: whether it may be used, its bytes, and what is kept as evidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from occlufer.images import ImageStore

from ..licences import read_licence
from ..metadata import without_metadata
from ..pixels import BadImageError, decode_rgb
from ..tombstones import TAKEN_DOWN, Suspect, Tombstones, hits
from .errors import FetchError
from .fetch import Fetcher
from .ledger import LICENCE, UNKNOWN_LICENCE, Ledger, Outcome
from .photograph import Photograph
from .reservations import Tdmrep, opt_out
from .robots import Robots

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Visitor:
    """What a visit needs; threads share it."""

    fetcher: Fetcher
    robots: Robots
    tdmrep: Tdmrep
    ledger: Ledger
    images: ImageStore
    licences: tuple[str, ...]
    """The licences that are wanted, without their versions, e.g. "CC-BY"."""
    tombstones: Tombstones
    """What is never kept again."""


def visit(photograph: Photograph, visitor: Visitor) -> Outcome:
    """Return what became of a photograph; if fetched, its bytes less metadata are in the store.

    What is not known to be allowed is skipped; failed is what may go well another time. Raises
    FetchError only if the fetcher was closed.
    """
    refusal = _unusable(photograph, visitor)
    if refusal is not None:
        return refusal
    evidence: Evidence = {}
    permit = partial(_permit, visitor=visitor, evidence=evidence)
    try:
        permit(photograph.url)
        fetched = visitor.fetcher.get_picture(photograph.url, permit=permit)
    except FetchError as error:
        if error.reason == "stopped":
            raise
        state = "failed" if error.again else "skipped"
        return Outcome(state, error.reason, error.detail, evidence=evidence)
    evidence |= {
        "fetched_at": fetched.fetched_at,
        "fetched_from": fetched.url,
        "redirects": list(fetched.redirects),
        "headers": dict(fetched.headers),
    }
    refused = opt_out(fetched.headers)
    if refused:
        return Outcome("skipped", "opted_out", refused, evidence=evidence)
    try:
        decode_rgb(fetched.data)
    except BadImageError as error:
        return Outcome("skipped", error.reject.reason, error.reject.detail, evidence=evidence)
    kept = without_metadata(fetched.data)
    files = tuple(hashlib.sha256(data).hexdigest() for data in (fetched.data, kept))
    if gone := _taken_down(Suspect(files, (fetched.url,)), visitor):
        return gone
    sha256 = visitor.images.put(kept)
    return Outcome("fetched", sha256=sha256, evidence=evidence)


def _unusable(photograph: Photograph, visitor: Visitor) -> Outcome | None:
    """Return why a photograph is not even asked for, by what its service says; None if it is."""
    licence = read_licence(photograph.licence)
    if licence is None:
        return Outcome("skipped", UNKNOWN_LICENCE, f"found {dict(photograph.said)}")
    if licence.family not in visitor.licences:
        wanted = ", ".join(visitor.licences)
        return Outcome("skipped", LICENCE, f"found {licence.name}, wanted are {wanted}")
    if photograph.opted_out:
        return Outcome("skipped", "opted_out", photograph.opted_out)
    if gone := _taken_down(Suspect((), (photograph.url, photograph.page)), visitor):
        return gone
    if photograph.sha1 and visitor.ledger.has_fetched(photograph.sha1):
        return Outcome("skipped", "same_file", f"a file of SHA-1 {photograph.sha1} was fetched")
    return None


def _taken_down(suspect: Suspect, visitor: Visitor) -> Outcome | None:
    """Return that a photograph was taken down; None if it was not."""
    hit = hits(visitor.tombstones, [suspect]).get(0)
    return Outcome("skipped", TAKEN_DOWN, f"a tombstone names {hit.how}") if hit else None


def _permit(url: str, visitor: Visitor, evidence: Evidence) -> None:
    """Note in `evidence` what the site of an address allows; raise FetchError if not this."""
    verdict = visitor.robots.allowed(url)
    evidence.setdefault("robots", []).append(vars(verdict))
    if not verdict.allowed:
        raise FetchError(verdict.reason, verdict.detail, again=verdict.again)
    reservation = visitor.tdmrep.reserved(url)
    evidence.setdefault("tdmrep", []).append(vars(reservation))
    if reservation.reserved:
        raise FetchError(reservation.reason, reservation.detail, again=reservation.again)
