"""Replacing: a file is there whole, as it was or as it is to be, whenever a process is killed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield where to write; it takes the place of `path` once the block has ended well."""
    # The whole name: of a.csv and a.json the parts are two.
    part = path.with_name(f".{path.name}.part")
    yield part
    part.replace(path)
