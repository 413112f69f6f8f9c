"""Label Studio's API as far as we need it: projects, tasks, answers.

Thin on purpose: `label-studio-sdk` brings the session and both kinds of tokens (a legacy one, and a
personal access token that is exchanged for one of five minutes); its own methods would retry what
must not be sent twice, and print cookies with their errors.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from occlufer.errors import OccluferError

T = TypeVar("T")

CONNECT_S = 10.0
# The server's own export of 10 000 answers takes half a minute, on a slow machine minutes.
ANSWER_S = 600.0
LISTED_AT_ONCE = 1_000
EXPORTED_AT_ONCE = 200  # their numbers stand in the address, which may not be too long
DELETED_AT_ONCE = 500
DETAIL_CHARACTERS = 300
# A server in its debug mode repeats what it was sent: the token of five minutes, and cookies.
SECRETS = re.compile(
    r"(?:Token|Bearer)\s+[\w.-]{16,}|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?:sessionid|csrftoken)=[^;,\s'\"]+"
)
# What a gateway says when it has lost the server behind it.
UNSURE_STATUS = (502, 503, 504)

# Nobody sees what a model, or another rater, has said; nobody sends an empty answer; tasks come in
# the order in which they were pushed, see `push`.
BLIND = {
    "sampling": "Sequential sampling",
    "show_collab_predictions": False,
    "evaluate_predictions_automatically": False,
    "reveal_preannotations_interactively": False,
    "show_annotation_history": False,
    "enable_empty_annotation": False,
    "show_instruction": False,  # it would lie over the Submit button until Escape is pressed
    "show_skip_button": True,
    "skip_queue": "REQUEUE_FOR_OTHERS",  # a skip closes no task, see `reopening`
    "show_overlap_first": False,
}


class StudioError(OccluferError):
    """The labelling server refused or failed; the message holds status and detail only."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Take the message and the HTTP status, if there was an answer."""
        super().__init__(message)
        self.status = status


class UnsureError(StudioError):
    """The connection was lost before the answer: the server may have done it, or do it yet."""


