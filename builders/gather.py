"""Gather: lists every source, reads what is new or changed, keeps its bytes by content."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from occlufer.config import SOURCE_PATHS, SourceConfig, is_address
from occlufer.engine import map_local
from occlufer.errors import MissingError, UsageError
from occlufer.images import Images
from occlufer.progress import is_shown, progress, under_way
from occlufer.record import Facts, Record, Reject, image_key
from occlufer.schema import RIGHTS
from occlufer.stages import batches, fingerprint
from occlufer.tables import read_table
from occlufer.workspace import Workspace

from .pixels import BLANK_SPREAD, BadImageError, decode_rgb, spread
from .sources.adapters import adapter_of
from .sources.counts import entries_of
from .sources.entry import Entry, read_nothing
from .sources.mirror import local_copy

VERSION = 6
# What a listing says of a picture: its votes, for a class and for none; its test set; the place of
# its rights in RIGHTS. None of a reject.
Said = tuple[tuple[frozenset[Any], frozenset[Any]], str | None, int] | None


def gather(sources: tuple[SourceConfig, ...], workspace: Workspace, workers: int) -> int:
    """Bring the catalog's records up to date with the sources; return how many were read.

    Records of files, and of whole sources, that are gone are forgotten. Raises MissingError or
    UsageError for a source that is missing, empty or laid out in another way, before anything of
    the catalog is changed.
    """
    opened = [(source, open_source(source)) for source in sources]
    known = {source.name for source in sources}
    for name in workspace.catalog.sources():
        if name not in known:
            workspace.catalog.forget_records(workspace.catalog.stamps(name))
    return sum(
        _gather_source(source, settings, rank, workspace, workers)
        for rank, (source, settings) in enumerate(opened)
    )


def count_records(sources: tuple[SourceConfig, ...]) -> dict[str, int]:
    """Return {source: number of records it lists}; reads none of them."""
    opened = [(source, open_source(source)) for source in sources]
    return {
        source.name: sum(1 for _ in entries_of(source.kind, settings, source.name))
        for source, settings in opened
    }


def check_terms(sources: tuple[SourceConfig, ...], accepted: tuple[str, ...]) -> None:
    """Raise UsageError for sets whose owners ask for a signature and that were not accepted."""
    asked: dict[str, str] = {}
    for source in sources:
        terms = adapter_of(source.kind, source.name).TERMS
        if terms is not None and terms.must_accept and source.kind not in accepted:
            text = f"source {source.name}: {terms.title} has terms ({terms.licence}); {terms.where}"
            asked.setdefault(source.kind, text)
    if asked:
        line = ", ".join(f'"{kind}"' for kind in (*accepted, *asked))
        raise UsageError(
            f"{'; '.join(asked.values())}; if you hold {'them' if len(asked) > 1 else 'it'} under "
            f"these terms, write accept_terms = [{line}] at the top of the config"
        )


def open_source(source: SourceConfig) -> Any:
    """Return the settings of `source`; raises if they are wrong or nothing can be listed."""
    adapter = adapter_of(source.kind, source.name)
    settings = read_table(adapter.Settings, _at_hand(source), f"source {source.name}")
    # A missing folder or an unknown class shows here, before the catalog is touched.
    if next(adapter.entries(settings, source.name), None) is None:
        raise MissingError(f"source {source.name}: found no record in it, expected at least one")
    return settings


def _at_hand(source: SourceConfig) -> dict[str, Any]:
    """Return the settings with a copy on this machine in place of every address."""
    settings = dict(source.settings)
    for key in SOURCE_PATHS:
        if isinstance(settings.get(key), str) and is_address(settings[key]):
            settings[key] = str(local_copy(settings[key], f"source {source.name}"))
    return settings


def _gather_source(
    source: SourceConfig, settings: Any, rank: int, workspace: Workspace, workers: int
) -> int:
    catalog = workspace.catalog
    catalog.start_source(source.name, rank, fingerprint(VERSION, source.kind, source.settings))
    known = catalog.stamps(source.name)
    listed: set[str] = set()

    def is_new(entry: Entry) -> bool:
        return known.get(f"{source.name}/{entry.source_id}") != entry.stamp

    def changed() -> Iterator[Entry]:
        for entry in _distinct(entries_of(source.kind, settings, source.name)):
            listed.add(f"{source.name}/{entry.source_id}")
            if is_new(entry):
                yield entry

    total = None
    if is_shown():  # listed twice, which is cheap beside reading, so that the time left is known
        with under_way(f"list {source.name}"):
            adapter = adapter_of(source.kind, source.name)
            total = sum(map(is_new, _distinct(adapter.entries(settings, source.name))))
    read = partial(read_entry, source=source.name, store=workspace.images)
    records = progress(map_local(read, changed(), workers), total, f"gather {source.name}")
    count = 0
    for batch in batches(records):
        catalog.put_records([dataclasses.replace(record, rank=rank) for record in batch])
        count += len(batch)
    catalog.forget_records(known.keys() - listed)
    return count


def _distinct(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Yield the entries; what is listed again has a name of its own, and is a reject.

    It is none if it says more than was said before, see `_says_more`: whoever holds the same bytes
    counts, so that nothing said of a picture is lost because something else was said first.
    """
    told: dict[bytes, tuple[Said, ...]] = {}  # digests: names of a million files are 100 MB
    shared: dict[tuple[Said, ...], tuple[Said, ...]] = {}
    for entry in entries:
        key = hashlib.blake2b(entry.source_id.encode(), digest_size=8).digest()
        before, said = told.get(key, ()), None if entry.reject else _said(entry.facts)
        known = (*before, said)
        told[key] = shared.setdefault(known, known)
        if not before:
            yield entry
            continue
        again = dataclasses.replace(entry, source_id=f"{entry.source_id}#{len(known)}")
        if _says_more(said, before):
            # Its stamp tells it from the reject that it is once the first listing says the same.
            yield dataclasses.replace(again, stamp=f"{entry.stamp}:again")
        else:
            reject = Reject("duplicate_row", f"{entry.source_id} was listed before")
            yield dataclasses.replace(again, read=read_nothing, reject=reject)


