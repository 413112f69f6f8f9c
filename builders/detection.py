"""What a folder holds: which public set it is, what of it by split and class, what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occlufer.errors import OccluferError

from .sources import counts, image_folder
from .sources.adapters import ADAPTERS, recognised
from .sources.files import folders, has_pictures, name_of

FAULTS_SHOWN = 10
ONE_BY_ONE = "expected one source; name them one by one, or let `occlufer init` write them all down"


@dataclass
class Found:
    """What was listed at a path; nothing of its pictures was read."""

    path: Path
    kind: str
    what: str
    """What was recognised, in words."""
    records: int = 0
    splits: counts.Counts = field(default_factory=dict)
    """Rejects are not in."""
    rejected: Counter[str] = field(default_factory=Counter)
    """{reason: records}"""
    faults: list[str] = field(default_factory=list)
    """The first rejects, each with its place."""
    missing: str = ""
    """Which piece is not there and where it is obtained, or why it cannot be listed."""
    table_1: list[str] | None = None
    """Of Occlu-FER: where its counts differ from Table 1 of the paper, none if all are as there."""

    def to_json(self) -> dict[str, Any]:
        """Return the finding, with the terms of its set, as JSON has it."""
        terms = ADAPTERS[self.kind].TERMS if self.kind else None
        said = None if terms is None else {**vars(terms)}
        return {**vars(self), "path": str(self.path), "terms": said}


def find(path: Path) -> Found:
    """Return what lies at `path`; its `kind` is "" where nothing is recognised."""
    if not path.exists():
        return Found(path, "", "nothing", missing="no such file or folder")
    known = recognised(path)
    if known is not None:
        kind, what = known
        return _listed(Found(path, kind, what), ADAPTERS[kind].Settings(path))
    inner = datasets_in(path) if path.is_dir() else []
    if inner:
        told = ", ".join(name_of(Path(name)) for name in inner[:FAULTS_SHOWN])
        more = f" and {len(inner) - FAULTS_SHOWN} more" if len(inner) > FAULTS_SHOWN else ""
        return Found(path, "", f"sources of their own: {told}{more}", missing=ONE_BY_ONE)
    if path.is_dir() and has_pictures(path):
        found = Found(path, "image_folder", 'images without classes (labels = "none")')
        return _listed(found, image_folder.Settings(path, labels="none"))
    return Found(path, "", "nothing", missing=f"expected one of {', '.join(ADAPTERS)}")


def datasets_in(path: Path) -> list[str]:
    """Return the folders in `path`, which is no dataset itself, that are: a shelf, or splits."""
    return [name for name in folders(path) if recognised(path / name)]


def _listed(found: Found, settings: Any) -> Found:
    """Return the finding with everything counted that its adapter lists."""
    adapter = ADAPTERS[found.kind]
    try:
        for entry in adapter.entries(settings, found.kind):
            found.records += 1
            if entry.reject is None:
                counts.add(found.splits, entry.facts)
                continue
            found.rejected[entry.reject.reason] += 1
            if len(found.faults) < FAULTS_SHOWN:
                place = entry.place or entry.source_id
                found.faults.append(f"{place}: {entry.reject.reason}: {entry.reject.detail}")
        found.table_1 = counts.table_1_faults(adapter, found.splits)
    except OccluferError as error:
        found.missing = str(error)
    return found


def kinds() -> list[dict[str, Any]]:
    """Return every kind of source with its set's terms, as `occlufer sources list` shows them."""
    return [
        {"kind": kind, "terms": None if adapter.TERMS is None else {**vars(adapter.TERMS)}}
        for kind, adapter in ADAPTERS.items()
    ]