@dataclass(frozen=True)
class Connection:
    """Where a labelling server is, and the token that opens it."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Task:
    """A task as the server has it."""

    number: int
    occlufer_id: str | None
    """The image; None for a task that is not ours."""
    answers: int
    """Answers, skipped ones, and one for drafts: what would be lost with the task."""
    rows: int = 0
    """Answers that are no skips, whoever gave them: by these the server closes a task."""
    overlap: int = 1
    """With how many of them it does."""


class Studio:
    """A labelling server, opened by a token."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection; nothing is sent yet."""
        import httpx
        from label_studio_sdk.client import LabelStudio
        from label_studio_sdk.core.api_error import ApiError

        self.connection = connection
        session = httpx.Client(
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            # A request that is sent on elsewhere would lose its body, or its token to a stranger.
            follow_redirects=False,
            trust_env=not is_loopback(connection.url),  # no proxy reaches this very machine
        )
        # With the stroke at its end: the SDK would drop the last part of the path.
        address = connection.url.rstrip("/") + "/"
        try:
            client = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=address, api_key=connection.token, httpx_client=session
            )
        except ApiError as error:
            raise self._refusal(error.status_code, error.body) from None
        self._http = client._client_wrapper.httpx_client

    # The server ----------------------------------------------------------------------------------

    def whoami(self) -> dict[str, Any]:
        """Return the user whose token it is."""
        return dict(self._ask("GET", "api/current-user/whoami"))

    # Projects ------------------------------------------------------------------------------------

    def create_project(
        self, title: str, template: str, overlap: int, instruction: str, description: str = ""
    ) -> int:
        """Make a project that shows nobody what others have said, and return its number."""
        project = {
            **BLIND,
            "title": title,
            "description": description,
            "label_config": template,
            "maximum_annotations": overlap,
            "expert_instruction": instruction,
        }
        return int(self._ask("POST", "api/projects/", body=project)["id"])

    def find_project(self, description: str) -> int | None:
        """Return the number of the first project that is so described, None if there is none."""
        found, page = [], 1
        while True:
            params = {"include": "id,description", "page": page, "page_size": 100}
            answer = self._ask("GET", "api/projects/", params)
            found += [p["id"] for p in answer["results"] if p["description"] == description]
            if not answer["next"]:
                return min(found, default=None)
            page += 1

    def project(self, number: int) -> dict[str, Any] | None:
        """Return the project's settings, None if there is none of this number."""
        try:
            return dict(self._ask("GET", f"api/projects/{number}/"))
        except StudioError as error:
            if error.status == 404:
                return None
            raise

    def change_project(self, number: int, settings: Mapping[str, Any]) -> None:
        """Change some of the project's settings."""
        self._ask("PATCH", f"api/projects/{number}/", body=settings)

    def serve_folder(self, project: int, folder: str) -> None:
        """Let the project's raters see the files of a folder of the server's machine.

        Without such a storage the server hands out no file. It is never synchronised, as that would
        make a task of every file: its filter lets nothing pass.
        """
        path = "api/storages/localfiles/"
        known = self._ask("GET", path, {"project": project})
        if folder not in {storage["path"] for storage in known}:
            storage = {"project": project, "path": folder, "title": "occlufer"}
            storage |= {"use_blob_urls": True, "regex_filter": "^$"}
            self._ask("POST", path, body=storage)

    # Tasks ---------------------------------------------------------------------------------------

    def task_index(self, project: int) -> dict[str, list[int]]:
        """Return {occlufer_id: numbers of its tasks, the oldest first}."""
        index: dict[str, list[int]] = {}
        for task in self.tasks(project):
            if task.occlufer_id is not None:
                index.setdefault(task.occlufer_id, []).append(task.number)
        return index

    def tasks(self, project: int) -> Iterator[Task]:
        """Yield the project's tasks, in the order of numbers."""
        rows = list(self._rows(project, "id,data,total_annotations,cancelled_annotations,overlap"))
        # A column of drafts would show those of the token's own user only.
        drafts = _filter("draft_exists", "equal", "Boolean", True)
        begun = {row["id"] for row in self._rows(project, "id", [drafts])} if rows else set()
        for row in rows:
            name = row["data"].get("occlufer_id")
            votes, skips = row["total_annotations"], row["cancelled_annotations"]
            answers = votes + skips + (row["id"] in begun)
            shown = None if name is None else str(name)
            yield Task(row["id"], shown, answers, votes, row["overlap"])

    def changed_tasks(self, project: int, since: str = "") -> list[tuple[int, str]]:
        """Return (number, updated_at) of the tasks that have changed after the time `since`.

        An answer that is given, changed, skipped or deleted changes its task, and so does making
        it. The empty text means all tasks. Times are ISO 8601; the server's are in UTC.
        """
        changed = []
        if since:
            changed = [_filter("updated_at", "greater", "Datetime", server_time(since))]
        rows = self._rows(project, "id,updated_at", changed)
        return [(row["id"], row["updated_at"]) for row in rows]

    def newest_change(self, project: int) -> str:
        """Return the largest `updated_at` of the project's tasks; the empty text if it has none."""
        query = json.dumps({"ordering": ["-tasks:updated_at"]})
        params = {"project": project, "page_size": 1, "include": "updated_at", "query": query}
        rows = self._ask("GET", "api/tasks/", params | {"resolve_uri": "false"})["tasks"]
        return server_time(rows[0]["updated_at"]) if rows else ""

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks, in one request.

        Raises UnsureError if the connection was lost meanwhile: they may be there, or come yet.
        """
        if tasks:
            self._ask("POST", f"api/projects/{project}/import", body=list(tasks))

    def delete_tasks(self, project: int, numbers: Sequence[int]) -> None:
        """Delete tasks and with them their answers; such as are gone already do no harm."""
        for some in in_parts(numbers, DELETED_AT_ONCE):
            body = {"selectedItems": {"all": False, "included": list(some)}}
            self._ask("POST", "api/dm/actions", {"id": "delete_tasks", "project": project}, body)

    def delete_unanswered(self, project: int, numbers: Sequence[int]) -> int:
        """Delete those of the tasks that nobody has begun by now, and return how many."""
        count = 0
        for some in in_parts(numbers, EXPORTED_AT_ONCE):
            tasks = self.export(project, some)
            idle = [task["id"] for task in tasks if not task["annotations"] + task["drafts"]]
            if idle:
                self.delete_tasks(project, idle)
            count += len(idle)
        return count

    def reopen(self, task: int, people: int) -> None:
        """Let the server close a task only with so many answers, more than it has."""
        # Of its own accord the server would not look anew whether the task is complete.
        self._ask("PATCH", f"api/tasks/{task}/", body={"overlap": people, "is_labeled": False})

    def export(self, project: int, tasks: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return the tasks with their answers, as the server's export "JSON" has them.

        Of given numbers all tasks come that are there, with or without answers; else all tasks of
        the project that have answers.
        """
        path, kind = f"api/projects/{project}/export", {"exportType": "JSON"}
        if tasks is None:
            return list(self._ask("GET", path, kind))
        found: list[dict[str, Any]] = []
        for some in in_parts(tasks, EXPORTED_AT_ONCE):
            params = {**kind, "download_all_tasks": "true", "ids[]": list(some)}
            found += self._ask("GET", path, params)
        return found

    def _rows(
        self, project: int, columns: str, only: Sequence[Mapping[str, Any]] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield the project's tasks that pass the filters `only`, in the order of numbers.

        Every page asks for what comes behind the last number: while tasks are added and deleted
        a count of pages would skip some.
        """
        last = 0
        while True:
            items = [*only, _filter("id", "greater", "Number", last)]
            query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
            params = {"project": project, "page_size": LISTED_AT_ONCE, "include": columns}
            params |= {"resolve_uri": "false", "query": json.dumps(query)}
            rows = self._ask("GET", "api/tasks/", params)["tasks"]
            yield from rows
            if len(rows) < LISTED_AT_ONCE:
                return
            last = rows[-1]["id"]

    # Requests ------------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Return the JSON of the answer; nothing that changes the server is ever sent twice."""
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            response = self._http.request(
                path,
                method=method,
                params=dict(params or {}),
                content=None if body is None else json.dumps(body).encode(),
                headers={} if body is None else {"Content-Type": "application/json"},
                request_options={"max_retries": 2 if method == "GET" else 0},
            )
        except ApiError as error:  # from the exchange of a personal access token
            raise self._refusal(error.status_code, error.body) from None
        except httpx.ConnectError:
            raise StudioError(f"{self.connection.url}: no server answers there") from None
        except httpx.HTTPError as error:  # its text may hold the request's headers
            self._lost(type(error).__name__)
        except (ValueError, httpx.InvalidURL):
            raise self._stranger() from None
        if response.status_code in UNSURE_STATUS:
            self._lost(str(response.status_code))
        if not response.is_success:
            raise self._refusal(response.status_code, _content(response))
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._stranger() from None

    def _stranger(self) -> StudioError:
        url = self.connection.url
        return StudioError(f"{url}: found no API of Label Studio with this address and token")

    def _lost(self, how: str) -> NoReturn:
        raise UnsureError(f"{self.connection.url}: the connection was lost ({how})") from None

    def _refusal(self, status: int | None, body: Any) -> StudioError:
        detail = _detail(body, self.connection.token)
        if status in (401, 403):
            detail += "; expected a token of this server that is still valid"
        elif status is not None and 300 <= status < 400:
            detail = "sent on elsewhere; expected the address that answers itself"
        return StudioError(f"{self.connection.url}: status {status}: {detail}", status)


def is_loopback(url: str) -> bool:
    """Return whether the address is on this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_time(text: str) -> str:
    """Return an ISO 8601 time in the only form that the server's filters take: others crash it."""
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    when = when.astimezone(timezone.utc) if when.tzinfo else when
    return when.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _filter(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    name = f"filter:tasks:{column}"
    return {"filter": name, "operator": operator, "type": kind, "value": value}


def in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _content(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _detail(body: Any, token: str) -> str:
    """Return in one line what the server says is wrong, without what it was sent of secrets."""
    if isinstance(body, dict):
        known = body.get("validation_errors") or body.get("detail") or body
        text = known if isinstance(known, str) else json.dumps(known)
    else:
        text = str(body)
    if "<html" in text.lower():
        text = "a web page, expected the API of Label Studio"
    # Before it is cut, or a part of a token would pass.
    text = SECRETS.sub("***", text.replace(token, "***") if token else text)
    return " ".join(text.split())[:DETAIL_CHARACTERS]
