"""What every source yields: entries with a name, a stamp, facts and a way to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from occlufer.record import Facts, Reject

from ..pixels import read_bytes


@dataclass(frozen=True)
class Reading:
    """What reading an entry gives: its bytes and, of a drawn face, what is really there."""

    data: bytes
    truth: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """One thing a source lists; nothing of it is read before `read` is called."""

    source_id: str
    """Its name within the source, e.g. the path under the source's folder."""
    stamp: str
    """Changes when the thing itself changes."""
    facts: Facts
    read: Callable[[], Reading]
    """May raise OSError, or BadImageError where there is no picture in it."""
    reject: Reject | None = None
    """Set if the listing alone shows that it cannot be used."""
    place: str = ""
    """Where the source lists it, where that is a row, e.g. "training.csv, line 17"."""


def text_stamp(text: str) -> str:
    """Return the stamp of what is known by a text, e.g. a line of a table."""
    return f"{crc32(text.encode()):08x}"


def read_file(path: Path) -> Reading:
    """Return the bytes of a file; raises BadImageError for what cannot be a picture."""
    return Reading(read_bytes(path))


def read_nothing() -> Reading:
    """Return no bytes: the `read` of an entry that its listing rejected."""
    return Reading(b"")
