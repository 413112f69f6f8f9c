"""The log of changes: which images were touched, for stages that follow changes of a few.

Its tables are part of the catalog. Nothing is logged before a stage has left its mark.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

# Triggers, so that no way of changing a row can forget to tell.
CHANGE_LOG = """
CREATE TABLE marks (                -- up to where a stage has followed the changes before it
    stage TEXT PRIMARY KEY,
    watches TEXT NOT NULL,          -- ' gather faces ... ': whose changes are logged for it
    seq INTEGER NOT NULL,           -- the last change that its results know of
    params TEXT NOT NULL,           -- the fingerprint of its settings then
    state TEXT NOT NULL             -- the name of what it keeps of them outside the catalog
) WITHOUT ROWID;
CREATE TABLE changes (              -- which images were touched, while somebody watches
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stage TEXT NOT NULL,
    image TEXT NOT NULL
);
"""
_TOUCHES = (
    ("records", "INSERT", "'gather'", ("NEW",)),
    ("records", "UPDATE", "'gather'", ("OLD", "NEW")),
    ("records", "DELETE", "'gather'", ("OLD",)),
    ("results", "INSERT", "NEW.stage", ("NEW",)),
    ("results", "UPDATE", "NEW.stage", ("NEW",)),
    ("results", "DELETE", "OLD.stage", ("OLD",)),
)
for _table, _event, _stage, _rows in _TOUCHES:
    for _row in _rows:
        CHANGE_LOG += f"""
CREATE TRIGGER {_table}_{_event}_{_row} AFTER {_event} ON {_table} WHEN {_row}.image IS NOT NULL
    AND EXISTS (SELECT 1 FROM marks WHERE instr(watches, ' ' || {_stage} || ' '))
BEGIN INSERT INTO changes (stage, image) VALUES ({_stage}, {_row}.image); END;
"""


@dataclass(frozen=True)
class Mark:
    """Up to where a stage has followed the changes before it."""

    seq: int
    params: str
    state: str


def mark_of(db: sqlite3.Connection, stage: str) -> Mark | None:
    """Return the mark that a stage has left, if any."""
    query = "SELECT seq, params, state FROM marks WHERE stage = ?"
    row = db.execute(query, (stage,)).fetchone()
    return None if row is None else Mark(*row)


def put_mark(db: sqlite3.Connection, stage: str, mark: Mark, watches: Sequence[str]) -> None:
    """Let changes of the stages `watches` be logged from now on; forget what all have seen."""
    row = (stage, f" {' '.join(watches)} ", mark.seq, mark.params, mark.state)
    db.execute("INSERT OR REPLACE INTO marks VALUES (?,?,?,?,?)", row)
    db.execute("DELETE FROM changes WHERE seq <= (SELECT min(seq) FROM marks)")


def last_change(db: sqlite3.Connection) -> int:
    """Return the number of the last change that was logged, 0 if there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return 0 if row is None else int(row[0])


def changed_since(db: sqlite3.Connection, seq: int, stages: Sequence[str]) -> set[str]:
    """Return the images that `stages` have touched after the change number `seq`."""
    places = ",".join("?" * len(stages))
    query = f"SELECT DISTINCT image FROM changes WHERE seq > ? AND stage IN ({places})"
    return {row[0] for row in db.execute(query, (seq, *stages))}
