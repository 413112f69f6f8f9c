"""Tombstones: what is known of pictures that were taken down; hashes, and never a pixel or a name.

A tombstone is a line of JSON. Without the pixels a copy cannot be told from a look-alike, so a
picture counts as a copy within the tighter limits by which leaks are found, and whole views alone
count: what two photographs share in a part is no reason to take both down.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from occlufer.config import LeaksConfig
from occlufer.errors import UsageError
from occlufer.replacing import replaced

from .duplicates.edges import Edge, edges_between, in_words, limits_of
from .hashing.hash_table import VERSION, Hashes, ViewTable, from_hex, in_hex
from .hashing.views import HASHED
from .web.address import web_address
from .web.errors import FetchError

TAKEDOWN_NAME = "takedown.jsonl"
# The reason for which what a tombstone names is left out, wherever that is.
TAKEN_DOWN = "taken_down"
NO_PART = -1
LIMITS = replace(limits_of(LeaksConfig()), part_bits256=NO_PART)
# Of so many pictures hashes are held in memory at a time.
IMAGES_AT_ONCE = 10_000
SHA256, HEX = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]+")
REASON = re.compile(r"[\w-]{1,40}|")
# Hex digits of the two hashes of all views.
DIGITS = (16 * len(HASHED), 64 * len(HASHED))
SAME_FILE = "the same file"
SAME_ADDRESS = "the same address"

log = logging.getLogger(__name__)

Views = tuple[str, str]
"""The 64-bit and the 256-bit hashes of all views of a picture, in hex."""


@dataclass(frozen=True)
class Tombstone:
    """One picture that was taken down."""

    sha256: tuple[str, ...] = ()
    """Of its file, of the crop that is published of it, and of copies that were at hand."""
    url_sha256: tuple[str, ...] = ()
    """Of its addresses, see `address_sha256`."""
    pictures: tuple[Views, ...] = ()
    """Of the whole picture and of its crop, see `views_of`; none if only its bytes are known."""
    added: str = ""
    """The day, as 2026-01-31."""
    reason: str = ""
    """One word."""
    hashes: str = VERSION
    """The version of `pictures`: those of another one are kept, and find nothing."""

    def covers(self, other: Tombstone) -> bool:
        """Return whether all that the other one finds is found by this one."""
        if other.pictures and self.hashes != other.hashes:
            return False
        parts = ("sha256", "url_sha256", "pictures")
        return all({*getattr(other, part)} <= {*getattr(self, part)} for part in parts)

    @property
    def looks(self) -> tuple[Views, ...]:
        """Those of `pictures` that can be compared with what this version hashes."""
        return self.pictures if self.hashes == VERSION else ()

    def bare(self) -> Tombstone:
        """Return its hashes alone, in one order."""
        return Tombstone(
            tuple(sorted({*self.sha256})),
            tuple(sorted({*self.url_sha256})),
            tuple(sorted({*self.pictures})),
            hashes=self.hashes,
        )

    def to_line(self) -> str:
        """Return it as a line of JSON."""
        told = {name: value for name, value in vars(self).items() if value}
        if not self.pictures:
            told.pop("hashes", None)
        return json.dumps(told, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Suspect:
    """A picture that may have been taken down, as far as it is known."""

    sha256: tuple[str, ...] = ()
    """Of its source's file, of its crop."""
    urls: tuple[str, ...] = ()
    """Its addresses, that of a page with it too."""
    hashes: Mapping[str, Hashes] | None = None
    """{column of HashTable: words}, as a `Look` has them; None without its pixels."""


@dataclass(frozen=True)
class TakenDown:
    """Why a picture must go."""

    stone: Tombstone
    how: str
    """In words: the same file, the same address, or in which view it is how near."""


