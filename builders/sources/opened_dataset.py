"""Datasets as Hugging Face's `datasets` opens them, from a folder or the Hub, once in a process."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.record import Reject

from .files import inside, name_of, stamp_of
from .named_files import named_file, no_path
from .saved_dataset import check_lock, check_shards, saved_files, saved_what

COMMIT = re.compile(r"[0-9a-f]{40}")
# Beside the data, these say what `datasets` makes of a folder.
CARDS = ("README.md", ".huggingface.yaml", "dataset_infos.json")
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN, both of huggingface_hub"
# Packages whose errors say that a network or a server has failed.
NETWORK = ("httpx", "httpcore", "requests", "urllib3", "aiohttp", "huggingface_hub")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Place:
    """Where a dataset is: a folder, or a repository of the Hub."""

    path: Path | None
    repository: str = ""
    config: str = ""
    revision: str = ""
    stamp: str = ""
    """Of a folder: which state of its files is meant."""

    def __str__(self) -> str:
        """Return it as messages name it."""
        return self.repository if self.path is None else str(self.path)


@dataclass(frozen=True)
class Opened:
    """A dataset, mapped from its files and not read."""

    splits: Mapping[str, Any]
    """{split, "" if it has no name: a `datasets.Dataset` that gives Arrow tables}; so nothing
    decodes its pictures."""
    stamps: Mapping[str, str]
    """{split: what changes when it does}"""
    place: Place
    """Where it was found; of the Hub with the commit, so that others open the same state."""


def folder_place(path: Path, config: str) -> Place:
    """Return the place of the dataset in a folder, in the state in which its files are now.

    Raises MissingError for a missing piece, UsageError for what is no dataset.
    """
    place = Place(path, config=config)
    return dataclasses.replace(place, stamp=_files_stamp(place))


def opened(place: Place) -> Opened:
    """Return the dataset; raises MissingError or UsageError, saying why it cannot be opened.

    Raises OSError if the folder is in another state by now.
    """
    with _LOCK:  # two threads would prepare one dataset twice
        return _opened(place)


@lru_cache(maxsize=4)
def _opened(place: Place) -> Opened:
    if place.path is None:
        return _from_hub(place)
    if _files_stamp(place) != place.stamp:
        raise OSError(errno.EAGAIN, f"{place.path.name} was changed while it was read")
    found = _guarded(lambda: _load_folder(place), place)
    return Opened(_as_arrow(found), dict.fromkeys(found, place.stamp), place)


def _load_folder(place: Place) -> dict[str, Any]:
    import datasets

    assert place.path is not None
    if not saved_what(place.path):
        return dict(datasets.load_dataset(_absolute(place.path), place.config or None))
    found = datasets.load_from_disk(_absolute(place.path))
    return {str(found.split or ""): found} if isinstance(found, datasets.Dataset) else dict(found)


def _absolute(path: Path) -> str:
    return str(path.absolute())  # "parquet" alone is a reader of `datasets`, no folder


def _from_hub(place: Place) -> Opened:
    import datasets

    if Path(place.repository).exists():  # which `datasets` would take for it
        raise UsageError(
            f"{place.repository}: found a folder of that name here, expected a repository of the "
            f'Hub; for the folder write path = "{place.repository}"'
        )
    found = dict(
        _guarded(
            lambda: datasets.load_dataset(
                place.repository, place.config or None, revision=place.revision or None
            ),
            place,
        )
    )
    # `datasets` keeps what it has prepared in a folder that is called by the commit.
    files = [file["filename"] for split in found.values() for file in split.cache_files]
    commits = {Path(file).parent.name for file in files}
    if COMMIT.fullmatch(place.revision) and commits - {place.revision}:
        # Where the Hub is out of reach, `datasets` takes whatever revision it had last.
        raise MissingError(
            f"{place}: found revision {', '.join(sorted(commits))} in the cache, expected "
            f"{place.revision}, and {_out_of_reach()}"
        )
    if len(commits) == 1 and COMMIT.fullmatch(commit := next(iter(commits))):
        place = dataclasses.replace(place, revision=commit)
    stamps = {split: str(dataset._fingerprint) for split, dataset in found.items()}
    return Opened(_as_arrow(found), stamps, place)


def _as_arrow(found: Mapping[str, Any]) -> dict[str, Any]:
    return {str(split): dataset.with_format("arrow") for split, dataset in found.items()}


# Files ------------------------------------------------------------------------------------------


def picture_file(picture: str, place: Place) -> tuple[Path | None, Reject | None]:
    """Return the file that a dataset names in a picture's place, and why it may not be read, if so.

    It lies in the dataset's folder; of the Hub, where `datasets` keeps what it fetches.
    """
    reject = no_path(picture, "found neither bytes nor a path, expected a picture")
    if reject:
        return None, reject
    roots = _roots(place)
    if not Path(picture).is_absolute() and place.path is not None:
        return named_file(picture, place.path, place.path)
    for root in roots:
        if Path(picture).is_relative_to(root):
            return named_file(Path(picture).relative_to(root).as_posix(), root, root)
    where = f"in {place.path.name}/" if place.path else "where `datasets` keeps its files"
    return None, Reject("outside_source", f"found the path {picture[:80]!r}, expected one {where}")


def _roots(place: Place) -> list[Path]:
    """Return the folders in which a dataset's files may lie."""
    import datasets
    import huggingface_hub

    kept = [huggingface_hub.constants.HF_HUB_CACHE, datasets.config.HF_DATASETS_CACHE]
    caches = [Path(folder) for folder in (*kept, datasets.config.DOWNLOADED_DATASETS_PATH)]
    return caches if place.path is None else [place.path, place.path.resolve()]


