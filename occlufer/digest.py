"""Digests of files, by which everything here is told from everything else."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(partial(file.read, 1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
