"""Opt-outs beside robots.txt: headers of an answer, and the TDM reservation file of a site.

The file is that of the TDM Reservation Protocol, https://www.w3.org/community/reports/tdmrep/.
HTML, where the protocol has a third place for them, is never fetched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from .address import shown, site_of, web_address
from .errors import OF_THE_ADDRESS, FetchError
from .fetch import Fetcher, utc_now
from .hosts import PerSite

# Words of X-Robots-Tag that keep a picture out of indexes and training sets.
OPT_OUTS = ("noai", "noimageai", "noindex", "noimageindex", "none")
# Rules that have a value, of which "none" is one.
WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
PLACE = "/.well-known/tdmrep.json"
MAX_BYTES = 512 * 1024
RESERVED = {1: True, "1": True, 0: False, "0": False}


def opt_out(headers: Mapping[str, str]) -> str:
    """Return why an answer's headers forbid the use of its picture; "" if they do not.

    Takes header names in lower case. A word counts whichever robot it is said to: once several
    headers are joined by commas, that can no longer be known of each.
    """
    for rule in headers.get("x-robots-tag", "").lower().split(","):
        *before, word = [part.strip() for part in rule.split(":")]
        if word in OPT_OUTS and not (before and before[-1] in WITH_VALUE):
            return f"X-Robots-Tag: {word}"
    # Whatever is not a plain 0 counts as reserved.
    if headers.get("tdm-reservation", "0").strip() != "0":
        return "tdm-reservation"
    return ""


@dataclass(frozen=True)
class Reservation:
    """Whether the rights of mining an address are reserved, and the evidence."""

    reserved: bool
    reason: str
    """Empty if not reserved, else tdm_reserved, tdm_unreadable or tdm_unreachable."""
    tdmrep_url: str
    sha256: str
    """Of the file; "" if there is none."""
    fetched_at: str
    detail: str = ""
    again: bool = False
    """Whether asking later may give another answer."""


@dataclass(frozen=True)
class _Rule:
    location: str
    reserved: bool


@dataclass(frozen=True)
class _Site:
    """What a site's file gave: the answer for all of the site, or rules to refine it by."""

    answer: Reservation
    rules: tuple[_Rule, ...] = ()


class Tdmrep:
    """The reservations of every site, fetched once and kept for a day; threads share it.

    A site without the file (any 4xx, by the protocol) reserves nothing by it. What cannot be
    reached or read counts as reserved.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        """Take what fetches the files."""
        self._fetcher = fetcher
        self._sites = PerSite(self._read, lambda site: site.answer.again)

    def reserved(self, url: str) -> Reservation:
        """Return whether `url` is reserved; raises FetchError if it leads to no public site."""
        url = web_address(url)
        site = self._sites.at(site_of(url))
        # "The most specific match is the first in sequence."
        for rule in site.rules:
            if matches(rule.location, url):
                if not rule.reserved:
                    break
                return _reserved(
                    site.answer, "tdm_reserved", f"found location {rule.location[:100]!r}"
                )
        return site.answer

    def _read(self, site: str) -> _Site:
        url = f"{site}{PLACE}"
        try:
            fetched = self._fetcher.get(url, max_bytes=MAX_BYTES)
        except FetchError as error:
            if error.reason in OF_THE_ADDRESS:
                raise
            answer = Reservation(False, "", shown(url), "", utc_now(), error.reason)
            if error.reason.startswith("http_4"):
                return _Site(answer)
            unreadable = error.reason in ("too_large", "encoded_body")
            reason = "tdm_unreadable" if unreadable else "tdm_unreachable"
            return _Site(_reserved(answer, reason, str(error), again=True))
        digest = hashlib.sha256(fetched.data).hexdigest()
        answer = Reservation(False, "", shown(url), digest, fetched.fetched_at)
        rules = read_rules(fetched.data)
        if rules is None:
            detail = "expected a list of objects with location and tdm-reservation"
            return _Site(_reserved(answer, "tdm_unreadable", detail))
        return _Site(answer, rules)


def read_rules(data: bytes) -> tuple[_Rule, ...] | None:
    """Return the rules of a tdmrep.json; None if one of them, or the whole, cannot be read."""
    try:
        listed = json.loads(data)
    except (ValueError, RecursionError):  # ValueError: not JSON, not Unicode, too many digits
        return None
    if not isinstance(listed, list):
        return None
    rules = [_rule(item) for item in listed]
    return None if None in rules else tuple(rule for rule in rules if rule is not None)


def _rule(item: Any) -> _Rule | None:
    if not isinstance(item, dict) or not isinstance(item.get("location"), str):
        return None
    said = item.get("tdm-reservation")
    if not isinstance(said, int | str) or said not in RESERVED:
        return None
    return _Rule(item["location"], RESERVED[said])


def matches(location: str, url: str) -> bool:
    """Return whether the path of an address begins as `location`, as in robots.txt.

    In it * stands for anything, and $ at its end for the end of the path.
    """
    parts = urlsplit(url)
    path = unquote(parts.path or "/") + (f"?{unquote(parts.query)}" if parts.query else "")
    if not location.startswith(("/", "*")):
        location = f"/{location}"
    # Split first: an encoded * or $ stands for itself.
    first, *others = [unquote(piece) for piece in location.removesuffix("$").split("*")]
    if not path.startswith(first):
        return False
    if not location.endswith("$"):
        last = ""
    elif others:
        last = others.pop()
    else:
        return path == first
    at = len(first)
    for piece in others:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return path.endswith(last) and at + len(last) <= len(path)


def _reserved(answer: Reservation, reason: str, detail: str, again: bool = False) -> Reservation:
    return replace(answer, reserved=True, reason=reason, detail=detail, again=again)
