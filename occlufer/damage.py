"""Damage of an SQLite file of ours: how it shows, and what the user is told."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from occlufer.errors import OccluferError, one_line

# What SQLite gives out as text, and is none.
NO_TEXT = "Could not decode to UTF-8"


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged; a full disk or a lock says nothing of the file."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(NO_TEXT)
    # Not their kin, which tell of a mistake of ours.
    return type(error) in (sqlite3.DatabaseError, sqlite3.InternalError)


def damaged(path: Path, error: BaseException) -> OccluferError:
    """Return the error that says what is wrong with the catalog at `path`, and the way out."""
    return OccluferError(
        f"{path}: the catalog cannot be read ({one_line(error)}); move it away and build again, "
        "the images beside it are kept and only facts are computed anew"
    )


def read_json(text: str) -> Any:
    """Return what a cell of ours says; raises sqlite3.DatabaseError if it is not what we wrote."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise sqlite3.DatabaseError(f"found {text[:40]!r} in a cell, expected JSON") from error


def left_open(path: Path) -> bool:
    """Return whether whoever last had the file open has not closed it: a kill, a power cut.

    SQLite deletes its log of writes when it closes the file.
    """
    log = path.with_name(f"{path.name}-wal")
    return log.is_file() and log.stat().st_size > 0


def check_whole(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if pages, rows and indexes of the file do not fit together.

    Reads all of it: half a minute for a million images.
    """
    (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
