"""A round trip of labelling under way: its commands, and what lies in its databases."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from annotators import Annotator, Ledger

KILL_LIMIT_S = 90


@dataclass
class Trip:
    """A round trip under way, and what it has left."""

    folder: Path
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    """What each command said, by a name for the moment."""
    ledger: Ledger = field(default_factory=Ledger)
    people: dict[str, Annotator] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    """{image: its task}"""
    right: dict[str, str] = field(default_factory=dict)
    """{image: what is right}"""
    gold: dict[str, str] = field(default_factory=dict)
    """{image: the answer that was known before}"""
    snapshots: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    url: str = ""
    invite: str = ""
    """The path at which raters sign up."""

    # Commands ------------------------------------------------------------------------------------

    def run(self, moment: str, *arguments: str, code: int = 0) -> Any:
        """Run a command to its end and return its JSON; it must end with the exit status."""
        begin = time.monotonic()
        done = self.wait(moment, self.begin(*arguments))
        self.seconds[moment] = time.monotonic() - begin
        assert done.returncode == code, f"{moment}: {done.returncode}: {done.stderr[-2000:]}"
        return json.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "occlufer.cli", *arguments, "--json"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def wait(self, moment: str, running: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        """Wait for a command and keep what it said."""
        out, err = running.communicate(timeout=600)
        done = subprocess.CompletedProcess(running.args, running.returncode, out, err)
        self.said[moment] = done
        return done

    def start(self, moment: str) -> None:
        """Start the server; who was there before finds it at its new address."""
        said = self.run(moment, "annotate", "start")
        parts = urlsplit(said["invite"])
        self.url, self.invite = said["url"], f"{parts.path}?{parts.query}"
        for rater in self.people.values():
            rater.move(self.url)

    def kill_during(
        self, moment: str, when: Callable[[], bool], *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Kill the server with -9 in the middle of a command, and start it again after that."""
        from occlufer.annotation.server.server import running

        server = running(self.folder / "workspace")
        assert server is not None
        command = self.begin(*arguments)
        end = time.monotonic() + KILL_LIMIT_S
        while not when():
            assert command.poll() is None, f"{moment}: it ended before the kill"
            assert time.monotonic() < end, f"{moment}: nothing to be seen of it"
        os.kill(server.process.pid, signal.SIGKILL)
        done = self.wait(moment, command)
        self.start(f"{moment}: start")
        return done

    # What is there -------------------------------------------------------------------------------

    @property
    def catalog(self) -> Path:
        """The workspace's catalog."""
        return self.folder / "workspace" / "catalog.sqlite"

    @property
    def server_data(self) -> Path:
        """The server's own database."""
        return self.folder / "workspace" / "label_studio" / "data" / "label_studio.sqlite3"

    def server_tasks(self, project: int) -> list[dict[str, Any]]:
        """Return the tasks of a project, asked for by the leader, without any of our client."""
        text = (self.folder / "workspace" / "label_studio" / "credentials.json").read_text()
        headers = {"Authorization": f"Token {json.loads(text)['token']}"}
        found: list[dict[str, Any]] = []
        for page in range(1, 100):
            params = {"project": project, "page": page, "page_size": 100}
            reply = requests.get(f"{self.url}/api/tasks", params, headers=headers, timeout=60)
            reply.raise_for_status()
            found += reply.json()["tasks"]
            if len(found) >= reply.json()["total"]:
                return found
        raise AssertionError("no end of tasks")

    def projects(self) -> list[tuple[int, int]]:
        """Return (number, tasks) of the projects on the server."""
        query = (
            "SELECT p.id, count(t.id) FROM project p LEFT JOIN task t ON t.project_id = p.id"
            " GROUP BY p.id ORDER BY p.id"
        )
        return list(rows(self.server_data, query))

    def answers(self) -> dict[int, Any]:
        """Return {annotation: the last row of the log} of the labelling round."""
        query = (
            "SELECT annotation, task, image, rater, state, label, occlusion_types, confidence,"
            " edited_by, project FROM answers WHERE round = 'labelling' ORDER BY seq"
        )
        return {row[0]: row[1:] for row in rows(self.catalog, query)}

    def votes(self) -> dict[str, Counter[tuple[str, str]]]:
        """Return {image: {(who, answer): how many}} of the raters' ledger and of the source."""
        found: dict[str, Counter[tuple[str, str]]] = {image: Counter() for image in self.tasks}
        for entry in self.ledger.standing().values():
            if entry.label is not None:
                found[entry.image][entry.email, entry.label] += 1
        said = set()
        for image, facts in rows(self.catalog, "SELECT image, facts FROM records"):
            said |= {(image, *vote) for vote in json.loads(facts).get("votes", ())}
        for image, who, label, times in said:
            if image in found:
                found[image][f"source {who}", label] += times
        return found

    def pseudonyms(self) -> dict[str, str]:
        """Return {e-mail: rater}."""
        names = dict(rows(self.catalog, "SELECT user, rater FROM raters"))
        return {p.email: names[p.user] for p in self.people.values() if p.user in names}


def rows(database: Path, query: str) -> Iterator[Any]:
    """Yield the rows of a query to a database that others write."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        yield from db.execute(query)
    finally:
        db.close()


def count(database: Path, table: str) -> int:
    """Return the number of rows of a table, 0 as long as there is none."""
    try:
        return int(next(rows(database, f"SELECT count(*) FROM {table}"))[0])
    except sqlite3.OperationalError:
        return 0
