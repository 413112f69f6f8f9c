"""The workspace: a folder with the catalog and the images, for one build at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from occlufer.catalog import Catalog
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore

try:
    import fcntl
except ImportError:  # Windows; two builds at once are then the user's affair
    fcntl = None  # type: ignore[assignment]


BUSY = "another build (process {}) works in this workspace; wait for it or give another --workspace"


@dataclass(frozen=True)
class Workspace:
    """An open workspace."""

    folder: Path
    catalog: Catalog
    images: ImageStore


@contextlib.contextmanager
def open_workspace(folder: Path) -> Iterator[Workspace]:
    """Open the workspace in `folder`, making it if it is missing; held until the block ends.

    Raises UsageError if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "lock", BUSY):
        images = ImageStore(folder / "images")
        images.sweep()
        catalog = Catalog(folder / "catalog.sqlite")
        try:
            yield Workspace(folder, catalog, images)
        finally:
            catalog.close()


@contextlib.contextmanager
def open_built(folder: Path) -> Iterator[Workspace]:
    """Open the workspace of a build, as open_workspace does; where there is none, none is made.

    Raises MissingError if no build has been here.
    """
    if not (folder / "catalog.sqlite").is_file():
        raise MissingError(
            f"{folder}: found no catalog, expected the workspace of a build; run `occlufer build`"
        )
    with open_workspace(folder) as workspace:
        yield workspace


@contextlib.contextmanager
def held(path: Path, busy: str) -> Iterator[None]:
    """Hold a lock on the file `path`; the kernel lets it go however the process ends.

    Raises UsageError with the message `busy`, in which {} is the process, if another holds it.
    """
    with path.open("a+", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise UsageError(f"{path.parent}: {busy.format(holder)}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