@dataclass(frozen=True)
class Tombstones:
    """All tombstones of a file; the empty one finds nothing."""

    stones: tuple[Tombstone, ...] = ()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.stones)

    @cached_property
    def files(self) -> dict[str, Tombstone]:
        """{sha256 of a file: its tombstone}."""
        return {sha256: stone for stone in self.stones for sha256 in stone.sha256}

    @cached_property
    def addresses(self) -> dict[str, Tombstone]:
        """{sha256 of an address: its tombstone}."""
        return {sha256: stone for stone in self.stones for sha256 in stone.url_sha256}

    @cached_property
    def holders(self) -> list[Tombstone]:
        """The tombstone of every row of `views`."""
        return [stone for stone in self.stones for _ in stone.looks]

    @cached_property
    def views(self) -> ViewTable:
        """What is searched of all pictures."""
        return view_table([views for stone in self.stones for views in stone.looks])

    def digest(self) -> str:
        """Return a hash of all that they find; neither their order nor days and reasons count."""
        return hashlib.sha256("".join(self.bare_lines()).encode()).hexdigest()

    def bare_lines(self) -> list[str]:
        """Return the lines that are published: hashes alone, sorted."""
        return sorted({stone.bare().to_line() for stone in self.stones})

    def missing(self, stones: Iterable[Tombstone]) -> list[Tombstone]:
        """Return those of `stones` that none of these covers."""
        return [one for one in stones if not any(stone.covers(one) for stone in self.stones)]

    def plus(self, stones: Iterable[Tombstone]) -> Tombstones:
        """Return these and, behind them, those of `stones` that find more."""
        known = self
        for one in stones:
            known = Tombstones((*known.stones, *known.missing([one])))
        return known


NO_TOMBSTONES = Tombstones()


# What is taken down -------------------------------------------------------------------------------


def hits(tombstones: Tombstones, suspects: Sequence[Suspect]) -> dict[int, TakenDown]:
    """Return {position: why it must go} of those of `suspects` that a tombstone names."""
    if not tombstones.stones:
        return {}
    found = {i: hit for i, one in enumerate(suspects) if (hit := _named(tombstones, one))}
    rest = [i for i, one in enumerate(suspects) if i not in found and one.hashes is not None]
    if tombstones.holders and rest:
        for i, hit in _near(tombstones, [suspects[i].hashes or {} for i in rest]).items():
            found[rest[i]] = hit
    return found


def _named(tombstones: Tombstones, suspect: Suspect) -> TakenDown | None:
    for sha256 in suspect.sha256:
        if stone := tombstones.files.get(sha256):
            return TakenDown(stone, SAME_FILE)
    for url in suspect.urls if tombstones.addresses else ():
        if stone := tombstones.addresses.get(address_sha256(url)):
            return TakenDown(stone, SAME_ADDRESS)
    return None


def _near(tombstones: Tombstones, hashes: list[Mapping[str, Hashes]]) -> dict[int, TakenDown]:
    """Return {position: the nearest tombstone} of pictures that are near one in some view."""
    table = _table([one["views64"] for one in hashes], [one["views256"] for one in hashes])
    nearest: dict[int, Edge] = {}
    for edge in edges_between(table, tombstones.views, LIMITS):
        best = nearest.setdefault(edge.a, edge)
        if (edge.bits256, edge.bits64, edge.b) < (best.bits256, best.bits64, best.b):
            nearest[edge.a] = edge
    return {
        a: TakenDown(tombstones.holders[e.b], in_words(e.view, e.bits64, e.bits256))
        for a, e in nearest.items()
    }


def views_of(hashes: Mapping[str, Hashes]) -> Views:
    """Return what a tombstone keeps of the hashes of a picture, as a `Look` has them."""
    return in_hex(hashes["views64"]), in_hex(hashes["views256"])


def view_table(pictures: Sequence[Views]) -> ViewTable:
    """Return the table of these pictures that a search takes."""
    words64 = [from_hex(views64) for views64, _ in pictures]
    return _table(words64, [from_hex(views256) for _, views256 in pictures])


def _table(words64: Sequence[Hashes], words256: Sequence[Hashes]) -> ViewTable:
    many, views = len(words64), len(HASHED)
    return ViewTable(
        np.array(words64, dtype=np.uint64).reshape(many, views),
        np.array(words256, dtype=np.uint64).reshape(many, views, 4),
    )


