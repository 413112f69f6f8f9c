"""Photographs from the web: what `occlufer fetch` has brought into a folder, with its evidence."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from occlufer.errors import MissingError
from occlufer.images import ImageStore
from occlufer.record import Facts, Reject

from ..licences import read_families, read_licence
from ..web.ledger import LEDGER_NAME, LICENCE, Fault, Ledger, Outcome
from ..web.photograph import Photograph
from .entry import Entry, Reading, read_nothing, text_stamp

TERMS = None  # every photograph has its own
IMAGES = "images"

_HOST_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+):[0-9]{1,5}")


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "web"."""

    path: Path
    """The folder that `occlufer fetch` fills: a ledger, and the photographs by content."""
    service: str = "openverse"
    """"openverse", "commons", "flickr", "internet_archive", or "urls" for a list of your own."""
    urls: Path | None = None
    """The list, if that is the service: txt, csv, jsonl or parquet with url and licence."""
    contact: str = ""
    """An e-mail or web address by which a site's owner can reach you; sent with every request."""
    expressions: tuple[str, ...] = ()
    """Words to look for, each with each of `occlusions`; default: some for every class."""
    occlusions: tuple[str, ...] = ()
    """Words for what covers the face; default: some for every occlusion type."""
    licences: tuple[str, ...] = ("CC0", "PDM", "CC-BY", "CC-BY-SA")
    """Which licences are wanted; others are skipped."""
    limit: int = 100
    """At most so many photographs of each pair of words."""
    host_interval_s: float = 1.0
    """Seconds between two requests to one host."""
    endpoint: str = ""
    """Another address of the service's API, e.g. of your own Openverse."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts, as "host:port", that may be reached though they are not on the public internet."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.limit <= 100_000:
            raise ValueError(f"limit: found {self.limit}, expected 1 to 100000")
        if not 0 <= self.host_interval_s <= 3600:
            raise ValueError(f"host_interval_s: found {self.host_interval_s}, expected 0 to 3600")
        read_families(self.licences)
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ValueError(f"contact: found {self.contact!r}, expected ASCII text")
        for host in self.allow_hosts:
            if not _HOST_AND_PORT.fullmatch(host):
                expected = 'expected "host:port" in lower case, e.g. "pictures.lab.example:80"'
                raise ValueError(f"allow_hosts: found {host!r}, {expected}")
        if (self.service == "urls") != (self.urls is not None):
            raise ValueError('urls: expected with service = "urls", and only then')


def detect(path: Path) -> str | None:
    """Return what was recognised if `occlufer fetch` has been at the folder, else None."""
    return "web photographs with their ledger" if (path / LEDGER_NAME).is_file() else None


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield every photograph of the ledger; those that were not fetched, and why, as rejects.

    Raises MissingError if nothing was ever fetched.
    """
    if not (settings.path / LEDGER_NAME).is_file():
        raise MissingError(
            f"{settings.path}: found no {LEDGER_NAME}; `occlufer fetch` fetches the photographs"
        )
    images = ImageStore(settings.path / IMAGES)
    ledger = Ledger(settings.path, to_read=True)
    try:
        for photograph, outcome in ledger.photographs():
            yield _entry(photograph, outcome, images, settings.licences)
        for fault in ledger.faults():
            yield _fault(fault)
    except sqlite3.Error as error:
        raise ledger.unusable(error) from None
    finally:
        ledger.close()


def _entry(
    photograph: Photograph, outcome: Outcome, images: ImageStore, licences: tuple[str, ...]
) -> Entry:
    facts = _facts(photograph, outcome)
    # The config, and what a list says of it, may have changed since it was fetched.
    licence = read_licence(photograph.licence)
    if outcome.state == "fetched" and licence and licence.family not in licences:
        wanted = ", ".join(licences)
        outcome = Outcome("skipped", LICENCE, f"found {licence.name}, wanted are {wanted}")
    if outcome.state == "fetched":
        said = json.dumps(photograph.to_json(), sort_keys=True)
        stamp = f"{outcome.sha256}:{text_stamp(said)}"
        read = partial(_read, images.path(outcome.sha256))
        return Entry(_source_id(photograph.url), stamp, facts, read)
    reason = outcome.reason or "not_fetched"
    detail = outcome.detail or "`occlufer fetch` has not come to it"
    stamp = f"{outcome.state}:{reason}"
    return Entry(_source_id(photograph.url), stamp, facts, read_nothing, Reject(reason, detail))


def _read(path: Path) -> Reading:
    """Return the bytes of a photograph; raises OSError, with what to do, if they are not those."""
    again = "`occlufer fetch --retry failed` fetches it again"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, f"{path.name} is gone; {again}") from None
    if hashlib.sha256(data).hexdigest() != path.name:
        raise OSError(errno.EIO, f"{path.name} is damaged; delete it, then {again}")
    return Reading(data)


def _source_id(url: str) -> str:
    """Return the address without its query: keys and tokens stand there, and this is published."""
    if "?" not in url:
        return url
    digest = hashlib.sha256(url.encode()).hexdigest()
    return f"{url.partition('?')[0]}#{digest[:12]}"


def _fault(fault: Fault) -> Entry:
    facts = Facts()
    reject = Reject(fault.reason, fault.detail)
    stamp = text_stamp(fault.detail)
    return Entry(fault.place, stamp, facts, read_nothing, reject, fault.place)


def _facts(photograph: Photograph, outcome: Outcome) -> Facts:
    licence = read_licence(photograph.licence)
    names = [photograph.title, photograph.author]
    return Facts(
        content="photograph",
        licence=photograph.licence or "unknown",
        attribution=" by ".join(text for text in names if text),
        rights="blocked" if licence is None else licence.rights,
        evidence={**photograph.to_json(), **outcome.evidence},
    )
