"""The vote log: what people answered on a labelling server, every state of every answer.

Its tables are part of the catalog. Rows are only ever added: an answer that is edited, deleted or
given anew gets a further row, so that nothing a person has said is lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields

from occlufer.damage import read_json

# Changes of the log count as those of a stage of this name.
VOTES = "votes"
GIVEN, SKIPPED, DELETED, REFUSED = "given", "skipped", "deleted", "refused"
LABELLING, ADJUDICATION = "labelling", "adjudication"

VOTE_LOG = """
CREATE TABLE answers (              -- states of answers, in the order in which they were seen
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    round TEXT NOT NULL,            -- labelling or adjudication
    project TEXT NOT NULL,          -- the server and its number of the project
    annotation INTEGER NOT NULL,    -- the server's number of the answer
    task INTEGER NOT NULL,
    image TEXT NOT NULL,
    rater TEXT NOT NULL,            -- a pseudonym
    state TEXT NOT NULL,            -- given, skipped, deleted or refused
    label TEXT,
    occlusion_types TEXT NOT NULL,  -- JSON
    confidence INTEGER,
    lead_time_s REAL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    edited_by TEXT,                 -- the pseudonym of another person who changed it last
    detail TEXT                     -- what of it is not as it should be
);
CREATE INDEX answers_by_annotation ON answers (project, annotation, seq);
CREATE TABLE raters (               -- who is behind a pseudonym: the server's number, no name
    server TEXT NOT NULL,
    user INTEGER NOT NULL,
    rater TEXT NOT NULL UNIQUE,
    PRIMARY KEY (server, user)
) WITHOUT ROWID;
CREATE TABLE projects (             -- where each round is labelled
    round TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    number INTEGER NOT NULL,
    template_sha256 TEXT NOT NULL,
    cursor TEXT NOT NULL            -- up to which of the server's updated_at was pulled
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Answer:
    """What a rater answered to a task, as the server had it at one moment."""

    round: str
    project: str
    annotation: int
    task: int
    image: str
    rater: str
    state: str
    """"given"; "skipped": the rater would not say; "deleted": it is gone from the server;
    "refused": kept aside, for what `detail` says, and no vote."""
    label: str | None
    """One of schema.ANSWERS; None if skipped, or if what was said is none of them."""
    occlusion_types: tuple[str, ...]
    """Those of schema.OCCLUSION_TYPES that the rater saw; "none" alone if she said that there are
    none; empty if she said nothing of it."""
    confidence: int | None
    """1 (guessed) to 3 (sure), if the rater said."""
    lead_time_s: float | None
    created_at: str
    updated_at: str
    """The server's times: ISO 8601 in UTC, with microseconds, so that they sort as text."""
    edited_by: str | None
    """The rater who changed it last, if that was another one."""
    detail: str | None = None
    """What of it was refused, or left out of what was given; found and expected."""


@dataclass(frozen=True)
class Project:
    """Where a round is labelled."""

    server: str
    """"embedded", or the address of a server."""
    number: int
    template_sha256: str
    cursor: str = ""
    """The largest `updated_at` of the server up to which answers were pulled."""

    @property
    def name(self) -> str:
        """The project's name in the log."""
        return f"{self.server}/{self.number}"


_COLUMNS = (
    "round, project, annotation, task, image, rater, state, label, occlusion_types, confidence,"
    " lead_time_s, created_at, updated_at, edited_by, detail"
)


def append(db: sqlite3.Connection, answers: Iterable[Answer]) -> int:
    """Add the answers that differ from their last known state, and return how many did."""
    added = 0
    insert = f"INSERT INTO answers ({_COLUMNS}) VALUES ({','.join('?' * len(fields(Answer)))})"
    for answer in answers:
        if _last(db, answer.project, answer.annotation) != answer:
            row = vars(answer) | {"occlusion_types": json.dumps(answer.occlusion_types)}
            db.execute(insert, list(row.values()))
            added += 1
    return added


def history(db: sqlite3.Connection) -> Iterator[Answer]:
    """Yield every state of every answer, in the order in which they were seen."""
    yield from map(_answer, db.execute(f"SELECT {_COLUMNS} FROM answers ORDER BY seq"))


def latest(db: sqlite3.Connection, round_name: str) -> Iterator[Answer]:
    """Yield the last state of every answer of a round, by image, rater and annotation."""
    query = (
        f"SELECT {_COLUMNS} FROM answers WHERE round = ? AND seq IN"
        " (SELECT max(seq) FROM answers GROUP BY project, annotation)"
        " ORDER BY image, rater, annotation"
    )
    yield from map(_answer, db.execute(query, (round_name,)))


def standing(answers: Iterable[Answer]) -> list[Answer]:
    """Return the newest answer of each rater to each image, given or skipped.

    What was deleted or refused does not stand, nor does it keep an older one from standing. The
    server lets a rater answer one task twice, and a project may be made anew.
    """
    newest: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        known = newest.get((answer.image, answer.rater))
        if answer.state in (GIVEN, SKIPPED) and (known is None or _when(known) < _when(answer)):
            newest[answer.image, answer.rater] = answer
    return list(newest.values())


def _when(answer: Answer) -> tuple[str, int]:
    return answer.updated_at, answer.annotation


def rater_of(db: sqlite3.Connection, server: str, user: int) -> str:
    """Return the pseudonym of a user of a server, a new one for one not yet seen."""
    query = "SELECT rater FROM raters WHERE server = ? AND user = ?"
    row = db.execute(query, (server, user)).fetchone()
    if row is None:
        count = db.execute("SELECT count(*) FROM raters").fetchone()[0]
        row = (f"rater_{count + 1:02d}",)
        db.execute("INSERT INTO raters VALUES (?,?,?)", (server, user, row[0]))
    return str(row[0])


def project_of(db: sqlite3.Connection, round_name: str) -> Project | None:
    """Return where a round is labelled, None if it has not begun."""
    query = "SELECT server, number, template_sha256, cursor FROM projects WHERE round = ?"
    row = db.execute(query, (round_name,)).fetchone()
    return None if row is None else Project(*row)


def put_project(db: sqlite3.Connection, round_name: str, project: Project) -> None:
    """Note where a round is labelled and up to where it was pulled."""
    db.execute(
        "INSERT OR REPLACE INTO projects VALUES (?,?,?,?,?)", (round_name, *astuple(project))
    )


def forget_project(db: sqlite3.Connection, round_name: str) -> None:
    """Forget where a round is labelled; its answers stay."""
    db.execute("DELETE FROM projects WHERE round = ?", (round_name,))


def _last(db: sqlite3.Connection, project: str, annotation: int) -> Answer | None:
    query = (
        f"SELECT {_COLUMNS} FROM answers WHERE project = ? AND annotation = ?"
        " ORDER BY seq DESC LIMIT 1"
    )
    row = db.execute(query, (project, annotation)).fetchone()
    return None if row is None else _answer(row)


def _answer(row: tuple[object, ...]) -> Answer:
    values = list(row)
    values[8] = tuple(read_json(str(values[8])))
    return Answer(*values)  # type: ignore[arg-type]
