"""Files that nobody else may read, from the moment they are there."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import BinaryIO

MODE = 0o600


def open_private(path: Path) -> int:
    """Return the descriptor of a new, empty file at `path`; an old one there is gone."""
    path.unlink(missing_ok=True)
    # O_EXCL: never through a link or into a file that another made meanwhile.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, MODE)


def write_private(path: Path, text: str) -> None:
    """Put a file with `text` at `path`, in one step."""
    _put(path, io.BytesIO(text.encode()))


def copy_private(source: Path, path: Path) -> None:
    """Put a copy of the file `source` at `path`, in one step."""
    with source.open("rb") as file:
        _put(path, file)


def _put(path: Path, content: BinaryIO) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(open_private(beside), "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def private_folder(path: Path) -> Path:
    """Return the folder `path`, made if it is missing, closed to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
