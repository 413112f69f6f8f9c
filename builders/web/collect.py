"""`occlufer fetch`: asks the services, then visits every photograph that is planned."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from occlufer.config import SourceConfig, is_address
from occlufer.errors import UsageError
from occlufer.images import ImageStore
from occlufer.progress import progress
from occlufer.stages import batches, fingerprint
from occlufer.tables import read_table
from occlufer.version import __version__
from occlufer.workspace import held

from ..sources.mirror import local_copy
from ..sources.web import IMAGES, Settings
from ..tombstones import NO_TOMBSTONES, Tombstones
from .address import host_of, web_address
from .crew import work
from .errors import FetchError, ServiceError
from .fetch import Fetcher, Limits
from .ledger import Fault, Ledger
from .photograph import Photograph
from .plan import plan
from .reservations import Tdmrep
from .robots import Robots
from .services import Search, search_of
from .url_list import read_list
from .visit import Visitor, visit

log = logging.getLogger(__name__)

# What adds (photograph, its host) to a ledger and returns how many are new.
Put = Callable[[Iterable[tuple[Photograph, str]]], int]
BUSY = "another fetch (process {}) works in this folder; wait for it"


def fetch(
    sources: tuple[SourceConfig, ...],
    only: str | None = None,
    retry: bool = False,
    tombstones: Tombstones = NO_TOMBSTONES,
) -> dict[str, dict[str, Any]]:
    """Fetch what the sources of kind "web" ask for and return {source: what its ledger holds}.

    `only` names one source; `retry` plans what failed once more; what a tombstone names by its
    address or its bytes is skipped. A kill at any moment loses what was under way; the next call
    goes on. Raises UsageError where no source is meant.
    """
    chosen = [s for s in sources if s.kind == "web" and only in (None, s.name)]
    if not chosen:
        asked = "any" if only is None else f"one named {only!r}"
        names = ", ".join(f"{s.name} ({s.kind})" for s in sources)
        raise UsageError(f'fetch: found the sources {names}, expected {asked} of kind = "web"')
    opened = [(s, read_table(Settings, _at_hand(s), f"source {s.name}")) for s in chosen]
    _check_folders(sources)
    return {
        source.name: _fetch_source(settings, source.name, retry, tombstones)
        for source, settings in opened
    }


def _at_hand(source: SourceConfig) -> dict[str, Any]:
    """Return the settings with a copy on this machine of a list that lies at an address.

    Raises UsageError if the folder does: photographs are kept here.
    """
    settings = dict(source.settings)
    path, urls = settings.get("path"), settings.get("urls")
    if isinstance(path, str) and is_address(path):
        raise UsageError(
            f"source {source.name}: found the address path = {path!r}, expected a folder of this "
            "machine, for `occlufer fetch` to fill"
        )
    if isinstance(urls, str) and is_address(urls):
        settings["urls"] = str(local_copy(urls, f"source {source.name}"))
    return settings


def _check_folders(sources: tuple[SourceConfig, ...]) -> None:
    """Raise UsageError if two sources share a folder: each would take the other's for its own."""
    names: dict[str, str] = {}
    for source in sources:
        if source.kind == "web":
            path = str(source.settings.get("path"))
            first = names.setdefault(path, source.name)
            if first != source.name:
                raise UsageError(
                    f"source {source.name}: found path = {path!r}, which is that of {first}; "
                    "expected a folder of its own"
                )


