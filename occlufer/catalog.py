"""The catalog: one SQLite file with every fact about every record, and which stage found it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from occlufer import change_log, vote_log
from occlufer.catalog_rows import (
    RECORD_COLUMNS,
    in_json,
    record_of,
    reject_columns,
    result_of,
    result_rows,
)
from occlufer.catalog_tables import HAS_HITS, OF_TEST_SET, make_tables
from occlufer.change_log import BYTES, Mark
from occlufer.damage import check_whole, damaged, is_damage, left_open, read_json
from occlufer.record import Record, Reject, Result
from occlufer.vote_log import Answer, Project

IMAGES_AT_ONCE = 500
# Of the file in memory: looking up every image of a stage goes back and forth in it.
CACHE_KIB = 65_536


class Catalog:
    """An open catalog. Every method that writes is one transaction: all of it stays, or nothing."""

    def __init__(self, path: Path) -> None:
        """Open the catalog at `path`, making it if it is missing.

        If it was not closed by whoever last had it open, all of it is checked. Raises OccluferError
        if it is damaged.
        """
        self.path = path
        unclean = left_open(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        try:
            self._open()
            if unclean:
                check_whole(self._db)
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise damaged(path, error) from None
            raise

    def _open(self) -> None:
        # Cells that lie outside of their page are noticed when it is read, not believed.
        self._db.execute("PRAGMA cell_size_check = ON")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        make_tables(self._db, self.path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Records -------------------------------------------------------------------------------------

    def stamps(self, source: str) -> dict[str, str]:
        """Return {record id: stamp} of everything known from `source`."""
        rows = self._db.execute("SELECT id, stamp FROM records WHERE source = ?", (source,))
        return dict(rows)

    def put_records(self, records: Iterable[Record]) -> None:
        """Write the records, in place of what was known under their ids."""
        rows = [
            (
                r.id,
                r.source,
                r.rank,
                r.stamp,
                r.image,
                *reject_columns(r.reject),
                in_json(r.facts.to_json()),
            )
            for r in records
        ]
        # A row that says what is known already is no change: later stages need not run for it.
        query = (
            "INSERT INTO records VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
            " rank = excluded.rank, stamp = excluded.stamp, image = excluded.image,"
            " reason = excluded.reason, detail = excluded.detail, facts = excluded.facts"
            " WHERE rank <> excluded.rank OR stamp <> excluded.stamp OR facts <> excluded.facts"
            " OR image IS NOT excluded.image OR reason IS NOT excluded.reason"
            " OR detail IS NOT excluded.detail"
        )
        with self._transaction():
            before = self._db.total_changes
            self._db.executemany(query, rows)
            self._bump("gather", self._db.total_changes - before)

    def forget_records(self, ids: Iterable[str]) -> None:
        """Delete the records, e.g. of files that are gone."""
        rows = [(record_id,) for record_id in ids]
        with self._transaction():
            self._db.executemany("DELETE FROM records WHERE id = ?", rows)
            self._bump("gather", len(rows))

    def sources(self) -> list[str]:
        """Return the names of the sources that have records."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT source FROM records")]

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of ids."""
        query = f"SELECT {RECORD_COLUMNS} FROM records ORDER BY id"
        yield from map(record_of, self._db.execute(query))

    def record(self, name: str) -> Record | None:
        """Return the record of this id, None if there is none."""
        query = f"SELECT {RECORD_COLUMNS} FROM records WHERE id = ?"
        row = self._db.execute(query, (name,)).fetchone()
        return None if row is None else record_of(row)

    def records_of_test_sets(self) -> Iterator[Record]:
        """Yield every record that is of a test set, in the order of ids."""
        query = f"SELECT {RECORD_COLUMNS} FROM records INDEXED BY records_of_test_sets"
        query += f" WHERE {OF_TEST_SET} ORDER BY id"
        yield from map(record_of, self._db.execute(query))

    def forget_image(self, sha256: str) -> None:
        """Forget the records and results that stand on these bytes, read or cut out."""
        crops = f'%"crop":"{sha256}"%'
        query = "SELECT image FROM results WHERE stage = 'faces' AND value LIKE ?"
        images = [row[0] for row in self._db.execute(query, (crops,))]
        with self._transaction():
            self._db.execute("DELETE FROM records WHERE image LIKE ?", (f"{sha256}%",))
            self._bump("gather", 1)
            for image in images:
                self._db.execute("DELETE FROM results WHERE image = ?", (image,))
            # Of no stage's results all are there any more that it takes for done.
            change_log.drop_marks(self._db)

    def owner(self, image: str) -> Record:
        """Return the record that speaks for `image` where several hold the same bytes."""
        query = f"SELECT {RECORD_COLUMNS} FROM records WHERE image = ? ORDER BY rank, id LIMIT 1"
        return record_of(self._db.execute(query, (image,)).fetchone())

    def owners_of_shared(self) -> dict[str, str]:
        """Return {image: the id of its owner} of the images that several records hold."""
        query = (
            "SELECT image, id FROM records WHERE image IN (SELECT image FROM records"
            " WHERE image IS NOT NULL GROUP BY image HAVING count(*) > 1)"
            " ORDER BY image, rank DESC, id DESC"
        )
        return dict(self._db.execute(query))  # the last one of an image stays

    def holders(self) -> Iterator[tuple[str, list[Record]]]:
        """Yield (image, its records, the owner first) for every image, in the order of images."""
        query = (
            f"SELECT {RECORD_COLUMNS} FROM records WHERE image IS NOT NULL ORDER BY image, rank, id"
        )
        rows = map(record_of, self._db.execute(query))
        for image, records in itertools.groupby(rows, key=lambda record: str(record.image)):
            yield image, list(records)

    def holders_of(self, images: Iterable[str]) -> dict[str, list[Record]]:
        """Return {image: its records, the owner first} of those of `images` that have some."""
        found: dict[str, list[Record]] = {}
        for some, places in _in_parts(images):
            query = (
                f"SELECT {RECORD_COLUMNS} FROM records WHERE image IN ({places}) ORDER BY rank, id"
            )
            for record in map(record_of, self._db.execute(query, some)):
                found.setdefault(str(record.image), []).append(record)
        return found

    def records_without_image(self, sha256s: Iterable[str] | None = None) -> Iterator[Record]:
        """Yield the records that have no image, but evidence of its bytes: of these, or of any.

        Those of the same bytes come in the order of ids.
        """
        query = (
            f"SELECT {RECORD_COLUMNS} FROM records INDEXED BY records_without_image"
            f" WHERE image IS NULL AND {BYTES}"
        )
        if sha256s is None:
            yield from map(record_of, self._db.execute(f"{query} IS NOT NULL ORDER BY {BYTES}, id"))
            return
        for some, places in _in_parts(sha256s):
            yield from map(record_of, self._db.execute(f"{query} IN ({places}) ORDER BY id", some))

    # Results -------------------------------------------------------------------------------------

    def images_missing(
        self, stage: str, after: tuple[str, ...], among: Collection[str] | None = None
    ) -> list[str]:
        """Return the images, sorted, that pass all stages of `after` and have no result of `stage`.

        An image passes a stage when it has a result there without a reason. With `among` only
        those of them.
        """
        missing = _passing(after) + (
            " AND NOT EXISTS"
            " (SELECT 1 FROM results r WHERE r.stage = ? AND r.image = records.image)"
            " ORDER BY image"
        )
        if among is None:
            query = f"SELECT DISTINCT image FROM records WHERE image IS NOT NULL{missing}"
            return [row[0] for row in self._db.execute(query, (*after, stage))]
        found: list[str] = []
        for some, places in _in_parts(sorted(among)):
            query = f"SELECT DISTINCT image FROM records WHERE image IN ({places}){missing}"
            found += (row[0] for row in self._db.execute(query, (*some, *after, stage)))
        return found

    def images_passing(self, stages: tuple[str, ...]) -> list[str]:
        """Return the images, sorted, that pass all of `stages`."""
        query = "SELECT DISTINCT image FROM records WHERE image IS NOT NULL"
        query += _passing(stages) + " ORDER BY image"
        return [row[0] for row in self._db.execute(query, stages)]

    def passing_among(self, images: Iterable[str], stages: tuple[str, ...]) -> set[str]:
        """Return those of `images` that pass all of `stages`."""
        found: set[str] = set()
        for some, places in _in_parts(images):
            query = f"SELECT DISTINCT image FROM records WHERE image IN ({places})"
            rows = self._db.execute(query + _passing(stages), (*some, *stages))
            found.update(row[0] for row in rows)
        return found

    def results(self, stage: str) -> Iterator[Result]:
        """Yield the results of `stage`, in the order of images."""
        query = "SELECT image, value, reason, detail FROM results WHERE stage = ? ORDER BY image"
        for image, value, reason, detail in self._db.execute(query, (stage,)):
            yield result_of(image, value, reason, detail)

    def results_with_hits(self) -> Iterator[Result]:
        """Yield the results of the stage leaks that name a test picture, in the order of images."""
        query = "SELECT image, value, reason, detail FROM results INDEXED BY results_with_hits"
        for row in self._db.execute(f"{query} WHERE {HAS_HITS} ORDER BY image"):
            yield result_of(*row)

    def rejects(self) -> dict[str, tuple[str, Reject]]:
        """Return {image: (stage, why)} of every image that a stage rejected."""
        query = "SELECT image, stage, reason, detail FROM results INDEXED BY results_rejected"
        query += " WHERE reason IS NOT NULL"
        return {row[0]: (row[1], Reject(row[2], row[3])) for row in self._db.execute(query)}

    def value(self, stage: str, image: str) -> dict[str, Any]:
        """Return what `stage` found out about `image`; KeyError if it has not looked at it."""
        query = "SELECT value FROM results WHERE stage = ? AND image = ?"
        row = self._db.execute(query, (stage, image)).fetchone()
        if row is None:
            raise KeyError(f"{stage} has no result for {image}")
        value: dict[str, Any] = read_json(row[0])
        return value

    def values(self, stage: str, images: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (image, what `stage` found out about it) of those of `images` it has looked at."""
        for some, places in _in_parts(images):
            query = f"SELECT image, value FROM results WHERE stage = ? AND image IN ({places})"
            for image, value in self._db.execute(query, (stage, *some)):
                yield image, read_json(value)

    def put_results(self, stage: str, results: Iterable[Result]) -> None:
        """Add the results of a stage that works image by image."""
        rows = result_rows(stage, results)
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO results VALUES (?,?,?,?,?)", rows)
            self._bump(stage, len(rows))

    def replace_results(
        self,
        stage: str,
        results: Iterable[Result],
        fingerprint: str,
        mark: Mark | None = None,
    ) -> None:
        """Put `results` in place of all results of `stage` and note what they were made from.

        A result that is known already is no change: later stages need not run for it. With a
        `mark`, later changes of the stages it watches are logged for it.
        """
        rows = result_rows(stage, results)
        wanted = {row[1]: row for row in rows}
        same, gone = set(), []
        for row in self._db.execute("SELECT * FROM results WHERE stage = ?", (stage,)):
            if wanted.get(row[1]) == row:
                same.add(row[1])
            else:
                gone.append((stage, row[1]))
        new = [row for row in rows if row[1] not in same]
        self._change_results(stage, gone, new, fingerprint, mark)

    def update_results(
        self,
        stage: str,
        results: Iterable[Result],
        gone: Iterable[str],
        fingerprint: str,
        mark: Mark,
    ) -> None:
        """Put `results` beside the others of `stage`, forget those of the images `gone`."""
        rows = result_rows(stage, results)
        known = {}
        for some, places in _in_parts(row[1] for row in rows):
            query = f"SELECT * FROM results WHERE stage = ? AND image IN ({places})"
            known.update({row[1]: row for row in self._db.execute(query, (stage, *some))})
        new = [row for row in rows if known.get(row[1]) != row]
        old = [(stage, row[1]) for row in new if row[1] in known]
        old += [(stage, image) for image in gone]
        self._change_results(stage, old, new, fingerprint, mark)

    def _change_results(
        self,
        stage: str,
        gone: list[tuple[str, str]],
        new: list[tuple[Any, ...]],
        fingerprint: str,
        mark: Mark | None,
    ) -> None:
        with self._transaction():
            self._db.executemany("DELETE FROM results WHERE stage = ? AND image = ?", gone)
            self._db.executemany("INSERT INTO results VALUES (?,?,?,?,?)", new)
            self._set_fingerprint(stage, "", fingerprint)
            self._bump(stage, len(gone) + len(new))
            if mark is not None:
                change_log.put_mark(self._db, stage, mark)

    # Answers of people ---------------------------------------------------------------------------

    def log_answers(
        self, answers: Iterable[Answer], round_name: str, project: Project | None = None
    ) -> int:
        """Add what is new to the vote log, and with it note the round's `project` and cursor.

        Returns how many answers were new or had changed.
        """
        with self._transaction():
            added = vote_log.append(self._db, answers)
            if project is not None:
                vote_log.put_project(self._db, round_name, project)
            self._bump(vote_log.VOTES, added)
        return added

    def answers(self, round_name: str) -> Iterator[Answer]:
        """Yield the last state of every answer of a round, by image, rater and annotation."""
        return vote_log.latest(self._db, round_name)

    def answer_history(self) -> Iterator[Answer]:
        """Yield every state of every answer, in the order in which they were seen."""
        return vote_log.history(self._db)

    def rater(self, server: str, user: int) -> str:
        """Return the pseudonym of a user of a labelling server."""
        with self._transaction():
            return vote_log.rater_of(self._db, server, user)

    def project(self, round_name: str) -> Project | None:
        """Return where a round is labelled, None if it has not begun."""
        return vote_log.project_of(self._db, round_name)

    def forget_project(self, round_name: str) -> None:
        """Forget where a round is labelled, for it is gone; what people have answered stays."""
        with self._transaction():
            vote_log.forget_project(self._db, round_name)

    # What was made from what ---------------------------------------------------------------------

    def fingerprint(self, stage: str, scope: str = "") -> str | None:
        """Return the fingerprint under which the results of `stage` were made, if any."""
        query = "SELECT value FROM fingerprints WHERE stage = ? AND scope = ?"
        row = self._db.execute(query, (stage, scope)).fetchone()
        return None if row is None else str(row[0])

    def mark(self, stage: str) -> Mark | None:
        """Return up to where `stage` has followed the changes before it; None if it never did."""
        return change_log.mark_of(self._db, stage)

    def put_mark(self, stage: str, mark: Mark) -> None:
        """Note up to where `stage` has followed; let changes of what it watches be logged."""
        with self._transaction():
            change_log.put_mark(self._db, stage, mark)

    def shorten_log(self) -> list[str]:
        """Let stages begin anew that have more changes before them than there are records.

        Returns their names. Without it the log would grow for as long as a stage is not run.
        """
        if not change_log.is_long(self._db):
            return []
        with self._transaction():
            return change_log.shorten(self._db)

    def last_change(self) -> int:
        """Return the number of the last change that was logged."""
        return change_log.last_change(self._db)

    def changed_since(self, seq: int, stages: Sequence[str]) -> set[str]:
        """Return the images that `stages` have touched after the change number `seq`."""
        return change_log.changed_since(self._db, seq, stages)

    def start_stage(self, stage: str, fingerprint: str) -> None:
        """Delete the results of `stage` if they were made under another fingerprint."""
        if self.fingerprint(stage) == fingerprint:
            return
        with self._transaction():
            change_log.drop_marks(self._db, [stage])
            gone = self._db.execute("DELETE FROM results WHERE stage = ?", (stage,)).rowcount
            self._set_fingerprint(stage, "", fingerprint)
            self._bump(stage, gone)

    def start_source(self, source: str, rank: int, fingerprint: str) -> None:
        """Note the source's place; forget it if it was gathered under another fingerprint.

        What stages found out about its images stays: it is known by content.
        """
        if self.fingerprint("gather", source) == fingerprint:
            with self._transaction():
                query = "UPDATE records SET rank = ? WHERE source = ? AND rank <> ?"
                self._bump("gather", self._db.execute(query, (rank, source, rank)).rowcount)
            return
        with self._transaction():
            gone = self._db.execute("DELETE FROM records WHERE source = ?", (source,)).rowcount
            self._set_fingerprint("gather", source, fingerprint)
            self._bump("gather", gone)

    def revisions(self, stages: Iterable[str]) -> dict[str, int]:
        """Return how often each of `stages` has changed in this catalog."""
        known: dict[str, int] = dict(self._db.execute("SELECT stage, value FROM revisions"))
        return {stage: known.get(stage, 0) for stage in stages}

    def _set_fingerprint(self, stage: str, scope: str, value: str) -> None:
        row = (stage, scope, value)
        self._db.execute("INSERT OR REPLACE INTO fingerprints VALUES (?,?,?)", row)

    def _bump(self, stage: str, changes: int) -> None:
        if changes:
            query = (
                "INSERT INTO revisions VALUES (?, 1)"
                " ON CONFLICT (stage) DO UPDATE SET value = value + 1"
            )
            self._db.execute(query, (stage,))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK if the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:  # SQLite itself rolls back on a full disk
            self._db.execute("ROLLBACK")


def _in_parts(images: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """Yield some images at a time, and as many question marks: a query takes so many at most."""
    rest = iter(images)
    while some := list(itertools.islice(rest, IMAGES_AT_ONCE)):
        yield some, ",".join("?" * len(some))


def _passing(stages: tuple[str, ...]) -> str:
    clause = (
        " AND EXISTS (SELECT 1 FROM results p"
        " WHERE p.stage = ? AND p.image = records.image AND p.reason IS NULL)"
    )
    return clause * len(stages)
