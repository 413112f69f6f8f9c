"""Duplicates in any folder of pictures, without a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occlufer.config import DedupConfig
from occlufer.engine import map_local
from occlufer.errors import MissingError
from occlufer.progress import progress
from occlufer.record import Reject

from .duplicates.clusters import Clusters, cluster_looks
from .hashes import Look, look
from .pixels import BadImageError
from .sources import image_folder
from .sources.entry import Entry
from .sources.files import links


@dataclass(frozen=True)
class FolderClusters:
    """What was found in a folder; paths are relative to it."""

    folder: Path
    paths: list[str]
    """The pictures, by the positions that `clusters` counts."""
    clusters: Clusters
    rejected: list[tuple[str, str, str]]
    """(path, reason, detail) of what is no picture."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; a kept one may be in a related group as well."""
        stars: dict[int, list[dict[str, Any]]] = {}
        for i, drop in self.clusters.dropped.items():
            row = {"path": self.paths[i], **drop.nearness()}
            stars.setdefault(drop.kept, []).append(row)
        return {
            "folder": str(self.folder),
            "files": len(self.paths) + len(self.rejected),
            "duplicates": [
                {"kept": self.paths[kept], "dropped": rows} for kept, rows in sorted(stars.items())
            ],
            "related": [[self.paths[i] for i in group] for group in self.clusters.related()],
            "rejected": [
                {"path": path, "reason": reason, "detail": detail}
                for path, reason, detail in self.rejected
            ],
        }


def find_in_folder(folder: Path, settings: DedupConfig, workers: int = 0) -> FolderClusters:
    """Return the duplicates and related pictures under `folder`; nothing of it is changed.

    Raises MissingError or UsageError if it is missing, no folder, or holds no picture.
    """
    entries = list(_entries(folder))
    found: list[tuple[Entry, Look]] = []
    rejected: list[tuple[str, str, str]] = []
    for entry, seen in zip(entries, looks(entries, workers), strict=True):
        if isinstance(seen, Reject):
            rejected.append((entry.source_id, seen.reason, seen.detail))
        else:
            found.append((entry, seen))
    if not found:
        first = ": ".join(rejected[0])
        raise MissingError(f"{folder}: found no picture in {len(entries)} files; first: {first}")

    clusters = cluster_looks([seen for _, seen in found], settings)
    return FolderClusters(folder, [entry.source_id for entry, _ in found], clusters, rejected)


def _entries(folder: Path) -> Iterator[Entry]:
    """Yield the files of a folder; of one that is reached by several names the link is none."""
    entries = list(image_folder.entries(image_folder.Settings(folder, labels="none"), "folder"))
    names, led = {entry.source_id for entry in entries}, links(folder)
    for entry in entries:
        target = led.get(entry.source_id)
        # Whoever deletes duplicates must not be told to keep the link and drop the file.
        if entry.reject is None and target in names:
            entry = replace(entry, reject=Reject("link", f"a link to {target}"))
        yield entry


def looks(entries: Sequence[Entry], workers: int) -> Iterator[Look | Reject]:
    """Yield, for every entry, what a look at its picture tells, or why there is none."""
    return progress(map_local(_look, entries, workers), len(entries), "hashes")


def _look(entry: Entry) -> Look | Reject:
    if entry.reject is not None:
        return entry.reject
    try:
        return look(entry.read().data)
    except BadImageError as error:
        return error.reject
    except OSError as error:
        return Reject("unreadable", str(error.strerror))
