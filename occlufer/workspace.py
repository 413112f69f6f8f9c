"""The workspace: a folder with the catalog and the images, for one build at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from occlufer.catalog import Catalog
from occlufer.damage import damaged, is_damage
from occlufer.engine import Engine, LocalEngine
from occlufer.errors import KEPT, MissingError, OccluferError, UsageError, naming
from occlufer.images import DamagedImageError, Images, ImageStore

try:
    import fcntl
except ImportError:  # Windows; two builds at once are then the user's affair
    fcntl = None  # type: ignore[assignment]


CATALOG_NAME = "catalog.sqlite"
# The file that says at which address the images are, where they are not in the folder.
IMAGES_AT = "images_at"
BUSY = "another build (process {}) works in this workspace; wait for it or give another --workspace"


@dataclass(frozen=True)
class Workspace:
    """An open workspace."""

    folder: Path
    catalog: Catalog
    images: Images
    engine: Engine = field(default_factory=LocalEngine)
    """Who works at it."""


@contextlib.contextmanager
def open_workspace(
    folder: Path, engine: Engine | None = None, images: str = ""
) -> Iterator[Workspace]:
    """Open the workspace in `folder`, making it if it is missing; held until the block ends.

    `engine` does its work, threads of this process if there is none. `images` is the address of its
    images, "" where it is known or they lie in the folder; once there are some they stay there.
    Raises UsageError if another process holds it, and OccluferError if the catalog is damaged,
    whenever that shows, or cannot be written. An image that shows to be damaged is forgotten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CATALOG_NAME
    with held(folder / "lock", BUSY), _told_of(path):
        store = _images(folder, images)
        store.sweep()
        catalog = Catalog(path)
        try:
            yield Workspace(folder, catalog, store, engine or LocalEngine())
        except DamagedImageError as error:
            catalog.forget_image(error.sha256)  # or the next build would find nothing to do
            raise
        finally:
            catalog.close()


def _images(folder: Path, url: str) -> Images:
    """Return where the images of the workspace in `folder` are, or shall be."""
    # Absolute, for other processes have another current folder.
    note, here, url = folder / IMAGES_AT, folder.absolute() / "images", url.rstrip("/")
    known = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    if url and url != known and (known or here.exists()):
        raise UsageError(
            f"image_store = {url!r}: found the images of this workspace at {known or here}, "
            "expected them there; give another --workspace"
        )
    if not (url or known):
        return ImageStore(here)
    from occlufer.remote_images import RemoteImages

    store = RemoteImages(url or known)
    if not known:
        store.put(b"")  # or an address that is mistyped would be kept
        note.write_text(f"{url}\n", encoding="utf-8")
    return store


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Let damage that shows in the block name the catalog, and a full disk the workspace."""
    try:
        with naming(path.parent):
            yield
    except sqlite3.Error as error:
        if is_damage(error):
            raise damaged(path, error) from None
        raise OccluferError(f"{path.parent}: {error}; {KEPT}") from error


@contextlib.contextmanager
def open_built(folder: Path) -> Iterator[Workspace]:
    """Open the workspace of a build, as open_workspace does; where there is none, none is made.

    Raises MissingError if no build has been here.
    """
    if not (folder / CATALOG_NAME).is_file():
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
