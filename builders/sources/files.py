"""Files under a folder, in a fixed order, whatever their names are made of."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from occlufer.errors import MissingError, UsageError
from occlufer.record import Reject


def source_folder(path: Path, how_to_get: str) -> Path:
    """Return `path`; raises MissingError if nothing is there and UsageError if it is no folder."""
    if not path.exists():
        raise MissingError(f"{path}: no such folder; {how_to_get}")
    if not path.is_dir():
        raise UsageError(f"{path}: found a file, expected a folder")
    return path


def folders(root: Path) -> list[str]:
    """Return the names of the folders in `root`, sorted."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def walk(root: Path) -> Iterator[Path]:
    """Yield everything under `root` that is not a folder, sorted; links to folders are followed.

    A folder that is a link is entered once: what lies under itself would never end.
    """
    yield from _walk(root, (root.resolve(),))


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        if not entry.is_dir():
            yield path
        elif not entry.is_symlink():
            yield from _walk(path, above)
        elif inside(path, above[0]) and path.resolve() not in above:
            yield from _walk(path, (*above, path.resolve()))
        else:
            yield path


def inside(path: Path, root: Path) -> bool:
    """Return whether `path`, all links followed, lies under `root`."""
    return path.resolve().is_relative_to(root.resolve())


def stamp_of(path: Path) -> str:
    """Return size and time of change, which differ if the file was changed; "gone" without one."""
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_size}:{status.st_mtime_ns}"


def name_of(path: Path) -> str:
    """Return the path as text; bytes that are no UTF-8 are written as backslash, x, hex."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def fault(path: Path, root: Path) -> Reject | None:
    """Return why `path` may not be read, judged without opening it; None if it may."""
    if path.is_symlink() and not inside(path, root):
        return Reject("outside_source", f"a link to {path.resolve()}, outside {root}")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Reject("unreadable", str(error.strerror))
    if not stat.S_ISREG(mode):
        return Reject("not_a_file", "found a pipe, socket, device or looping link, expected a file")
    return None