def _files_stamp(place: Place) -> str:
    """Return a hash of the sizes and times of a folder's files."""
    path = place.path
    assert path is not None
    if saved_what(path):
        if place.config:
            raise UsageError(
                f'{path}: found config = "{place.config}", but a saved dataset has none'
            )
        files = [file for split in saved_files(path).values() for file in split]
    else:
        check_lock(path, place.config)
        files = _guarded(lambda: _data_files(place), place)
    files += [path / card for card in CARDS if (path / card).is_file()]
    told = "\n".join(f"{name_of(file)} {stamp_of(file)}" for file in files)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _data_files(place: Place) -> list[Path]:
    """Return the files of which `datasets` makes the folder's dataset."""
    import datasets

    assert place.path is not None
    odd = sorted(set("*?[]") & set(_absolute(place.path)))
    if odd:  # which it takes for a pattern
        raise UsageError(f"{place}: `datasets` reads no folder with {' '.join(odd)} in its path")
    builder = datasets.load_dataset_builder(_absolute(place.path), place.config or None)
    listed = builder.config.data_files or {}
    named = [str(file) for split in listed for file in listed[split]]
    files = list(map(Path, named))
    # A card may name any file; in the Hub's cache, files are links into another folder of it.
    roots = [*_roots(place), *_roots(Place(None))]
    for name in named:
        # An address would pass for a path below the working folder.
        if "://" in name or not any(inside(Path(name), root) for root in roots):
            raise UsageError(f"{place}: its card names {name}, expected files in the folder")
    check_shards(files)
    return files


# Errors -----------------------------------------------------------------------------------------


def _guarded(load: Callable[[], Any], place: Place) -> Any:
    try:
        with _silent_off_a_terminal():
            return load()
    except (OccluferError, MemoryError):
        raise
    except Exception as error:  # `datasets` lets through what its many readers raise
        raise _explained(error, place) from None


def _explained(error: Exception, place: Place) -> Exception:
    """Return what to raise for an error of `datasets`: what it means, and what to do about it."""
    import datasets

    causes = list(_causes(error))
    full = [e for e in causes if isinstance(e, OSError) and e.errno in DISK_FULL]
    if full:
        return full[0]
    failed = isinstance(error, datasets.exceptions.DatasetGenerationError)
    text = " ".join(str(causes[-1] if failed else error).split())
    if place.path is None:
        said = _of_the_hub(error, causes, place, text)
        if said:
            return MissingError(f"{place}: {said}")
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{place}: found no dataset in it, or a part of it only: {text[:400]}")
    hint = '; say which with config = "..."' if "onfig" in text and not place.config else ""
    return UsageError(f"{place}: cannot be read by `datasets`: {text[:400]}{hint}")


def _of_the_hub(error: Exception, causes: list[BaseException], place: Place, text: str) -> str:
    """Return what to do about a dataset that the Hub does not give; "" if it is not the Hub."""
    import datasets

    if isinstance(error, datasets.exceptions.DatasetNotFoundError):
        if "gated" in text:
            page = f"huggingface.co/datasets/{place.repository}"
            return f"its owners give access on request: ask at {page}, then {LOG_IN}"
        if "evision" in text:
            return f"found no revision {place.revision!r}"
        return f"found no such dataset on the Hub; if it is a private one, {LOG_IN}"
    if any(isinstance(e, ConnectionError | TimeoutError) or _is_network(e) for e in causes):
        return f"{_out_of_reach()} ({text[:200]}), and it was not loaded before"
    return ""


def _out_of_reach() -> str:
    import datasets

    offline = "HF_HUB_OFFLINE is set, so the Hub is not asked"
    return offline if datasets.config.HF_HUB_OFFLINE else "the Hub cannot be reached"


def _is_network(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in NETWORK


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


@contextmanager
def _silent_off_a_terminal() -> Iterator[None]:
    import datasets

    if sys.stderr.isatty() or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
