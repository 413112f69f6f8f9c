"""Files under a folder, in a fixed order, whatever their names are made of."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from occlufer.errors import MissingError, UsageError
from occlufer.record import Reject

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# What systems leave behind when they show or pack a folder; so is any name that begins with a dot.
# Such folders are neither splits nor classes.
SYSTEM_NAMES = ("__macosx", "thumbs.db", "desktop.ini")
SYSTEM_FILE = Reject("system_file", "hidden, or left behind by the system that packed the folder")


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
        return sorted(entry.name for entry in entries if _is_folder(entry))


def walk(root: Path) -> Iterator[Path]:
    """Yield everything under `root` that is not a folder, sorted; links to folders are followed.

    Yielded as they are, for `fault` to judge: links that lead out of `root` or back to where they
    lie, and folders that may not be listed.
    """
    above: tuple[Path, ...] = (root.resolve(),)
    waiting = [(path, above) for path in reversed(_listed(root))]
    while waiting:
        path, above = waiting.pop()
        target = _entered(path, root, above)
        if target is None:
            yield path
            continue
        try:
            inner = _listed(path)
        except OSError:
            yield path
            continue
        waiting += [(child, target) for child in reversed(inner)]


def is_system(name: str) -> bool:
    """Return whether a file or folder is hidden, or called as one that a system leaves behind."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def has_pictures(root: Path) -> bool:
    """Return whether any file under `root` is called as pictures are."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in walk(root))


def _listed(folder: Path) -> list[Path]:
    with os.scandir(folder) as found:
        return [Path(entry.path) for entry in sorted(found, key=lambda entry: entry.name)]


def _entered(path: Path, root: Path, above: tuple[Path, ...]) -> tuple[Path, ...] | None:
    """Return the links' targets under which `path` is walked; None if it is not to be entered."""
    try:
        if not path.is_dir():
            return None
        if not path.is_symlink():
            return above
        target = path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return None
    round_trip = target in above or path.parent.resolve().is_relative_to(target)
    return (*above, target) if inside(path, root) and not round_trip else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def inside(path: Path, root: Path) -> bool:
    """Return whether `path`, all links followed, lies under `root`."""
    return path.resolve().is_relative_to(root.resolve())


def links(root: Path) -> dict[str, str]:
    """Return {name: name of what it leads to} of what is a link within `root`, or under one."""
    top = root.resolve()
    found = {}
    for path in walk(root):
        inner = path.relative_to(root)
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a link to itself
            continue
        if real != top / inner and real.is_relative_to(top):
            found[name_of(inner)] = name_of(real.relative_to(top))
    return found


def stamp_of(path: Path) -> str:
    """Return size and time of change, which differ if the file was changed; "gone" without one."""
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_size}:{status.st_mtime_ns}"


def name_of(path: Path) -> str:
    """Return the path as text; bytes that are no UTF-8 are written as backslash, x, hex.

    A backslash in a name is doubled, so that two names never give one text.
    """
    name = os.fsencode(path.as_posix()).replace(b"\\", b"\\\\")
    return name.decode("utf-8", "backslashreplace")


def fault(path: Path, root: Path) -> Reject | None:
    """Return why `path` may not be read, judged without opening it; None if it may."""
    try:
        if path.is_symlink() and not inside(path, root):
            return Reject("outside_source", f"a link to {path.resolve()}, outside {root}")
        mode = path.stat().st_mode
    except RuntimeError:
        return Reject("unreadable", "found a link that leads to itself, expected a file")
    except OSError as error:
        return Reject("unreadable", f"found no file that can be opened ({error.strerror})")
    if stat.S_ISDIR(mode) and not path.is_symlink():
        return Reject("unreadable", "found a folder that may not be listed")
    if not stat.S_ISREG(mode):
        return Reject("not_a_file", "found a pipe, a device or a link going round, expected a file")
    return None
