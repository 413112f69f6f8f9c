"""Gather: lists every source, reads what is new or changed, keeps its bytes by content."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from occlufer.config import SourceConfig
from occlufer.engine import map_local
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.progress import progress
from occlufer.record import Record, Reject, image_key
from occlufer.stages import batches, fingerprint
from occlufer.tables import read_table
from occlufer.workspace import Workspace

from .pixels import BLANK_SPREAD, BadImageError, decode_rgb, spread
from .sources import fer2013, image_folder, synthetic
from .sources.entry import Entry

VERSION = 2


class Source(Protocol):
    """What a module in sources/ offers."""

    Settings: type[Any]

    def entries(self, settings: Any, name: str) -> Iterator[Entry]: ...


SOURCES: dict[str, Source] = {
    "synthetic": synthetic,
    "image_folder": image_folder,
    "fer2013": fer2013,
}


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
        source.name: sum(1 for _ in SOURCES[source.kind].entries(settings, source.name))
        for source, settings in opened
    }


def open_source(source: SourceConfig) -> Any:
    """Return the settings of `source`; raises if they are wrong or nothing can be listed."""
    if source.kind not in SOURCES:
        raise UsageError(
            f"source {source.name}: found kind = {source.kind!r}, expected one of "
            f"{', '.join(SOURCES)}"
        )
    adapter = SOURCES[source.kind]
    settings = read_table(adapter.Settings, source.settings, f"source {source.name}")
    # A missing folder or an unknown class shows here, before the catalog is touched.
    if next(adapter.entries(settings, source.name), None) is None:
        raise MissingError(f"source {source.name}: found no record in it, expected at least one")
    return settings


def _gather_source(
    source: SourceConfig, settings: Any, rank: int, workspace: Workspace, workers: int
) -> int:
    catalog = workspace.catalog
    catalog.start_source(source.name, rank, fingerprint(VERSION, source.kind, source.settings))
    known = catalog.stamps(source.name)
    listed: set[str] = set()

    def changed() -> Iterator[Entry]:
        for entry in SOURCES[source.kind].entries(settings, source.name):
            record_id = f"{source.name}/{entry.source_id}"
            listed.add(record_id)
            if known.get(record_id) != entry.stamp:
                yield entry

    read = partial(read_entry, source=source.name, store=workspace.images)
    records = progress(map_local(read, changed(), workers), None, f"gather {source.name}")
    count = 0
    for batch in batches(records):
        catalog.put_records([dataclasses.replace(record, rank=rank) for record in batch])
        count += len(batch)
    catalog.forget_records(known.keys() - listed)
    return count


def read_entry(entry: Entry, source: str, store: ImageStore) -> Record:
    """Return the record of `entry`, its image kept in the store, or why there is none."""
    record_id = f"{source}/{entry.source_id}"
    if entry.reject is not None:
        return Record(record_id, source, entry.stamp, entry.facts, None, entry.reject)
    try:
        reading = entry.read()
        _check(reading.data)
    except BadImageError as error:
        return Record(record_id, source, entry.stamp, entry.facts, None, error.reject)
    except OSError as error:
        # No stamp: what could not be read for want of rights or a network is tried again.
        reject = Reject("unreadable", str(error.strerror))
        return Record(record_id, source, "", entry.facts, None, reject)
    facts = entry.facts
    if reading.truth is not None:
        facts = dataclasses.replace(facts, truth={**(facts.truth or {}), **reading.truth})
    image = image_key(store.put(reading.data), facts.content)
    return Record(record_id, source, entry.stamp, facts, image)


def _check(data: bytes) -> None:
    found = spread(decode_rgb(data))
    if found < BLANK_SPREAD:
        raise BadImageError(
            "blank", f"grey levels spread by {found:.2f}, expected >= {BLANK_SPREAD}"
        )
