"""The log of changes: which images were touched, for stages that follow changes of a few.

Its tables are part of the catalog. Nothing is logged before a stage has left its mark.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
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

# A record without an image touches one all the same if its evidence says of which bytes it is:
# these may be blocked, whoever holds them. The index finds such records.
BYTES = "json_extract(facts, '$.evidence.sha256')"
BLOCKING_LOG = f"""
CREATE INDEX records_without_image ON records ({BYTES})
    WHERE image IS NULL AND {BYTES} IS NOT NULL;
"""
for _table, _event, _stage, _rows in _TOUCHES[:3]:
    for _row in _rows:
        _bytes = BYTES.replace("facts", f"{_row}.facts")
        BLOCKING_LOG += f"""
CREATE TRIGGER {_table}_{_event}_{_row}_without_image AFTER {_event} ON {_table}
    WHEN {_row}.image IS NULL AND {_bytes} IS NOT NULL
    AND EXISTS (SELECT 1 FROM marks WHERE instr(watches, ' ' || {_stage} || ' '))
BEGIN INSERT INTO changes (stage, image) VALUES ({_stage}, {_bytes}); END;
"""

# Some 10 MB: a log of so many rows is kept however few records there are.
FEW_ROWS = 100_000


@dataclass(frozen=True)
class Mark:
    """Up to where a stage has followed the changes before it."""

    seq: int
    params: str
    state: str
    watches: tuple[str, ...]
    """Whose changes are logged for it."""


def mark_of(db: sqlite3.Connection, stage: str) -> Mark | None:
    """Return the mark that a stage has left, if any."""
    query = "SELECT seq, params, state, watches FROM marks WHERE stage = ?"
    row = db.execute(query, (stage,)).fetchone()
    if row is None:
        return None
    seq, params, state, watches = row
    return Mark(seq, params, state, tuple(watches.split()))


def put_mark(db: sqlite3.Connection, stage: str, mark: Mark) -> None:
    """Let changes of what the mark watches be logged from now on; forget what all have seen."""
    row = (stage, f" {' '.join(mark.watches)} ", mark.seq, mark.params, mark.state)
    db.execute("INSERT OR REPLACE INTO marks VALUES (?,?,?,?,?)", row)
    _forget_seen(db)


def drop_marks(db: sqlite3.Connection, stages: Iterable[str] | None = None) -> None:
    """Let these stages, or all, begin anew."""
    if stages is None:
        db.execute("DELETE FROM marks")
    else:
        db.executemany("DELETE FROM marks WHERE stage = ?", ((stage,) for stage in stages))
    _forget_seen(db)


def _forget_seen(db: sqlite3.Connection) -> None:
    query = "DELETE FROM changes WHERE seq <= coalesce((SELECT min(seq) FROM marks), ?)"
    db.execute(query, (last_change(db),))


def last_change(db: sqlite3.Connection) -> int:
    """Return the number of the last change that was logged, 0 if there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return 0 if row is None else int(row[0])


def changed_since(db: sqlite3.Connection, seq: int, stages: Sequence[str]) -> set[str]:
    """Return the images that `stages` have touched after the change number `seq`."""
    places = ",".join("?" * len(stages))
    query = f"SELECT DISTINCT image FROM changes WHERE seq > ? AND stage IN ({places})"
    return {row[0] for row in db.execute(query, (seq, *stages))}


# A stage that is run no more, or never gets its turn, would let the log grow without end.


def is_long(db: sqlite3.Connection) -> bool:
    """Return whether the log may hold more changes than there are records, and than a few."""
    first = db.execute("SELECT min(seq) FROM changes").fetchone()[0]
    return first is not None and last_change(db) - first >= _most(db, last_change(db) - first)


def shorten(db: sqlite3.Connection) -> list[str]:
    """Drop the marks of stages that would not gain by following, and return their names.

    With more changes before it than there are records, a stage begins anew as fast. A mark that
    none of them concerns is moved instead.
    """
    last = last_change(db)
    dropped = []
    for (stage,) in db.execute("SELECT stage FROM marks").fetchall():
        mark = mark_of(db, stage)
        assert mark is not None
        if last - mark.seq < _most(db, last - mark.seq):
            continue
        if _concerns(db, mark):
            dropped.append(stage)
        else:
            db.execute("UPDATE marks SET seq = ? WHERE stage = ?", (last, stage))
    drop_marks(db, dropped)
    return dropped


def _most(db: sqlite3.Connection, wanted: int) -> int:
    """Return from how many changes on a log is long; records are counted only where it matters."""
    if wanted < FEW_ROWS:
        return FEW_ROWS
    return max(FEW_ROWS, int(db.execute("SELECT count(*) FROM records").fetchone()[0]))


def _concerns(db: sqlite3.Connection, mark: Mark) -> bool:
    places = ",".join("?" * len(mark.watches))
    query = f"SELECT EXISTS (SELECT 1 FROM changes WHERE seq > ? AND stage IN ({places}))"
    return bool(db.execute(query, (mark.seq, *mark.watches)).fetchone()[0])
