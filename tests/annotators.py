"""Scripted raters: they sign up by the invite link, vote through the HTTP API, and keep a ledger.

The ledger is what they know that they said. It shares no code with what it is held against.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import requests

PASSWORD = "five-annotators-7"
TIMEOUT_S = 120
EXPRESSIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
    "contempt",
)
WORDS = (*EXPRESSIONS, "uncertain", "not_a_face")


@dataclass(frozen=True)
class Entry:
    """What a rater knows of one answer of hers: how it stands now."""

    annotation: int
    task: int
    image: str
    email: str
    label: str | None
    """None if she would not say."""
    occlusion: tuple[str, ...] = ()
    confidence: int | None = None
    deleted: bool = False
    edited_by: str | None = None
    """The e-mail address of another who changed it last."""


class Ledger:
    """The answers of all raters, by the server's numbers; several may write at once."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._order: list[int] = []
        self._lock = threading.Lock()

    def put(self, entry: Entry) -> None:
        """Note how an answer stands now."""
        with self._lock:
            self._entries[entry.annotation] = entry
            self._order.append(entry.annotation)

    def __getitem__(self, annotation: int) -> Entry:
        return self._entries[annotation]

    def entries(self) -> list[Entry]:
        """Return all that were ever given, the deleted ones too, by their numbers."""
        return [self._entries[number] for number in sorted(self._entries)]

    def standing(self) -> dict[tuple[str, str], Entry]:
        """Return {(image, e-mail): the answer touched last}, without the deleted ones."""
        touched = {number: place for place, number in enumerate(self._order)}
        found: dict[tuple[str, str], Entry] = {}
        for number in sorted(self._entries, key=lambda number: touched[number]):
            entry = self._entries[number]
            if not entry.deleted:
                found[entry.image, entry.email] = entry
        return found


class Annotator:
    """A rater with an account of her own on the server."""

    def __init__(self, url: str, invite: str, name: str, ledger: Ledger) -> None:
        """Sign up by the invite link, a path with a token."""
        self.email = f"{name}@example.org"
        self._url = url
        self._ledger = ledger
        self._session = requests.Session()
        self._session.trust_env = False
        page = self._session.get(url + invite, timeout=TIMEOUT_S)
        page.raise_for_status()
        form = {"email": self.email, "password": PASSWORD, "allow_newsletters": ""}
        self._ask("POST", invite, data=form, allow_redirects=False)
        self.user = int(self._ask("GET", "/api/current-user/whoami").json()["id"])

    def _ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        # A session, as a person in a browser has one: what changes something needs its token.
        headers = {
            "X-CSRFToken": self._session.cookies["csrftoken"],
            "Referer": self._url + path,
        }
        reply = self._session.request(
            method, self._url + path, headers=headers, timeout=TIMEOUT_S, **arguments
        )
        assert reply.status_code < 400, f"{method} {path}: {reply.status_code}"
        return reply

    @property
    def cookies(self) -> list[str]:
        """What opens the server in her name."""
        return [cookie.value for cookie in self._session.cookies if cookie.value]

    def move(self, url: str) -> None:
        """Find the server at another address from now on."""
        self._url = url

    def vote(
        self,
        task: int,
        image: str,
        label: str,
        occlusion: Sequence[str] = (),
        confidence: int | None = None,
    ) -> int:
        """Answer a task and return the answer's number."""
        body = {"result": result(label, occlusion, confidence), "lead_time": 1.5}
        number = int(self._ask("POST", f"/api/tasks/{task}/annotations/", json=body).json()["id"])
        said = Entry(number, task, image, self.email, label, tuple(occlusion), confidence)
        self._ledger.put(said)
        return number

    def skip(self, task: int, image: str) -> int:
        """Decline to answer a task, as the page's Skip does."""
        path = f"/api/tasks/{task}/annotations/?was_cancelled=1"
        body = {"result": [], "was_cancelled": True, "lead_time": 0.5}
        number = int(self._ask("POST", path, json=body).json()["id"])
        self._ledger.put(Entry(number, task, image, self.email, None))
        return number

    def edit(self, number: int, label: str) -> None:
        """Change an answer to another label, one's own or another rater's."""
        before = self._ledger[number]
        body = {"result": result(label, before.occlusion, before.confidence)}
        self._ask("PATCH", f"/api/annotations/{number}/", json=body)
        edited_by = None if before.email == self.email else self.email
        self._ledger.put(replace(before, label=label, edited_by=edited_by))

    def delete(self, number: int) -> None:
        """Take an answer back."""
        self._ask("DELETE", f"/api/annotations/{number}/")
        self._ledger.put(replace(self._ledger[number], deleted=True))


def result(label: str, occlusion: Sequence[str], confidence: int | None) -> list[dict[str, Any]]:
    """Return an answer in the server's words."""
    said: list[tuple[str, str, dict[str, Any]]] = [("expression", "choices", {"choices": [label]})]
    if occlusion:
        said.append(("occlusion", "choices", {"choices": list(occlusion)}))
    if confidence is not None:
        said.append(("confidence", "rating", {"rating": confidence}))
    return [
        {"from_name": name, "to_name": "image", "type": kind, "value": value, "origin": "manual"}
        for name, kind, value in said
    ]


@dataclass(frozen=True)
class Bent:
    """How a rater errs: with what probability she says which word where another is right."""

    rows: Mapping[str, Mapping[str, float]]

    def say(self, right: str, seed: object) -> str:
        """Return what she says; the same for the same seed."""
        row = self.rows[right]
        return random.Random(str(seed)).choices(list(row), list(row.values()))[0]


def steady(accuracy: float) -> Bent:
    """Return one who is right with probability `accuracy`, else says any other expression."""
    rest = (1 - accuracy) / (len(EXPRESSIONS) - 1)
    return Bent({a: {b: accuracy if a == b else rest for b in EXPRESSIONS} for a in EXPRESSIONS})


def biased(accuracy: float, towards: Mapping[str, str]) -> Bent:
    """Return one like `steady`, who mostly takes some expressions for others."""
    rows = {right: dict(row) for right, row in steady(accuracy).rows.items()}
    for right, wrong in towards.items():
        rows[right] = dict.fromkeys(EXPRESSIONS, 0.05) | {wrong: 0.5, right: 0.2}
    return Bent(rows)


def spammer() -> Bent:
    """Return one who says anything, whatever is shown."""
    return Bent({a: dict.fromkeys(EXPRESSIONS, 1.0) for a in EXPRESSIONS})


def at_once(jobs: Iterable[Any]) -> float:
    """Run functions in threads at the same time and return how many seconds they took."""
    jobs = list(jobs)
    begin = time.monotonic()
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()
    return time.monotonic() - begin