def _said(facts: Facts) -> Said:
    words = (frozenset(facts.votes), frozenset((facts.no_class or {}).items()))
    return words, facts.test_set, RIGHTS.index(facts.rights)


def _says_more(said: Said, before: tuple[Said, ...]) -> bool:
    """Return whether a listing adds a label, a test set or stricter rights to those before.

    Not if any of them was a reject: what is no face in one row is none in the next.
    """
    if said is None or None in before:
        return False
    words, test_set, rights = said
    known = [one for one in before if one is not None]
    return (
        words not in [one[0] for one in known]
        or test_set not in (None, *(one[1] for one in known))
        or rights > max(one[2] for one in known)
    )


def read_entry(entry: Entry, source: str, store: Images) -> Record:
    """Return the record of `entry`, its image kept in the store, or why there is none."""
    record_id = f"{source}/{entry.source_id}"
    if entry.reject is not None:
        return _rejected(entry, source, entry.reject)
    if entry.facts.rights == "blocked":
        return _blocked(entry, source)
    try:
        reading = entry.read()
        _check(reading.data)
    except BadImageError as error:
        return _rejected(entry, source, error.reject)
    except OSError as error:
        # No stamp: what could not be read for want of rights or a network is tried again.
        reject = Reject("unreadable", str(error.strerror))
        return dataclasses.replace(_rejected(entry, source, reject), stamp="")
    facts = entry.facts
    if reading.truth is not None:
        facts = dataclasses.replace(facts, truth={**(facts.truth or {}), **reading.truth})
    image = image_key(store.put(reading.data), facts.content)
    return Record(record_id, source, entry.stamp, facts, image)


def _blocked(entry: Entry, source: str) -> Record:
    """Return the record of what may not be used: its bytes are neither kept nor looked at.

    Only their hash stays, in `evidence`, by which they are known where another source holds them.
    """
    record = _rejected(entry, source, Reject("blocked", f"rights: {entry.facts.licence}"))
    try:
        sha256 = hashlib.sha256(entry.read().data).hexdigest()
    except BadImageError:
        return record
    except OSError:
        return dataclasses.replace(record, stamp="")  # tried again, as what is unreadable is
    evidence = {**(entry.facts.evidence or {}), "sha256": sha256}
    return dataclasses.replace(record, facts=dataclasses.replace(entry.facts, evidence=evidence))


def _rejected(entry: Entry, source: str, reject: Reject) -> Record:
    """Return the record of what has no picture; where it is a row, the detail begins with which."""
    if entry.place:
        reject = Reject(reject.reason, f"{entry.place}: {reject.detail}")
    return Record(f"{source}/{entry.source_id}", source, entry.stamp, entry.facts, None, reject)


def _check(data: bytes) -> None:
    found = spread(decode_rgb(data))
    if found < BLANK_SPREAD:
        raise BadImageError(
            "blank", f"grey levels spread by {found:.2f}, expected >= {BLANK_SPREAD}"
        )
