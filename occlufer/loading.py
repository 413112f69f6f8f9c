"""Loading a published dataset, offline first, and of a pinned version if one is named."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import Any

from occlufer.digest import file_sha256
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.lock import LOCK_NAME, MAIN, Lock, not_published

log = logging.getLogger(__name__)
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
VERSION = re.compile(r"[0-9a-f]{12}|[0-9a-f]{64}")


def load_dataset(
    path: str | Path = "occlu_fer",
    split: str | None = None,
    streaming: bool = False,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Return a dataset as `datasets.load_dataset` gives it.

    `path` is the folder that a build publishes; or the name of one, whose last build is then taken
    from the cache of `datasets`; or ORG/NAME of the Hub, which is asked for a version only if that
    is not at hand, and without one for the newest as long as it can be reached. `name` is "index",
    or a subset, e.g. "raf_db_occlu". `version` pins the content: that of the card, or the sha256
    of the lock. Without `split` a DatasetDict with train and validation, or, of a subset, with
    test. Raises MissingError if there is no such dataset, version or config, and GateError if a
    file of a pinned version, of a folder or of the Hub, is not the one that its lock names.
    """
    if version is not None and not VERSION.fullmatch(version):
        raise UsageError(f"version: found {version!r}, expected 12 or 64 hex digits")
    folder = Path(path)
    there = None
    if (folder / LOCK_NAME).is_file():
        there = read_lock(folder)
        if is_version(folder, version):
            if version is not None:
                _check_files(folder, there)
            return _load_folder(folder, there, split, streaming, name)
    found = _load_cached(path, split, streaming, name, version) if _is_name(path) else None
    if found is None and there is None and REPOSITORY.fullmatch(str(path)):
        return _load_from_hub(str(path), split, streaming, name, version)
    if found is not None:
        return found
    if there is not None:
        raise MissingError(f"{folder}: found version {there.version}, expected {version}")
    raise not_published(folder, version)


def read_lock(folder: Path) -> Lock:
    """Return the lock of a published folder; MissingError if it cannot be read."""
    try:
        return Lock.from_text((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise MissingError(
            f"{folder / LOCK_NAME}: found no lock that can be read, expected that of a build"
        ) from None


def is_version(folder: Path, version: str | None) -> bool:
    """Return whether the folder's lock is of this version; any is where None is asked for."""
    if version is None or read_lock(folder).version == version:
        return True
    return hashlib.sha256((folder / LOCK_NAME).read_bytes()).hexdigest() == version


def _check_files(folder: Path, lock: Lock) -> None:
    """Raise GateError for a file that is not the one that the lock pins: a second for 1 GB."""
    for name, expected in lock.files.items():
        path = folder / name
        found = file_sha256(path) if path.is_file() else "no file"
        if found != expected:
            raise GateError(f"{path}: found {found}, expected sha256 {expected} as in {LOCK_NAME}")


def _load_folder(folder: Path, lock: Lock, split: str | None, streaming: bool, name: Any) -> Any:
    configs = [config for config in lock.shards if config != MAIN]
    if name not in (None, MAIN, *configs):
        raise MissingError(
            f"{folder}: found no config {name!r}, expected one of {', '.join(configs) or 'none'}; "
            "[lists] in the build's config make subsets"
        )
    import datasets

    return datasets.load_dataset(str(folder.resolve()), name, split=split, streaming=streaming)


def _is_name(path: str | Path) -> bool:
    return str(path).isidentifier()


def _load_cached(
    path: str | Path, split: str | None, streaming: bool, name: str | None, version: str | None
) -> Any:
    """Return the last build of this name that was remembered, None if there is none."""
    from occlufer.remembering import remembered

    places = remembered(str(path), name or MAIN)
    place = next((place for place in places if is_version(place, version)), None)
    if place is None:
        return None
    from datasets.packaged_modules.cache.cache import Cache

    builder = Cache(
        cache_dir=str(place.parents[3]),
        dataset_name=str(path),
        config_name=name or MAIN,
        version=place.parent.name,
        hash=place.name,
    )
    return builder.as_streaming_dataset(split) if streaming else builder.as_dataset(split)


def _load_from_hub(
    repo_id: str, split: str | None, streaming: bool, name: str | None, version: str | None
) -> Any:
    """Return a dataset of the Hub: a version as it was fetched before, if it was, and whole.

    Without a version the Hub is asked first: what was withdrawn since must not stay in use. Out of
    its reach, what was fetched last is taken.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # A version has a tag of its name; a lock's sha256 can only be looked for in the newest.
    revision = version if version and len(version) == 12 else None
    for local_only in (True, False) if version else (False,):
        try:
            folder = snapshot_download(
                repo_id, repo_type="dataset", revision=revision, local_files_only=local_only
            )
        except LocalEntryNotFoundError as error:
            why: Exception = error
            continue
        except HfHubHTTPError as error:
            why = error
            break
        place = Path(folder)
        if (place / LOCK_NAME).is_file() and is_version(place, version) and _is_whole(place):
            if version is not None:
                _check_files(place, read_lock(place))
            return _load_folder(place, read_lock(place), split, streaming, name)
        why = MissingError(f"found another version, or a part of one, in {place}")
    wanted = "" if version is None else f" of version {version}"
    raise MissingError(f"{repo_id}: found no dataset{wanted}: {' '.join(str(why).split())}")


def _is_whole(folder: Path) -> bool:
    sizes = read_lock(folder).sizes
    paths = {folder / name: size for name, size in sizes.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())
