"""Files that a table names: where they lie, or why they may not be read."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from occlufer.errors import UsageError
from occlufer.record import Reject

from ..pixels import BadImageError
from .entry import Reading, read_file
from .files import fault, inside, name_of

# How rows.lines writes a byte that is no UTF-8.
_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def named_file(name: str, folder: Path, root: Path) -> tuple[Path | None, Reject | None]:
    """Return the file that a table calls `name`, in `folder`, and why it may not be read, if so.

    `folder` lies under `root`, the source's folder. There is no path for what names no place under
    `folder`; a link that leads out of `root` is "outside_source" too. Nothing is opened.
    """
    steps = PurePosixPath(name)
    if "\0" in name or not steps.parts:
        return None, Reject("malformed_row", f"found the name {name[:80]!r}, expected a file's")
    if steps.is_absolute() or ".." in steps.parts:
        return None, Reject(
            "outside_source", f"found the name {name[:80]!r}, expected one under {folder.name}/"
        )
    path = folder / name
    if "\\x" in name and not os.path.lexists(path):
        path = folder / os.fsdecode(_ESCAPED.sub(_byte, name.encode()))
    if not os.path.lexists(path):
        return path, Reject("missing_file", f"expected it at {name_of(path.relative_to(root))}")
    if _leads_out(path.parent, root):
        return path, Reject("outside_source", f"lies in {name_of(path.parent.resolve())}")
    if path.is_dir():
        return path, Reject("not_a_file", "found a folder, expected a file")
    return path, fault(path, root)


def no_path(picture: str, nothing: str) -> Reject | None:
    """Return why the path in a picture's place names no file here; `nothing` is said of none."""
    if not picture:
        return Reject("missing_file", nothing)
    if "://" in picture:
        detail = f'found the address {picture[:80]!r}, expected a path; kind = "web" fetches those'
        return Reject("missing_file", detail)
    return None


def read_named(path: Path | None, reject: Reject | None) -> Reading:
    """Return the bytes of a file that was named; raises BadImageError if it may not be read."""
    if path is None or reject is not None:
        assert reject is not None
        raise BadImageError(reject.reason, reject.detail)
    return read_file(path)


def own_folder(folder: Path, root: Path) -> Path:
    """Return `folder`; raises UsageError if it lies outside of `root`, the source's folder."""
    if _leads_out(folder, root):
        raise UsageError(
            f"{folder}: found a link to {folder.resolve()}, expected a folder within {root}: "
            "put the set's pieces together, or give the path where they lie together"
        )
    return folder


def _leads_out(folder: Path, root: Path) -> bool:
    # Links are rare, and asking where a folder really lies is slow.
    steps = [folder, *folder.parents][: len(folder.relative_to(root).parts)]
    return any(map(os.path.islink, steps)) and not inside(folder, root)


def _byte(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escaped[1].decode())
