"""A workspace and its project on a real labelling server, for tests of what is pulled."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from annotators import Annotator, Ledger

from occlufer.annotation.pull import pull
from occlufer.annotation.studio import Connection, Studio
from occlufer.annotation.template import INSTRUCTION, template_sha256, template_text
from occlufer.catalog import Catalog
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.record import Facts, Record
from occlufer.vote_log import LABELLING, Answer, Project
from occlufer.workspace import open_workspace

TOKEN = "OCCLUFER_TEST_TOKEN"
SOURCE = SourceConfig("synthetic", "synthetic", {})
TYPES = ("mask", "hand", "eyewear", "hair", "object", "extraneous_face")
NUMBERS = itertools.count()


@dataclass
class PullBench:
    """Images in a workspace, a task for each on the server, and people who answer."""

    server: Any
    folder: Path
    images: tuple[str, ...]
    url: str = ""
    """Another address of the server, e.g. that of a gateway."""
    number: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    people: dict[str, Annotator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.url = self.url or self.server.connection.url
        self.mark = f"{next(NUMBERS)}-{time.time_ns()}"
        self.number = self.studio.create_project("pull", template_text(), 3, INSTRUCTION, self.mark)
        self.add_tasks({"image": "x", "occlufer_id": image} for image in self.images)
        self.begin_workspace()

    def begin_workspace(self) -> None:
        with open_workspace(self.folder) as workspace:
            workspace.catalog.put_records(map(record, self.images))
        self.note_project()

    @property
    def studio(self) -> Studio:
        return Studio(self.server.connection)

    @property
    def config(self) -> BuildConfig:
        annotation = AnnotationConfig(url=self.url, token_env=TOKEN)
        return BuildConfig(sources=(SOURCE,), workspace=self.folder, annotation=annotation)

    def add_tasks(self, data: Iterable[Mapping[str, Any]]) -> None:
        self.studio.import_tasks(self.number, [{"data": dict(one)} for one in data])
        index = self.studio.task_index(self.number)
        self.tasks = {image: numbers[0] for image, numbers in index.items()}

    def note_project(self, server: str = "", cursor: str = "") -> None:
        sha256 = template_sha256(template_text())
        with self.catalog() as catalog:
            project = Project(server or self.url, self.number, sha256, cursor)
            catalog.log_answers([], LABELLING, project)

    def move(self, server: Any) -> None:
        """Find the server at another address from now on."""
        self.server = server
        for person in self.people.values():
            person.move(server.connection.url)

    def person(self, name: str) -> Annotator:
        """Sign somebody up, or return who has done so."""
        if name not in self.people:
            parts = urlsplit(self.server.invite)
            invite = f"{parts.path}?{parts.query}"
            url = self.server.connection.url
            self.people[name] = Annotator(url, invite, f"{name}-{self.mark}", self.ledger)
        return self.people[name]

    def vote(self, name: str, image: str, label: str, *more: Any) -> int:
        return self.person(name).vote(self.tasks[image], image, label, *more)

    def pull(self, full: bool = False) -> Any:
        return pull(self.config, full)

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask the server as its leader, without a line of our client."""
        connection: Connection = self.server.connection
        headers = {"Authorization": f"Token {connection.token}"}
        url = f"{connection.url}{path}"
        reply = requests.request(method, url, headers=headers, timeout=120, **arguments)
        assert reply.status_code < 400, f"{method} {path}: {reply.status_code} {reply.text[:300]}"
        return reply.json() if reply.content else None

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        catalog = Catalog(self.folder / "catalog.sqlite")
        yield catalog
        catalog.close()

    # What is there -------------------------------------------------------------------------------

    def log(self) -> list[Answer]:
        with self.catalog() as catalog:
            return list(catalog.answers(LABELLING))

    def history(self) -> list[Answer]:
        with self.catalog() as catalog:
            return list(catalog.answer_history())

    def cursor(self) -> str:
        with self.catalog() as catalog:
            project = catalog.project(LABELLING)
        assert project is not None
        return project.cursor

    def pseudonym(self, email: str) -> str:
        user = next(person.user for person in self.people.values() if person.email == email)
        with sqlite3.connect(self.folder / "catalog.sqlite") as db:
            (row,) = db.execute("SELECT rater FROM raters WHERE user = ?", (user,))
        db.close()
        return str(row[0])

    def expected(self) -> dict[int, tuple[Any, ...]]:
        """Return what the log must say by what the people know that they said."""
        return {
            entry.annotation: (
                *(entry.task, entry.image, self.pseudonym(entry.email), entry.label),
                tuple(kind for kind in TYPES if kind in entry.occlusion),
                entry.confidence,
                None if entry.edited_by is None else self.pseudonym(entry.edited_by),
            )
            for entry in self.ledger.entries()
            if not entry.deleted
        }

    def found(self, states: Sequence[str] = ("given", "skipped")) -> dict[int, tuple[Any, ...]]:
        return {
            a.annotation: (
                *(a.task, a.image, a.rater, a.label, a.occlusion_types, a.confidence, a.edited_by),
            )
            for a in self.log()
            if a.state in states
        }


def record(image: str) -> Record:
    return Record(f"s/{image}", "s", "1", Facts(), image=image)