def _fetch_source(
    settings: Settings, name: str, retry: bool, tombstones: Tombstones
) -> dict[str, Any]:
    if not settings.contact.strip():
        raise UsageError(
            f'source {name}: contact is missing, expected e.g. contact = "you@lab.example": sites '
            "must be able to reach whoever fetches from them"
        )
    settings.path.mkdir(parents=True, exist_ok=True)
    with held(settings.path / "lock", BUSY):
        ledger = Ledger(settings.path)
        fetcher = Fetcher(
            f"occlufer/{__version__} ({settings.contact.strip()})",
            Limits(per_host_s=settings.host_interval_s),
            settings.allow_hosts,
        )
        images = ImageStore(settings.path / IMAGES)
        images.sweep()
        visitor = Visitor(
            *(fetcher, Robots(fetcher), Tdmrep(fetcher), ledger, images),
            *(settings.licences, tombstones),
        )
        try:
            if retry:
                lost = ledger.retry_lost(images.has)
                log.info("%s: planned once more: %d", name, ledger.retry_failed() + lost)
            ledger.reconsider()
            refused = _search(settings, name, ledger, fetcher)
            _visit(name, ledger, visitor)
            if refused is not None:
                raise refused
            return _summary(settings, ledger)
        except sqlite3.Error as error:
            raise ledger.unusable(error) from None
        finally:
            fetcher.close()
            ledger.close()


def _summary(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    counts = ledger.counts()
    skipped = counts["skipped"] + Counter(fault.reason for fault in ledger.faults())
    return {
        "path": str(settings.path),
        "fetched": counts["fetched"].total(),
        "planned": counts["planned"].total(),
        "skipped": dict(skipped),
        "failed": dict(counts["failed"]),
    }


# What there is to fetch ---------------------------------------------------------------------------


def _search(settings: Settings, name: str, ledger: Ledger, fetcher: Fetcher) -> ServiceError | None:
    """Plan what the list holds, or what the service finds by searches not yet made.

    Returns the error where a search gave none or the service gave up: what it has found is fetched
    nevertheless. After an error that would come again only that search is left out.
    """
    failed: ServiceError | None = None
    if settings.urls is not None:
        ledger.begin_list()
        _plan(read_list(settings.urls), ledger, ledger.plan_list)
        ledger.end_list()
        return None
    search, queries = _searches(settings, name)
    for words in progress(queries, len(queries), f"search {name}"):
        wanted = (settings.endpoint, sorted(settings.licences), settings.limit)
        asked = fingerprint(settings.service, words, *wanted)
        if ledger.is_searched(asked):
            continue
        try:
            ledger.end_search(asked, _plan(search(words, fetcher, settings), ledger, ledger.plan))
        except ServiceError as error:
            if failed is not None:  # the last one is raised
                log.warning("source %s: %s", name, failed)
            failed = ServiceError(f"search {words!r}: {error}", error.again)
            if error.again:  # too many requests, no network: so it would go with every search
                break
    return failed


def _searches(settings: Settings, name: str) -> tuple[Search, list[str]]:
    """Return what searches, and the words to look for; raises UsageError, naming the source."""
    try:
        return search_of(settings.service), plan(settings.expressions, settings.occlusions)
    except UsageError as error:
        raise UsageError(f"source {name}: {error}") from None


def _plan(found: Iterable[Photograph | Fault], ledger: Ledger, put: Put) -> int:
    """Write what is found into the ledger as it comes; return how many photographs are new."""
    count = 0
    for batch in batches(iter(found)):
        ledger.put_faults(item for item in batch if isinstance(item, Fault))
        photographs = [item for item in batch if isinstance(item, Photograph)]
        count += put((p, _host(p.url)) for p in photographs)
    return count


def _host(url: str) -> str:
    """Return the host of an address, "" where its visit will find that it is none."""
    try:
        return host_of(web_address(url))
    except FetchError:
        return ""


# Fetching it --------------------------------------------------------------------------------------


def _visit(name: str, ledger: Ledger, visitor: Visitor) -> None:
    """Visit every photograph that is planned; each is in the ledger before the next of its host."""

    def do(url: str) -> None:
        ledger.put(url, visit(ledger.photograph(url), visitor))

    hosts = ledger.planned()
    for _ in progress(work(hosts, do), sum(map(len, hosts.values())), f"fetch {name}"):
        pass