def address_sha256(url: str) -> str:
    """Return the sha256 of an address as it is asked for, however it was written."""
    try:
        plain = web_address(url)
    except FetchError:
        plain = url.strip()
    return hashlib.sha256(plain.encode("utf-8", "backslashreplace")).hexdigest()


# The file -----------------------------------------------------------------------------------------


def read_tombstones(path: Path) -> Tombstones:
    """Return the tombstones in a file, none if there is no such file.

    Raises UsageError for anything in it that is no tombstone: one that is passed over would bring
    a picture back.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors put a mark before the first line
    except FileNotFoundError:
        return Tombstones()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    lines = enumerate(text.split("\n"), start=1)
    stones = tuple(_stone(line, f"{path}, line {n}") for n, line in lines if line.strip())
    others = sum(stone.hashes != VERSION for stone in stones)
    if others:
        log.warning(
            "%s: %d tombstones hold the hashes of another version of occlufer: exact bytes and "
            "addresses still go, changed copies may not; add the pictures anew if you have them",
            *(path, others),
        )
    return Tombstones(stones)


def write_tombstones(path: Path, lines: Iterable[str]) -> None:
    """Put a file of these lines in the place of the former one, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())  # what was taken down cannot be looked at again


def write_bare(folder: Path, tombstones: Tombstones) -> list[str]:
    """Write tombstones, hashes alone, beside what is published, and return the file's name.

    Without any there is neither.
    """
    lines = tombstones.bare_lines()
    if lines:
        write_tombstones(folder / TAKEDOWN_NAME, lines)
    return [TAKEDOWN_NAME] if lines else []


def check_reason(reason: str) -> None:
    """Raise UsageError for a reason that is more than a word."""
    if not REASON.fullmatch(reason):
        raise UsageError(f"--reason: found {reason!r}, expected one word, and no name of a person")


def _stone(line: str, place: str) -> Tombstone:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{place}: found no JSON, expected a tombstone") from None
    wrong = [*_wrong(told)] if isinstance(told, dict) else ["no object"]
    if wrong:
        found = ", ".join(wrong)
        raise UsageError(f"{place}: found {found}, expected what `occlufer takedown add` writes")
    return Tombstone(
        sha256=tuple(told.get("sha256", ())),
        url_sha256=tuple(told.get("url_sha256", ())),
        pictures=tuple((views64, views256) for views64, views256 in told.get("pictures", ())),
        added=told.get("added", ""),
        reason=told.get("reason", ""),
        hashes=told.get("hashes", VERSION),
    )


def _wrong(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a line is not as it should be."""
    yield from (f"the key {key!r}" for key in told if key not in CHECKS)
    yield from (f"another {key}" for key, fits in CHECKS.items() if key in told and not fits(told))
    if not any(told.get(key) for key in ("sha256", "url_sha256", "pictures")):
        yield "no hash"
    if told.get("pictures") and "hashes" not in told:
        yield "no version of the hashes"


def _are_sha256(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, str) and SHA256.fullmatch(v) for v in value
    )


def _are_pictures(value: Any, version: Any) -> bool:
    """Return whether these are pairs of hashes in hex, of a version with all of its views."""
    return isinstance(value, list) and all(
        isinstance(one, list)
        and len(one) == len(DIGITS)
        and all(isinstance(v, str) and HEX.fullmatch(v) for v in one)
        and (version != VERSION or tuple(map(len, one)) == DIGITS)
        for one in value
    )


CHECKS: dict[str, Any] = {
    "sha256": lambda told: _are_sha256(told["sha256"]),
    "url_sha256": lambda told: _are_sha256(told["url_sha256"]),
    "pictures": lambda told: _are_pictures(told["pictures"], told.get("hashes")),
    "hashes": lambda told: isinstance(told["hashes"], str),
    "added": lambda told: isinstance(told["added"], str),
    "reason": lambda told: isinstance(told["reason"], str) and REASON.fullmatch(told["reason"]),
}
"""{key of a line: whether it is as it should be}"""


def dated(stone: Tombstone, reason: str) -> Tombstone:
    """Return the tombstone as one of today, for this reason."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return replace(stone, added=today, reason=reason)
