"""The client asks a real Label Studio, and tells no secrets when that fails."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import traceback
from base64 import urlsafe_b64encode
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lossy_gateway import LossyGateway

from occlufer.annotation.studio import (
    Connection,
    Studio,
    StudioError,
    UnsureError,
    is_loopback,
    server_time,
)
from occlufer.annotation.template import INSTRUCTION, template_text
from occlufer.errors import OccluferError

if TYPE_CHECKING:
    from web_server import WebServer

HOST = "127.0.0.1"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
NUMBERS = itertools.count()


@pytest.fixture
def studio(studio_server: Any) -> Studio:
    return Studio(studio_server.connection)


@pytest.fixture
def project(studio: Studio) -> int:
    mark = f"test_studio {next(NUMBERS)} {time.time_ns()}"
    number: int = studio.create_project("test studio", template_text(), 2, INSTRUCTION, mark)
    return number


def tasks(*names: str) -> list[dict[str, Any]]:
    return [{"data": {"image": f"/data/local-files/?d=x/{n}", "occlufer_id": n}} for n in names]


def raw(studio: Studio) -> httpx.Client:
    """The server's API without a line of the client's."""
    headers = {"Authorization": f"Token {studio.connection.token}"}
    return httpx.Client(base_url=studio.connection.url, headers=headers, timeout=60)


def answer(studio: Studio, task: int, label: str = "fear", **more: Any) -> Any:
    result = [
        {
            "from_name": "expression",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [label]},
        }
    ]
    with raw(studio) as api:
        response = api.post(f"/api/tasks/{task}/annotations/", json={"result": result, **more})
        assert response.status_code == 201
        return response.json()["id"]


# What needs no server ----------------------------------------------------------------------------


def test_a_connection_does_not_show_its_token() -> None:
    connection = Connection("https://labels.example.org", SECRET)
    assert SECRET not in repr(connection)
    assert SECRET not in str(connection)
    assert SECRET not in f"{[connection]}"


@given(st.datetimes(timezones=st.sampled_from([timezone.utc])))
def test_times_are_given_in_the_one_form_that_the_server_takes(moment: datetime) -> None:
    text = server_time(moment.isoformat())
    assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ") == moment.replace(tzinfo=None)
    assert server_time(text) == text


def test_a_time_of_another_zone_is_brought_to_utc() -> None:
    assert server_time("2026-01-02T03:04:05+02:00") == "2026-01-02T01:04:05.000000Z"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        (f"http://{HOST}:8080", True),
        ("http://[::1]:8080", True),
        ("http://" + "localhost" + ":8080/x", True),
        ("https://labels.example.org", False),
        ("http://" + "10.0.0.1", False),
    ],
)
def test_only_this_machine_is_the_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) == here


def secret_in(error: BaseException) -> bool:
    shown = "".join(traceback.format_exception(error)) + str(error) + repr(error)
    return SECRET in shown or "sessionid" in shown.lower()


def test_nobody_at_the_address_is_an_error_in_one_line() -> None:
    with pytest.raises(StudioError, match="no server answers there") as caught:
        Studio(Connection(f"http://{HOST}:9", SECRET)).whoami()
    assert not secret_in(caught.value)


@pytest.mark.parametrize("token", [f"{SECRET}\nX: y", f"{SECRET}é", "", f" {SECRET}"])
def test_a_token_that_no_header_can_carry_is_an_error_that_does_not_show_it(token: str) -> None:
    with pytest.raises(OccluferError) as caught:
        Studio(Connection(f"http://{HOST}:9", token)).whoami()
    assert not secret_in(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>hello</html>", "found no API of Label Studio"),
        (302, b"", "sent on elsewhere"),
        (401, b'{"detail": "Invalid token."}', "Invalid token.; expected a token"),
        (400, b'{"validation_errors": {"title": ["too long"]}}', r'"title": \["too long"\]'),
        (400, b'{"detail": "for ' + SECRET.encode() + b'"}', r"for \*\*\*"),
        (413, b"<html>too large</html>", "status 413: a web page"),
    ],
)
def test_what_a_server_refuses_is_said_with_its_status_and_detail_only(
    web_server: WebServer, status: int, body: bytes, said: str
) -> None:
    headers = {"Set-Cookie": "sessionid=abc123; Path=/", "Location": f"/elsewhere?t={SECRET}"}
    web_server.routes["/api/current-user/whoami"] = web_server.answer(body, status, headers)
    with pytest.raises(StudioError, match=said) as caught:
        Studio(Connection(web_server.url(""), SECRET)).whoami()
    assert not secret_in(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_that_has_run_out_is_said_to_have() -> None:
    parts = ({"alg": "HS256"}, {"exp": int(time.time()) - 5, "token_type": "refresh"})
    packed = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    token = b".".join([*packed, b"c2lnbmF0dXJl"]).decode()
    with pytest.raises(StudioError, match="has expired") as caught:
        Studio(Connection(f"http://{HOST}:9", token))
    assert token not in str(caught.value)


# Against the real server -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_legacy_token_and_a_personal_access_token_open_the_server(
    studio: Studio, project: int
) -> None:
    with raw(studio) as api:
        both = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
        assert api.post("/api/jwt/settings", json=both).is_success
        token = api.post("/api/token/", json={}).json()["token"]
    personal = Studio(Connection(studio.connection.url, token))
    assert personal.whoami()["email"] == studio.whoami()["email"]
    personal.import_tasks(project, tasks("a"))
    assert list(studio.task_index(project)) == ["a"]
    # Its access token is good for five minutes; a new one is fetched when it has run out.
    tokens: Any = personal._http.base_headers.__self__._tokens_client
    first = tokens._access_token
    tokens._access_token = first[:-8] + "AAAAAAAA"
    with pytest.raises(StudioError, match="status 401"):  # or this test would show nothing
        personal.whoami()
    parts = ({"alg": "HS256"}, {"exp": int(time.time()) - 5})
    packed = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    tokens._access_token = b".".join([*packed, b"c2lnbmF0dXJl"]).decode()
    assert personal.whoami()["email"] == studio.whoami()["email"]


@pytest.mark.slow
def test_tasks_are_indexed_by_their_image_in_the_order_in_which_they_came(
    studio: Studio, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.annotation.studio.LISTED_AT_ONCE", 3)
    names = [f"n{number}" for number in range(7)]
    studio.import_tasks(project, tasks(*names))
    studio.import_tasks(project, tasks("n2"))  # the server doubles without a word
    with raw(studio) as api:  # somebody else's, without our name
        body = [{"data": {"image": "x"}}]
        assert api.post(f"/api/projects/{project}/import", json=body).status_code == 201
    index = studio.task_index(project)
    assert list(index) == names
    assert [len(numbers) for numbers in index.values()] == [1, 1, 2, 1, 1, 1, 1]
    firsts = [numbers[0] for numbers in index.values()]
    assert firsts == sorted(firsts)
    assert [task.occlufer_id for task in studio.tasks(project)] == [*names, "n2", None]


@pytest.mark.slow
def test_answers_skips_and_drafts_count_as_something_to_lose(studio: Studio, project: int) -> None:
    studio.import_tasks(project, tasks("given", "skipped", "draft", "nothing"))
    number = {name: numbers[0] for name, numbers in studio.task_index(project).items()}
    answer(studio, number["given"])
    answer(studio, number["skipped"], was_cancelled=True)
    with raw(studio) as api:
        body = {"result": [], "lead_time": 1.0}
        assert api.post(f"/api/tasks/{number['draft']}/drafts", json=body).is_success
    counts = {task.occlufer_id: task.answers for task in studio.tasks(project)}
    assert counts == {"given": 1, "skipped": 1, "draft": 1, "nothing": 0}


@pytest.mark.slow
def test_what_changes_an_answer_changes_its_task_and_nothing_else_does(
    studio: Studio, project: int
) -> None:
    studio.import_tasks(project, tasks("a", "b", "c"))
    known = dict(studio.changed_tasks(project))
    since = max(known.values())
    number = {name: numbers[0] for name, numbers in studio.task_index(project).items()}
    assert set(known) == set(number.values())
    assert studio.changed_tasks(project, since) == []
    mine = answer(studio, number["b"])
    for change in ("create", "update", "skip", "delete"):
        with raw(studio) as api:
            path = f"/api/annotations/{mine}/"
            if change == "update":
                assert api.patch(path, json={"lead_time": 9.0}).is_success
            elif change == "skip":
                assert api.patch(path, json={"was_cancelled": True, "result": []}).is_success
            elif change == "delete":
                assert api.delete(path).is_success
        changed = studio.changed_tasks(project, since)
        assert [task for task, _ in changed] == [number["b"]], change
        since = changed[0][1]
    with raw(studio) as api:  # the form that our client never sends
        filters = [
            {
                "filter": "filter:tasks:updated_at",
                "operator": "greater",
                "type": "Datetime",
                "value": "2026-01-01T00:00:00+00:00",
            }
        ]
        query = json.dumps({"filters": {"conjunction": "and", "items": filters}})
        crashed = api.get("/api/tasks/", params={"project": project, "query": query})
        assert crashed.status_code == 500


@pytest.mark.slow
def test_tasks_are_deleted_and_exported_by_their_numbers(
    studio: Studio, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.annotation.studio.EXPORTED_AT_ONCE", 2)
    monkeypatch.setattr("occlufer.annotation.studio.DELETED_AT_ONCE", 2)
    studio.import_tasks(project, tasks(*"abcdef"))
    number = {name: numbers[0] for name, numbers in studio.task_index(project).items()}
    answer(studio, number["b"])
    exported = studio.export(project, list(number.values()))
    assert {task["data"]["occlufer_id"]: len(task["annotations"]) for task in exported} == {
        **dict.fromkeys("acdef", 0),
        "b": 1,
    }
    assert [task["id"] for task in studio.export(project)] == [number["b"]]
    studio.delete_tasks(project, [])
    assert len(studio.task_index(project)) == 6
    studio.delete_tasks(project, [number["a"], number["c"], number["f"], 999_999_999])
    assert list(studio.task_index(project)) == ["b", "d", "e"]
    assert studio.export(project, [number["a"]]) == []


@pytest.mark.slow
def test_a_project_shows_nobody_what_others_said_and_is_found_by_its_description(
    studio: Studio,
) -> None:
    mark = f"test_studio {time.time_ns()}"
    assert studio.find_project(mark) is None
    number = studio.create_project("blind", template_text(), 3, INSTRUCTION, mark)
    assert studio.find_project(mark) == number
    with raw(studio) as api:
        settings = api.get(f"/api/projects/{number}/").json()
    assert settings["maximum_annotations"] == 3
    assert settings["sampling"] == "Sequential sampling"
    assert settings["expert_instruction"].strip() == INSTRUCTION.strip()
    for name in ("show_collab_predictions", "show_instruction", "enable_empty_annotation"):
        assert settings[name] is False, name
    assert settings["label_config"] == template_text()
    assert studio.project(999_999_999) is None
    with pytest.raises(StudioError, match="status 404"):
        studio.change_project(999_999_999, {"title": "x"})
    with pytest.raises(StudioError, match=r"status 400: .*title"):
        studio.create_project("x" * 60, template_text(), 3, INSTRUCTION)


@pytest.mark.slow
def test_the_invitation_is_a_page_on_which_one_signs_up(studio_server: Any) -> None:
    page = httpx.get(studio_server.invite, timeout=60)
    assert page.status_code == 200
    assert "csrfmiddlewaretoken" in page.text


@pytest.mark.slow
def test_an_import_whose_answer_is_lost_is_unsure_and_not_sent_again(
    studio: Studio, project: int
) -> None:
    gateway = LossyGateway(studio.connection.url, "/import")
    through = Studio(Connection(gateway.url, studio.connection.token))
    with contextlib.closing(gateway), pytest.raises(UnsureError, match="the connection was lost"):
        through.import_tasks(project, tasks("a", "b"))
    assert {name: len(n) for name, n in studio.task_index(project).items()} == {"a": 1, "b": 1}
    assert gateway.lost == 1
