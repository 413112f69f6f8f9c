"""The lock of a published folder: read from its file, and which names of it a folder can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from occlufer.lock import LOCK_NAME, Lock

from .fault import Fault, first_line
from .paths import path_faults

# Names of more bytes, in a part or as a whole, are more than some disk takes.
NAME_BYTES, PATH_BYTES = 255, 1024


def read_lock(folder: Path) -> tuple[Lock | None, list[Fault]]:
    """Return the lock, None if it cannot be read, and what is wrong with it."""
    try:
        lock = Lock.from_text((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, [Fault(LOCK_NAME, "lock", "no such file", "the lock of the dataset")]
    except (OSError, ValueError) as error:
        return None, [Fault(LOCK_NAME, "lock", first_line(error), "what `occlufer build` writes")]
    return lock, list(_paths_in(lock))


def _paths_in(lock: Lock) -> Iterator[Fault]:
    """Yield the local paths in the lock; whom to name, and for what terms, others have written."""
    for name, value in vars(lock).items():
        if name != "sources":
            yield from path_faults(f"{LOCK_NAME}, {name}", value)
    for source, terms in lock.sources.items():
        yield from path_faults(f"{LOCK_NAME}, sources", source)
        yield from path_faults(f"{LOCK_NAME}, sources, {source}", terms, free_text=True)


def is_within(name: str) -> bool:
    """Return whether a name that a lock gives is one a disk can have, and leads nowhere outside."""
    path = PurePosixPath(name)
    try:
        sizes = [len(part.encode()) for part in (name, *path.parts)]
    except UnicodeEncodeError:
        return False
    if sizes[0] > PATH_BYTES or max(sizes[1:], default=0) > NAME_BYTES:
        return False
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name)
