"""People who label what a build wants labelled: three raters, and one who decides in doubt."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import requests
from annotators import EXPRESSIONS, Annotator, Ledger

NAMES = ("ada", "ben", "cleo")
# Of so many pictures one is seen otherwise by each of the three.
IN_DOUBT = 12


class People:
    """Whoever has signed up at the labelling server of a workspace."""

    def __init__(self, workspace: Path) -> None:
        """Sign up by the link that `occlufer annotate start` prints; its file says the same."""
        self._workspace = workspace
        self._invite = ""
        self._people: dict[str, Annotator] = {}

    def come(self, invite: str) -> None:
        """Take the address at which raters sign up."""
        self._invite = invite

    def label(self) -> None:
        """Have every rater answer every task of the first project; they differ on some."""
        for place, (task, image, right) in enumerate(self._tasks(0)):
            for turn, name in enumerate(NAMES):
                # A doubtful one is called something else by each, and by nobody what it is.
                away = (turn + 1) if place % IN_DOUBT == 0 else 0
                said = EXPRESSIONS[(EXPRESSIONS.index(right) + away) % len(EXPRESSIONS)]
                self._rater(name).vote(task, image, said)

    def decide(self) -> None:
        """Have somebody else say what is right in every task of the second project."""
        for task, image, right in self._tasks(1):
            self._rater("dan").vote(task, image, right)

    def _rater(self, name: str) -> Annotator:
        if name not in self._people:
            parts = urlsplit(self._invite)
            path = f"{parts.path}?{parts.query}"
            url = f"{parts.scheme}://{parts.netloc}"
            self._people[name] = Annotator(url, path, name, Ledger())
        return self._people[name]

    def _tasks(self, project: int) -> list[tuple[int, str, str]]:
        """Return (task, image, what its source says) of a project, by its place among them."""
        folder = self._workspace / "label_studio"
        token = json.loads((folder / "credentials.json").read_text())["token"]
        parts = urlsplit(self._invite)
        url = f"{parts.scheme}://{parts.netloc}"
        headers = {"Authorization": f"Token {token}"}
        found = requests.get(f"{url}/api/projects", headers=headers, timeout=60).json()["results"]
        number = sorted(one["id"] for one in found)[project]
        asked = {"project": number, "page_size": 1000}
        reply = requests.get(f"{url}/api/tasks", asked, headers=headers, timeout=60)
        images = {task["data"]["occlufer_id"]: task["id"] for task in reply.json()["tasks"]}
        right = self._right()
        return [(images[image], image, right[image]) for image in sorted(images)]

    def _right(self) -> dict[str, str]:
        """Return {image: what its source says it is}."""
        db = sqlite3.connect(f"file:{self._workspace / 'catalog.sqlite'}?mode=ro", uri=True)
        try:
            rows = db.execute("SELECT image, facts FROM records").fetchall()
        finally:
            db.close()
        return {image: json.loads(facts)["votes"][0][1] for image, facts in rows if image}
