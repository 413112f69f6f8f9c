"""The ledger: which photographs are wanted, fetched, skipped or failed, and the evidence of each.

One SQLite file in the source's folder. Every photograph is one committed row, so a kill at any
moment loses what was under way and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from occlufer.errors import MissingError, OccluferError, UsageError

from ..tombstones import TAKEN_DOWN
from .photograph import Photograph

LEDGER_NAME = "photographs.sqlite"
VERSION = 1
TABLES = """
CREATE TABLE searches (             -- what services were asked for
    search TEXT PRIMARY KEY,        -- service, words and limits
    found INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE photographs (
    number INTEGER PRIMARY KEY,     -- the order in which they were found
    url TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    sha1 TEXT NOT NULL,             -- of the file, where the service says it
    said TEXT NOT NULL,             -- JSON: what the service said
    state TEXT NOT NULL,            -- one of STATES
    reason TEXT NOT NULL,           -- why it was skipped or failed
    detail TEXT NOT NULL,
    sha256 TEXT NOT NULL,           -- of the bytes as kept
    evidence TEXT NOT NULL          -- JSON: time, headers, robots.txt, ...
);
CREATE INDEX photographs_by_state ON photographs (state, host, number);
CREATE INDEX photographs_by_sha1 ON photographs (sha1);
CREATE TABLE faults (               -- lines of a list that are no photograph
    place TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
) WITHOUT ROWID;
"""
STATES = ("planned", "fetched", "skipped", "failed")
# Reasons for which a photograph is skipped that another config, or another list, may lift.
NOT_LISTED = "not_listed"
LICENCE, UNKNOWN_LICENCE = "licence", "unknown_licence"
RECONSIDERED = (LICENCE, UNKNOWN_LICENCE, TAKEN_DOWN)


@dataclass(frozen=True)
class Outcome:
    """What became of a photograph."""

    state: str
    """One of STATES; skipped is for good, failed may be tried again."""
    reason: str = ""
    detail: str = ""
    sha256: str = ""
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Fault:
    """A line of a list that is no photograph."""

    place: str
    reason: str
    detail: str


class Ledger:
    """An open ledger; threads may share it. Every method that writes is one transaction."""

    def __init__(self, folder: Path, to_read: bool = False) -> None:
        """Open the ledger in `folder`, making both if they are missing.

        One `to_read` is left as it is; raises MissingError if nothing is in it yet.
        """
        self.path = folder / LEDGER_NAME
        self._lock = threading.Lock()
        if not to_read:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(
                _uri_to_read(self.path) if to_read else self.path,
                uri=to_read,
                isolation_level=None,
                timeout=30,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self.unusable(error) from None
        try:
            self._begin(to_read)
        except sqlite3.Error as error:
            self._db.close()
            raise self.unusable(error) from None
        except BaseException:
            self._db.close()
            raise

    def _begin(self, to_read: bool) -> None:
        """Make the tables where there are none; raises for those of another version."""
        if not to_read:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and to_read:
            raise MissingError(
                f"{self.path}: found nothing in it, expected photographs; run `occlufer fetch`"
            )
        if version == 0:
            self._db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT")
        elif version != VERSION:
            raise UsageError(
                f"{self.path}: made by another version of occlufer "
                f"(found {version}, expected {VERSION}); use a new folder"
            )

    def close(self) -> None:
        """Close the file, once no thread is at it."""
        with self._lock:
            self._db.close()

    def unusable(self, error: sqlite3.Error) -> OccluferError:
        """Return the error that names the file, for one of SQLite's, and says what to do."""
        # A full disk, a lock: the file itself may be whole.
        passing = isinstance(error, sqlite3.OperationalError)
        what, then = "be used" if passing else "be read", "move it away and fetch again"
        if passing:
            then = "mend this and run the same command to go on"
        return OccluferError(
            f"{self.path}: the ledger of photographs cannot {what} ({error}); {then}"
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the open file; all that the block writes counts, or after an error nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled it back already
                    self._db.execute("ROLLBACK")
                raise

    # Searches ------------------------------------------------------------------------------------

    def is_searched(self, search: str) -> bool:
        """Return whether everything that the search found is in the ledger."""
        with self._lock:
            query = "SELECT 1 FROM searches WHERE search = ?"
            return self._db.execute(query, (search,)).fetchone() is not None

    def end_search(self, search: str, found: int) -> None:
        """Note that a search has been listed to its end."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO searches VALUES (?, ?)", (search, found))

    def plan(self, photographs: Iterable[tuple[Photograph, str]]) -> int:
        """Add (photograph, its host) where the address is new; return how many were."""
        rows = [(p.url, host, p.sha1, _dump(p.to_json())) for p, host in photographs]
        query = (
            "INSERT INTO photographs"
            " (url, host, sha1, said, state, reason, detail, sha256, evidence)"
            " VALUES (?, ?, ?, ?, 'planned', '', '', '', '{}') ON CONFLICT (url) DO NOTHING"
        )
        with self._transaction() as db:
            before = db.total_changes
            db.executemany(query, rows)
            return db.total_changes - before

    def plan_list(self, photographs: Iterable[tuple[Photograph, str]]) -> int:
        """As `plan`, for a list: of an address that is known, what the list says now counts."""
        listed = list(photographs)
        rows = [(_dump(p.to_json()), p.sha1, p.url) for p, _ in listed]
        query = "UPDATE photographs SET said = ?, sha1 = ? WHERE url = ?"
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO listed VALUES (?)", [row[2:] for row in rows])
            db.executemany(query, rows)
        return self.plan(listed)

    def begin_list(self) -> None:
        """Forget the faults of a list, and make ready to note what is in it."""
        with self._lock:
            self._db.execute("DELETE FROM faults")
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS listed (url TEXT PRIMARY KEY)")
            self._db.execute("DELETE FROM listed")

    def end_list(self) -> None:
        """Skip what was in the list before and is no more; what has come back is as it was."""
        with self._transaction() as db:
            db.execute(
                "UPDATE photographs SET state = 'skipped', reason = ?, detail = ?"
                " WHERE json_extract(said, '$.service') = 'urls'"
                " AND url NOT IN (SELECT url FROM listed)",
                (NOT_LISTED, "the list does not hold it any more, or not with a known licence"),
            )
            db.execute(
                "UPDATE photographs SET reason = '', detail = '',"
                " state = CASE sha256 WHEN '' THEN 'planned' ELSE 'fetched' END"
                " WHERE reason = ? AND url IN (SELECT url FROM listed)",
                (NOT_LISTED,),
            )

    def put_faults(self, faults: Iterable[Fault]) -> None:
        """Note lines that are no photograph."""
        rows = [(fault.place, fault.reason, fault.detail) for fault in faults]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", rows)

    def faults(self) -> list[Fault]:
        """Return the lines that are no photograph."""
        with self._lock:
            return [Fault(*row) for row in self._db.execute("SELECT * FROM faults ORDER BY place")]

    # Photographs ---------------------------------------------------------------------------------

    def planned(self) -> dict[str, list[str]]:
        """Return {host: addresses} of what is yet to be fetched, in the order of finding."""
        waiting: dict[str, list[str]] = {}
        query = "SELECT host, url FROM photographs WHERE state = 'planned' ORDER BY host, number"
        with self._lock:
            for host, url in self._db.execute(query):
                waiting.setdefault(host, []).append(url)
        return waiting

    def photograph(self, url: str) -> Photograph:
        """Return what the service said of the photograph at `url`."""
        with self._lock:
            query = "SELECT said FROM photographs WHERE url = ?"
            return Photograph.from_json(json.loads(self._db.execute(query, (url,)).fetchone()[0]))

    def put(self, url: str, outcome: Outcome) -> None:
        """Note what became of a photograph."""
        row = (outcome.state, outcome.reason, outcome.detail, outcome.sha256)
        query = (
            "UPDATE photographs SET state = ?, reason = ?, detail = ?, sha256 = ?, evidence = ?"
            " WHERE url = ?"
        )
        with self._lock:
            self._db.execute(query, (*row, _dump(outcome.evidence), url))

    def reconsider(self) -> None:
        """Plan once more what was not asked for by reason of its licence, or of a tombstone.

        Other licences may be wanted by now, and a tombstone may have been taken out.
        """
        query = "UPDATE photographs SET state = 'planned' WHERE state = 'skipped' AND reason = ?"
        with self._transaction() as db:
            db.executemany(query, [(reason,) for reason in RECONSIDERED])

    def retry_lost(self, is_there: Callable[[str], bool]) -> int:
        """Plan once more what was fetched and whose file, by its sha256, is gone."""
        with self._transaction() as db:
            query = "SELECT sha256, number FROM photographs WHERE state = 'fetched'"
            lost = [row[1:] for row in db.execute(query) if not is_there(row[0])]
            query = "UPDATE photographs SET state = 'planned', sha256 = '' WHERE number = ?"
            db.executemany(query, lost)
            return len(lost)

    def retry_failed(self) -> int:
        """Plan what failed once more; return how many."""
        query = "UPDATE photographs SET state = 'planned' WHERE state = 'failed'"
        with self._lock:
            return self._db.execute(query).rowcount

    def photographs(self) -> Iterator[tuple[Photograph, Outcome]]:
        """Yield every photograph with what became of it, in the order of finding."""
        query = (
            "SELECT said, state, reason, detail, sha256, evidence FROM photographs ORDER BY number"
        )
        with self._lock:
            cursor = self._db.execute(query)
        for said, state, reason, detail, sha256, evidence in cursor:
            outcome = Outcome(state, reason, detail, sha256, json.loads(evidence))
            yield Photograph.from_json(json.loads(said)), outcome

    def counts(self) -> dict[str, Counter[str]]:
        """Return {state: {reason, or "" where there is none: photographs}}."""
        counts: dict[str, Counter[str]] = {state: Counter() for state in STATES}
        query = "SELECT state, reason, COUNT(*) FROM photographs GROUP BY state, reason"
        with self._lock:
            for state, reason, count in self._db.execute(query):
                counts[state][reason if state in ("skipped", "failed") else ""] += count
        return counts

    def has_fetched(self, sha1: str) -> bool:
        """Return whether a file of that SHA-1 was fetched, from whatever address."""
        query = "SELECT 1 FROM photographs WHERE sha1 = ? AND state = 'fetched' LIMIT 1"
        with self._lock:
            return self._db.execute(query, (sha1,)).fetchone() is not None


def _uri_to_read(path: Path) -> str:
    """Return the address by which SQLite opens the file without changing it."""
    log = path.with_name(f"{path.name}-wal")
    # Beside the file SQLite keeps what readers share, where it may; else it must be told that
    # nobody writes. What a kill has left in its log would then be passed over.
    sealed = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if sealed else ''}"


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"))
