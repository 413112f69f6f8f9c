"""Takedown in a published folder: its tombstones, and that none of its rows is named by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from occlufer.errors import UsageError
from occlufer.lock import LOCK_NAME, Lock

from ..takedown_check import Named
from ..tombstones import TAKEDOWN_NAME, Tombstones, read_tombstones
from .fault import Fault, shown


def folder_tombstones(folder: Path, lock: Lock) -> tuple[Tombstones, list[Fault]]:
    """Return the tombstones of a published folder, and what is wrong with them."""
    if TAKEDOWN_NAME not in lock.files and "takedown" not in lock.config:
        return Tombstones(), []
    try:
        tombstones = read_tombstones(folder / TAKEDOWN_NAME)
    except UsageError as error:
        found = shown(str(error).removeprefix(f"{folder / TAKEDOWN_NAME}"))
        return Tombstones(), [Fault(TAKEDOWN_NAME, "tombstones", found, "hashes, a line each")]
    return tombstones, list(_faults(tombstones, lock))


def _faults(tombstones: Tombstones, lock: Lock) -> Iterator[Fault]:
    told = lock.config.get("takedown")
    sha256 = told.get("sha256") if isinstance(told, dict) else None
    if sha256 != tombstones.digest():
        expected = f"the tombstones of {TAKEDOWN_NAME}, {tombstones.digest()}"
        yield Fault(f"{LOCK_NAME}, config", "takedown", shown(sha256), expected)
    if any(stone.added or stone.reason for stone in tombstones.stones):
        yield Fault(TAKEDOWN_NAME, "tombstones", "a day or a reason", "hashes alone")


def takedown_faults(named: Named) -> Iterator[Fault]:
    """Yield every row that a tombstone names, once all rows have passed."""
    for where, hit in named.found():
        expected = "nothing that was taken down"
        yield Fault(where, "takedown", f"it named by a tombstone ({hit.how})", expected)
