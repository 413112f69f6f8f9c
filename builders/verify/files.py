"""Files of a published folder: is everything there that the lock names, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from occlufer.digest import file_sha256
from occlufer.lock import LOCK_NAME, Lock

from ..published.fault import Fault, shown
from ..published.lock_file import is_within
from ..published.paths import text_faults
from ..publishing.documents import CARD_NAME, DOCUMENTS

# What the Hub and its clients put beside a dataset that was uploaded or fetched.
OF_THE_HUB = (".gitattributes", ".git", ".cache")
TEXTS = (".md", ".txt", ".cff", ".json", ".csv", ".bib")


def file_faults(folder: Path, lock: Lock) -> Iterator[Fault]:
    """Yield what is wrong with the files that the lock names, and what it does not name."""
    for name in sorted(lock.files.keys() | lock.sizes.keys()):
        yield from _file_faults(folder, name, lock)
    known = {*lock.files, LOCK_NAME, *DOCUMENTS}
    for name in sorted(files_in(folder)):
        if name not in known:
            yield Fault(shown(name), "extra file", "a file", f"only what {LOCK_NAME} names")
    if not (folder / CARD_NAME).is_file():
        yield Fault(CARD_NAME, "card", "no such file", "the card of the dataset")


def _file_faults(folder: Path, name: str, lock: Lock) -> Iterator[Fault]:
    if not is_within(name):
        yield Fault(
            LOCK_NAME, "file name", shown(name), "a name that a disk can have, within the folder"
        )
        return
    if name not in lock.files or name not in lock.sizes:
        yield Fault(LOCK_NAME, "file", f"{shown(name)} in one of files and sizes", "it in both")
        return
    try:
        size = (folder / name).stat().st_size
        sha256 = file_sha256(folder / name)
    except OSError as error:
        yield Fault(name, "missing file", str(error.strerror).lower(), f"{lock.sizes[name]} bytes")
        return
    if size != lock.sizes[name]:
        yield Fault(name, "size", f"{size} bytes", f"{lock.sizes[name]} bytes")
    if sha256 != lock.files[name]:
        yield Fault(name, "sha256", sha256, shown(lock.files[name]))


def text_file_faults(folder: Path, lock: Lock) -> Iterator[Fault]:
    """Yield the local paths in the files of text that the lock names, and in the documents."""
    for name in sorted({*DOCUMENTS, *lock.files}):
        if name.endswith(TEXTS) and is_within(name) and (folder / name).is_file():
            with (folder / name).open(encoding="utf-8", errors="replace") as file:
                yield from text_faults(name, file)


def files_in(folder: Path) -> Iterator[str]:
    """Yield every file of a folder by its name in it; what is the Hub's own is left out."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if here == folder:
            folders[:] = [name for name in folders if name not in OF_THE_HUB]
            names = [name for name in names if name not in OF_THE_HUB]
        yield from ((here / name).relative_to(folder).as_posix() for name in names)
