"""Mirrors: a copy on this machine of a source that lies at an address, s3:// or gs:// for example.

Any that fsspec knows, with the rights that its library finds (for s3://, what the AWS tools use).
Adapters read folders; so what is there is copied once, and later only what has changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from occlufer.engine import map_local
from occlufer.errors import MissingError, OccluferError, UsageError, one_line
from occlufer.progress import progress
from occlufer.workspace import held

log = logging.getLogger(__name__)

# What a listing says of a file's content or of when it was changed, by whichever name its store
# has for it. What has none of them is copied each time.
STAMP_KEYS = (
    *("ETag", "etag", "md5Hash", "content_hash", "blob_id", "sha"),
    *("mtime", "LastModified", "last_modified", "updated", "modified", "created"),
)
# Waiting for a store takes the time, not the processor.
FILES_AT_ONCE = 16
# In the folder of a mirror: the copy, what is not yet whole, and a stamp for each file.
COPY, PARTS, STAMPS = "copy", "parts", "stamps.jsonl"
BUSY = "another build (process {}) copies the same source; wait for it"


def mirror_folder(url: str) -> Path:
    """Return where the copy of what lies at an address is kept; it may be deleted at any time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "occlufer" / "mirrors" / hashlib.sha256(url.encode()).hexdigest()[:16]


def local_copy(url: str, what: str) -> Path:
    """Return the path of a copy of the folder or file at `url`, brought up to date.

    What is on a disk of this machine, file://, is read where it lies. `what` names the source in
    messages. After a kill the next call goes on. Raises MissingError if nothing is there, it cannot
    be read, or a package for its protocol is not installed, and UsageError if it is no address,
    holds names that lead out of it, or is being copied by another process.
    """
    listing = _listed(url, what)
    if listing.here is not None:
        return listing.here
    folder = mirror_folder(url)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "lock", BUSY):
        _bring_up_to_date(folder, listing, what)
    return folder / COPY / listing.only


@dataclass(frozen=True)
class _File:
    """A file at an address."""

    name: str
    """Below the address, with / between its parts."""
    path: str
    """As the store calls it."""
    stamp: str
    """Another one if the file was changed; "" if nothing tells."""


@dataclass(frozen=True)
class _Listing:
    """What lies at an address."""

    url: str
    system: Any
    files: dict[str, _File]
    only: str
    """The name of the one file that the address is of, "" if it is of a folder."""
    here: Path | None
    """Where it lies if that is on this machine."""


def _listed(url: str, what: str) -> _Listing:
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    try:
        system, root = fsspec.core.url_to_fs(url)
        if isinstance(system, LocalFileSystem):
            return _Listing(url, system, {}, "", Path(root))
        system.invalidate_cache()
        root = root.rstrip("/")
        found = system.find(root, detail=True)
    except ImportError as error:
        raise MissingError(f"{what}, {url}: {one_line(error)}") from None
    except ValueError as error:
        raise UsageError(f"{what}, {url}: {one_line(error)}") from None
    except Exception as error:  # whatever a store's library raises
        raise MissingError(f"{what}, {url}: found no way to list it ({one_line(error)})") from None
    only = PurePosixPath(root).name if [*found] == [root] else ""
    files = {file.name: file for file in _files(found, root, only, f"{what}, {url}")}
    if not files:
        raise MissingError(f"{what}, {url}: found nothing there, expected a folder or a file")
    return _Listing(url, system, files, only, None)


def _files(found: dict[str, dict[str, Any]], root: str, only: str, where: str) -> Iterator[_File]:
    """Yield what is a file of what was found: stores have marks for folders, servers have links."""
    left_out = []
    folders = {str(above) for path in found for above in PurePosixPath(path).parents}
    for path, info in sorted(found.items()):
        if path in folders or path.endswith("/") or info.get("type") == "directory":
            continue
        if info.get("type", "file") != "file" or info.get("islink"):
            left_out.append(path)
            continue
        name = only or path[len(root) :].lstrip("/")
        # A store may hold any name: none may be written outside the copy.
        if {"", "..", "."} & {*name.split("/")} or "\0" in name:
            raise UsageError(f"{where}: found the name {path!r}, which leads out of it")
        said = [str(info[key]) for key in STAMP_KEYS if info.get(key)]
        yield _File(name, path, json.dumps([info.get("size"), *said]) if said else "")
    if left_out:
        log.warning("%s: no files and left out, e.g. %s: %d", where, left_out[0], len(left_out))


def _bring_up_to_date(folder: Path, listing: _Listing, what: str) -> None:
    copy, parts, note = folder / COPY, folder / PARTS, folder / STAMPS
    shutil.rmtree(parts, ignore_errors=True)  # of a copy that was killed
    for one in (copy, parts):
        one.mkdir(exist_ok=True)
    known = _read_stamps(note)
    _delete_all_but(listing.files, copy)
    wanted = [
        file
        for name, file in listing.files.items()
        if not (file.stamp and known.get(name) == file.stamp and (copy / name).is_file())
    ]

    def fetch(file: _File) -> _File:
        target = copy / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = parts / hashlib.sha256(file.name.encode()).hexdigest()
        listing.system.get_file(file.path, str(part))
        part.replace(target)
        return file

    fetched = map_local(fetch, wanted, FILES_AT_ONCE)
    with note.open("a", encoding="utf-8") as stamps:
        try:
            for file in progress(fetched, len(wanted), f"copy {what}"):
                if known.get(file.name, "") != file.stamp:
                    stamps.write(json.dumps([file.name, file.stamp]) + "\n")
                    stamps.flush()  # after the file: what a kill has left is whole
        except (OccluferError, KeyboardInterrupt, MemoryError):
            raise
        except Exception as error:
            told = f"{what}, {listing.url}: found no way to copy it ({one_line(error)})"
            raise MissingError(f"{told}; run the same command to go on") from None


def _delete_all_but(wanted: dict[str, _File], copy: Path) -> None:
    for path in [*copy.rglob("*")]:
        if not path.is_dir() and path.relative_to(copy).as_posix() not in wanted:
            path.unlink()
    for path in sorted(copy.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _read_stamps(note: Path) -> dict[str, str]:
    """Return {name: stamp}, the last one of each; a line that a kill has cut says nothing."""
    stamps: dict[str, str] = {}
    if note.is_file():
        for line in note.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                name, stamp = json.loads(line)
            except ValueError:
                continue
            stamps[name] = stamp
    return stamps
