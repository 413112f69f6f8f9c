"""Rows by themselves: does what a row says of its sample fit together, and with the picture.

What fits only with other rows is in totals.py and sides.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from occlufer.schema import LABELS, OCCLUSION_TYPES, RIGHTS

from ..hashes import Look, look
from ..hashing.hash_table import in_hex
from ..metadata import without_metadata
from ..published.fault import Fault, first_line, shown
from ..published.paths import path_faults
from ..published.schema import NEEDED
from ..published.shards import Row
from ..publishing.columns import PIXELS

# Shares are published with four digits, probabilities with six, both as float32.
AGREEMENT_TOLERANCE = 6e-5
SOFT_TOLERANCE = 1e-4
# Columns whose words others have written; a title may look like a path.
FREE_TEXT = ("attribution", "licence")
ADDRESSES = ("url",)
# Another decoder of JPEG may round a grey level otherwise, which turns a bit or two.
PHASH_BITS = 4


@dataclass(frozen=True)
class Place:
    """Where a row stands, and what holds there."""

    where: str
    """Its shard and number, for messages."""
    elected: bool
    """Whether the label is what most votes of the row are for: nobody else was asked."""


def row_faults(row: Row, place: Place) -> Iterator[Fault]:
    """Yield what is wrong with all of a row but its picture."""
    holes = holes_in(row)
    for name in holes:
        yield Fault(place.where, name, shown(row[name]), "a value without nulls")
    yield from _path_faults(row, place.where)
    if holes:
        return
    yield from _word_faults(row, place.where)
    yield from _vote_faults(row, place)
    yield from _soft_faults(row, place)


def holes_in(row: Row) -> list[str]:
    """Return the columns of a row without a value, of those that everything hangs on."""
    values = {name: row[name] for name in NEEDED}
    return [n for n, v in values.items() if v is None or (isinstance(v, list) and None in v)]


def _path_faults(row: Row, where: str) -> Iterator[Fault]:
    for name, value in row.items():
        if name == PIXELS:
            path = (value or {}).get("path")
            # A bare name tells nothing; `datasets` itself writes one.
            if path is not None and (not path or "/" in path or "\\" in path):
                yield Fault(f"{where}, {name}", "local path", shown(path), "null or a bare name")
        elif name not in ADDRESSES or not str(value).startswith(("http://", "https://")):
            yield from path_faults(f"{where}, {name}", value, free_text=name in FREE_TEXT)


def _word_faults(row: Row, where: str) -> Iterator[Fault]:
    """Yield where a word or a number is none of those there are."""
    if not 0 <= row["label"] < len(LABELS):
        yield Fault(where, "label", f"{row['label']}", f"0 to {len(LABELS) - 1}")
    if row["rights"] == "blocked":
        yield Fault(where, "rights", "blocked", "no blocked sample at all")
    elif row["rights"] not in RIGHTS:
        yield Fault(where, "rights", shown(row["rights"]), ", ".join(RIGHTS[:2]))
    for word in row["occlusion_types"]:
        if word not in OCCLUSION_TYPES:
            yield Fault(where, "occlusion type", shown(word), ", ".join(OCCLUSION_TYPES))


def _vote_faults(row: Row, place: Place) -> Iterator[Fault]:
    """Yield where votes, label and agreement do not fit together."""
    votes, label, agreement = row["votes"], row["label"], row["agreement"]
    if min(votes) < 0:
        yield Fault(place.where, "votes", shown(votes), "none below zero")
        return
    if not 0 <= label < len(LABELS):
        return
    if place.elected and not _elected(votes, label):
        expected = f"more for {LABELS[label]} than for any other"
        yield Fault(place.where, "votes", shown(votes), expected)
    if not _fits(agreement, votes[label], sum(votes)):
        expected = f"the label's share of the votes: {votes[label]} of {sum(votes)} or more"
        yield Fault(place.where, "agreement", f"{agreement:g}", expected)


def _elected(votes: list[int], label: int) -> bool:
    return all(votes[label] > votes[other] for other in range(len(LABELS)) if other != label)


def _fits(agreement: float, votes: int, of_classes: int) -> bool:
    """Return whether an agreement is the share of `votes` in all votes, rounded.

    All are those of the eight classes, and an unknown number for no class.
    """
    if not votes or not 0 < agreement <= 1:
        return votes == 0 and agreement == 0
    total = max(round(votes / agreement), of_classes)
    return abs(votes / total - agreement) <= AGREEMENT_TOLERANCE


def _soft_faults(row: Row, place: Place) -> Iterator[Fault]:
    """Yield where the soft label is no distribution, or not that of the votes."""
    soft, votes = row["soft_label"], row["votes"]
    # Written so that what is no number is a fault.
    if not all(-SOFT_TOLERANCE <= chance <= 1 + SOFT_TOLERANCE for chance in soft):
        yield Fault(place.where, "soft_label", shown(soft), "probabilities, 0 to 1")
    elif not abs(sum(soft) - 1) <= SOFT_TOLERANCE:
        yield Fault(place.where, "soft_label", f"a sum of {sum(soft):g}", "a sum of 1")
    elif place.elected and sum(votes) > 0:
        wanted = [count / sum(votes) for count in votes]
        if any(abs(a - b) > SOFT_TOLERANCE for a, b in zip(soft, wanted, strict=True)):
            yield Fault(place.where, "soft_label", shown(soft), f"the shares of {votes}")


# Pictures -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What a look at a row's picture tells."""

    faults: tuple[Fault, ...]
    look: Look | None
    """None without a picture, or if it cannot be decoded."""


def see_picture(row: Row, where: str, pixels: str) -> Seen:
    """Return what is wrong with the picture of a row, and its hashes.

    `pixels` is the lock's word on whose pixels are here.
    """
    data = (row[PIXELS] or {}).get("bytes")
    kept_back = pixels != "all" and row["rights"] == "index_only"
    if data is None:
        found = f"no bytes, rights {shown(row['rights'])}"
        fault = Fault(where, "image", found, "the bytes of a picture")
        return Seen(() if kept_back else (fault,), None)
    faults = []
    if kept_back:
        faults.append(Fault(where, "rights", "pixels of an index_only sample", "none of those"))
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != row["sha256"]:
        faults.append(Fault(where, "image sha256", sha256, f"{shown(row['sha256'])}, its column"))
    try:
        seen = look(data)
    except Exception as error:  # decoders raise many kinds
        faults.append(Fault(where, "image", first_line(error), "a picture that decodes"))
        return Seen(tuple(faults), None)
    if without_metadata(data) != data:
        found = "more than its pixels need: EXIF, text, a thumbnail or the like"
        faults.append(Fault(where, "image metadata", found, "a picture file without metadata"))
    phash = in_hex(seen.hashes["phash64"])
    if _bits(phash, row["phash"]) > PHASH_BITS:
        faults.append(Fault(where, "phash", shown(row["phash"]), f"{phash}, that of the picture"))
    return Seen(tuple(faults), seen)


def _bits(one: str, other: Any) -> int:
    """Return in how many bits two hashes in hex differ; 64 if the other is none."""
    try:
        return (int(one, 16) ^ int(other, 16)).bit_count() if len(other) == len(one) else 64
    except (TypeError, ValueError):
        return 64
