"""The catalog's tables, and how the file of an older version is brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from occlufer.change_log import BLOCKING_LOG, CHANGE_LOG
from occlufer.errors import UsageError
from occlufer.vote_log import VOTE_LOG

SCHEMA_VERSION = 6

TABLES = """
CREATE TABLE records (              -- one row per thing a source lists: a file, a row of a CSV
    id TEXT PRIMARY KEY,            -- source/source_id
    source TEXT NOT NULL,
    rank INTEGER NOT NULL,          -- the source's position in the config
    stamp TEXT NOT NULL,            -- changes when the thing itself changes
    image TEXT,                     -- see record.image_key, NULL if rejected
    reason TEXT,                    -- why it was rejected
    detail TEXT,
    facts TEXT NOT NULL             -- JSON: label votes, source split, licence, ...
) WITHOUT ROWID;
CREATE INDEX records_by_source ON records (source);
CREATE INDEX records_by_image ON records (image);
CREATE TABLE results (              -- what a stage found out about an image
    stage TEXT NOT NULL,
    image TEXT NOT NULL,
    reason TEXT,                    -- why the stage rejected it, NULL if it did not
    detail TEXT,
    value TEXT NOT NULL,            -- JSON
    PRIMARY KEY (stage, image)
) WITHOUT ROWID;
CREATE TABLE fingerprints (         -- the parameters under which a stage's results were made
    stage TEXT NOT NULL,
    scope TEXT NOT NULL,            -- a source's name for gather, else ''
    value TEXT NOT NULL,
    PRIMARY KEY (stage, scope)
) WITHOUT ROWID;
CREATE TABLE revisions (            -- counts a stage's changes, so that later stages notice them
    stage TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""

# Of a million samples few are near a test picture: the gate asks for them on every run.
HAS_HITS = """stage = 'leaks' AND value <> '{"hits":[]}'"""
HITS_INDEX = f"CREATE INDEX results_with_hits ON results (image) WHERE {HAS_HITS};"
# Every run asks who was rejected, of a table that is gigabytes.
REJECTS_INDEX = "CREATE INDEX results_rejected ON results (image) WHERE reason IS NOT NULL;"
# Few records are of a test set, and every change asks which of them cannot be compared with.
OF_TEST_SET = """instr(facts, '"test_set":') > 0"""
TEST_SETS_INDEX = f"CREATE INDEX records_of_test_sets ON records (id) WHERE {OF_TEST_SET};"
# What an older catalog lacks, else it is the same: {its version: tables}.
LATER_TABLES = {5: TEST_SETS_INDEX}
LATER_TABLES[4] = REJECTS_INDEX + LATER_TABLES[5]
LATER_TABLES[3] = BLOCKING_LOG + HITS_INDEX + LATER_TABLES[4]
LATER_TABLES[2] = VOTE_LOG + LATER_TABLES[3]
LATER_TABLES[1] = CHANGE_LOG + LATER_TABLES[2]
LATER_TABLES[0] = TABLES + LATER_TABLES[1]


def make_tables(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables that the file at `path` lacks.

    Raises UsageError if it is of a version that is not known, sqlite3.DatabaseError if it is the
    file of something else.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and db.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise sqlite3.DatabaseError("found the tables of something else")
    if version in LATER_TABLES:
        db.executescript(
            f"BEGIN; {LATER_TABLES[version]} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        )
    elif version != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: made by another version of occlufer "
            f"(found schema {version}, expected {SCHEMA_VERSION}); use a new workspace"
        )
