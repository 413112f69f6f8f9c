"""Openverse, by a server on the loopback that answers in its shape."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from occlufer.builders.web.errors import ServiceError
from occlufer.builders.web.fetch import Fetcher, Limits
from occlufer.builders.web.openverse import search
from occlufer.builders.web.photograph import Photograph
from occlufer.errors import MissingError, UsageError

if TYPE_CHECKING:
    from web_server import Route, WebServer

IMAGES, TOKEN = "/v1/images/", "/v1/auth_tokens/token/"
QUERY = "scared face mask"
CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN = "id-of-the-client-1234", "s3cret-5678", "token-abcd-9"
Parameters = dict[str, str]


@dataclass(frozen=True)
class Settings:
    endpoint: str
    licences: tuple[str, ...] = ("CC0", "PDM", "CC-BY", "CC-BY-SA")
    limit: int = 100


@pytest.fixture(autouse=True)
def anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVERSE_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("OPENVERSE_CLIENT_SECRET", CLIENT_SECRET)


@pytest.fixture
def find(web_server: WebServer) -> Iterator[Callable[..., list[Photograph]]]:
    """Search at the server."""
    limits = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=0)
    client = Fetcher("occlufer/0 (mailto:me@photos.example)", limits, {web_server.host})

    def found(query: str = QUERY, **settings: Any) -> list[Photograph]:
        return list(search(query, client, Settings(web_server.url(""), **settings)))

    yield found
    client.close()


def image(number: int, **changes: Any) -> dict[str, Any]:
    """One result, with the fields that Openverse gives."""
    here = f"https://api.openverse.org/v1/images/0aff3595-8168-440b-83ff-7b80b65dea{number:02}/"
    return {
        "id": f"0aff3595-8168-440b-83ff-7b80b65dea{number:02}",
        "title": f"Masked {number}",
        "indexed_on": "2019-06-10T14:01:43.310000Z",
        "foreign_landing_url": f"https://www.flickr.com/photos/18090920@N07/{number}",
        "url": f"https://live.staticflickr.com/65535/{number}_b.jpg",
        "creator": "Eric L. <b>Smith</b>",
        "creator_url": "https://www.flickr.com/photos/18090920@N07",
        "license": "by",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": "photograph",
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"name": "mask", "accuracy": None, "unstable__provider": "flickr"}],
        "attribution": f'"Masked {number}" by Eric L. Smith is licensed under CC BY 2.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 683,
        "width": 1024,
        "thumbnail": f"{here}thumb/",
        "detail_url": here,
        "related_url": f"{here}related/",
        "unstable__sensitivity": [],
        **changes,
    }


def page(results: list[Any], number: int = 1, pages: Any = 1, **changes: Any) -> dict[str, Any]:
    head = {"result_count": 240, "page_count": pages, "page_size": 20, "page": number}
    return {**head, "results": results, **changes}


def as_json(answer: Callable[[Parameters], Any]) -> Route:
    """Return a route whose answer depends on the query; a number is a status."""

    def route(handler: BaseHTTPRequestHandler) -> None:
        found = answer(dict(parse_qsl(urlsplit(handler.path).query)))
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        status = found if isinstance(found, int) else 200
        handler.send_response_only(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return route


def three_pages(asked: Parameters) -> Any:
    number, size = int(asked["page"]), int(asked["page_size"])
    first = (number - 1) * size
    return page([image(n) for n in range(first, min(first + size, 45))], number, 3)


def parameters(web_server: WebServer) -> list[Parameters]:
    return [
        dict(parse_qsl(urlsplit(asked.path).query))
        for asked in web_server.asked
        if asked.path.startswith(IMAGES)
    ]


def test_a_result_becomes_a_photograph_with_its_rights(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([image(7)]))
    assert find() == [
        Photograph(
            url="https://live.staticflickr.com/65535/7_b.jpg",
            service="openverse",
            page="https://www.flickr.com/photos/18090920@N07/7",
            licence="CC-BY-2.0",
            licence_url="https://creativecommons.org/licenses/by/2.0/",
            author="Eric L. Smith",
            title="Masked 7",
            query="scared face mask",
            said={
                "license": "by",
                "license_version": "2.0",
                "license_url": "https://creativecommons.org/licenses/by/2.0/",
                "source": "flickr",
                "attribution": '"Masked 7" by Eric L. Smith is licensed under CC BY 2.0.',
            },
        )
    ]


def test_pages_are_asked_for_in_order_and_none_in_vain(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(three_pages)
    assert [p.title for p in find()] == [f"Masked {n}" for n in range(45)]
    asked = parameters(web_server)
    assert [a["page"] for a in asked] == ["1", "2", "3"]
    assert {a["page_size"] for a in asked} == {"20"}  # more is refused without credentials
    expected = {"q": "scared face mask", "license": "cc0,pdm,by,by-sa", "mature": "false"}
    assert all(expected.items() <= a.items() for a in asked)


@pytest.mark.parametrize(("limit", "pages"), [(1, 1), (20, 1), (21, 2), (40, 2), (45, 3)])
def test_a_limit_ends_the_search(
    web_server: WebServer, find: Callable[..., list[Photograph]], limit: int, pages: int
) -> None:
    web_server.routes[IMAGES] = as_json(three_pages)
    assert len(find(limit=limit)) == limit
    assert len(parameters(web_server)) == pages


def test_results_come_as_they_are_read(web_server: WebServer) -> None:
    web_server.routes[IMAGES] = as_json(three_pages)
    client = Fetcher("occlufer/0", Limits(per_host_s=0), {web_server.host})
    results = search(QUERY, client, Settings(web_server.url("")))
    assert web_server.requests[IMAGES] == 0
    next(results)
    assert web_server.requests[IMAGES] == 1


def test_licences_are_asked_for_by_openverse_s_codes(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([]))
    find(licences=("CC-BY-NC-SA", "GFDL", "CC-BY-ND"))
    assert parameters(web_server)[0]["license"] == "by-nc-sa,by-nd"
    with pytest.raises(UsageError, match=r"openverse, licences: found GFDL, expected .* CC0, PDM"):
        find(licences=("GFDL",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mature": True}, "1 mature"),
        ({"filetype": "svg"}, "1 file_type"),
        ({"url": None}, "url: found null, expected a text"),
        ({"url": "ftp://example.org/a.jpg"}, "url: found ftp:.*expected an address"),
        ({"url": "https://me:pass@example.org/a.jpg"}, "found a name or a password"),
        ({"license": 4}, "license: found 4, expected a text"),
        ({"mature": "false"}, 'mature: found "false", expected true or false'),
        ({"tags": "mask"}, 'tags: found "mask", expected a list'),
        ({"id": None}, "id: found null"),
    ],
)
def test_a_result_that_cannot_be_used_is_left_out_and_counted(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    results = [image(1), image(2, **changes), image(3)]
    web_server.routes[IMAGES] = as_json(lambda asked: page(results))
    with caplog.at_level(logging.INFO):
        assert [p.title for p in find()] == ["Masked 1", "Masked 3"]
    (message,) = caplog.messages
    assert "openverse, 'scared face mask': left out 1 results" in message
    assert re.search(reason, message)


@pytest.mark.parametrize(
    ("changes", "licence"),
    [
        ({"license": "cc0", "license_version": "1.0"}, ""),  # the address says by/2.0
        ({"license": "cc0", "license_version": "1.0", "license_url": None}, "CC0-1.0"),
        ({"license": "sampling+", "license_version": "1.0", "license_url": None}, ""),
        ({"license_version": None}, "CC-BY-2.0"),
    ],
)
def test_a_licence_is_known_only_if_code_and_address_agree(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    changes: dict[str, Any],
    licence: str,
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([image(1, **changes)]))
    (photograph,) = find()
    assert photograph.licence == licence
    assert bool(photograph.licence_url) == bool(licence)
    assert photograph.said["license"] == changes.get("license", "by")


def test_an_owner_s_tag_is_an_opt_out(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    tagged = image(1, tags=[{"name": "mask"}, {"name": "no_cv"}])
    web_server.routes[IMAGES] = as_json(lambda asked: page([tagged, image(2, tags=None)]))
    assert [p.opted_out for p in find()] == ["tag no_cv", ""]


def test_unstable_fields_and_unknown_ones_change_nothing(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    plain = image(1)
    changed = {k: v for k, v in plain.items() if not k.startswith("unstable__")} | {"new": {}}
    web_server.routes[IMAGES] = as_json(lambda asked: page([plain]))
    before = find()
    web_server.routes[IMAGES] = as_json(lambda asked: page([changed], warnings=[]))
    assert find() == before


def test_an_empty_page_ends_the_search_whatever_is_promised(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([], pages=12))
    assert find() == []
    assert web_server.requests[IMAGES] == 1


def test_a_page_that_comes_again_is_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([image(1), image(2)], pages=9))
    with pytest.raises(ServiceError, match="found page 2 once more, expected new results"):
        find()
    assert web_server.requests[IMAGES] == 2


def test_without_end_the_search_ends_where_openverse_would_refuse(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(
        lambda asked: page([image(int(asked["page"]))], pages="9999")
    )
    assert len(find(limit=1000)) == 12


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<!DOCTYPE html><html>Sorry</html>", "found a page of HTML or XML, expected JSON"),
        (b"", "found no bytes, expected JSON"),
        (b'{"results": [', "found no JSON, expected JSON"),
        (b"[" * 100_000, "found no JSON, expected JSON"),
        (b"[1, 2]", "found a list of 2, expected an object"),
        (b"{}", "results: found nothing, expected a list"),
        (b'{"detail": "Invalid page."}', 'found the error "Invalid page.", expected results'),
        (b'{"results": {}, "page_count": 1}', "results: found an object, expected a list"),
        (b'{"results": [{}], "page_count": "many"}', 'page_count: found "many", expected a whole'),
        (b'{"results": [{}]}', "page_count: found nothing, expected a whole number"),
        (b'{"results": [{}], "page_count": 1.5}', "page_count: found 1.5, expected a whole"),
        (b'{"results": [{}], "page_count": true}', "page_count: found true, expected a whole"),
        (b'{"results": [{}], "page_count": -1}', "page_count: found -1, expected a whole"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_field_and_page(
    web_server: WebServer, find: Callable[..., list[Photograph]], body: bytes, message: str
) -> None:
    web_server.routes[IMAGES] = web_server.answer(body)
    with pytest.raises(ServiceError) as caught:
        find()
    assert message in str(caught.value)
    assert str(caught.value).startswith("openverse, page 1")
    assert caught.value.exit_code == 1
    assert not caught.value.again


def test_a_field_that_has_gone_from_every_result_is_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    renamed = [{**image(n), "url": None, "image_url": "https://e.org/a.jpg"} for n in range(3)]
    web_server.routes[IMAGES] = as_json(lambda asked: page(renamed))
    with pytest.raises(ServiceError, match="openverse, page 1, results 1, url: found null"):
        find()


def test_things_that_are_no_results_are_left_out(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = as_json(lambda asked: page([None, 1, image(1), "x", []]))
    assert len(find()) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_what_may_go_well_later_says_so(
    web_server: WebServer, find: Callable[..., list[Photograph]], status: int
) -> None:
    web_server.routes[IMAGES] = web_server.answer(b"{}", status)
    with pytest.raises(ServiceError) as caught:
        find()
    assert caught.value.again
    assert caught.value.__context__ is None


def test_too_many_requests_without_credentials_tell_how_to_get_more(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[IMAGES] = web_server.answer(b"{}", 429, {"Retry-After": "86400"})
    with pytest.raises(ServiceError) as caught:
        find()
    for part in ("rate_limited", "100 requests a day", "OPENVERSE_CLIENT_ID", "api.openverse.org"):
        assert part in str(caught.value)


# With credentials ---------------------------------------------------------------------------------


def token(web_server: WebServer, **changes: Any) -> Route:
    fields = {
        "access_token": ACCESS_TOKEN,
        "expires_in": 36000,
        "token_type": "Bearer",
        "scope": "read write groups",
        **changes,
    }
    return web_server.answer(json.dumps(fields).encode())


@pytest.mark.usefixtures("registered")
def test_credentials_give_a_token_that_is_asked_for_once(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[TOKEN] = token(web_server)
    web_server.routes[IMAGES] = as_json(three_pages)
    assert len(find()) == len(find()) == 45
    first, *others = web_server.asked
    assert (first.method, first.path) == ("POST", TOKEN)
    assert dict(parse_qsl(first.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    assert {asked.headers["authorization"] for asked in others} == {f"Bearer {ACCESS_TOKEN}"}
    assert web_server.requests[TOKEN] == 1
    assert [a["page_size"] for a in parameters(web_server)] == ["50"] * 4


@pytest.mark.usefixtures("registered")
def test_a_token_that_is_good_no_more_is_asked_for_again(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[TOKEN] = token(web_server, expires_in=30)  # less than the margin
    web_server.routes[IMAGES] = as_json(lambda asked: page([image(1)]))
    find()
    find()
    assert web_server.requests[TOKEN] == 2


@pytest.mark.parametrize("name", ["OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"])
def test_half_of_the_credentials_is_an_error_that_names_the_other_half(
    find: Callable[..., list[Photograph]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "half-of-it")
    other = {"OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"} - {name}
    with pytest.raises(MissingError, match=f"found no {other.pop()} in the environment") as caught:
        find()
    assert "half-of-it" not in str(caught.value)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("endpoint", ["http://openverse.example.org", "nowhere", "file:///etc"])
def test_credentials_never_cross_the_network_in_the_clear(endpoint: str) -> None:
    client = Fetcher("occlufer/0")
    with pytest.raises(UsageError, match=r"openverse, endpoint: found .*, expected"):
        list(search(QUERY, client, Settings(endpoint)))


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("tokens", "images", "part"),
    [
        ({"status": 401}, {}, "does not accept OPENVERSE_CLIENT_ID"),
        ({"status": 400}, {}, "does not accept OPENVERSE_CLIENT_ID"),
        ({"status": 503}, {}, "http_503"),
        ({"body": {"error": f"unknown client {CLIENT_ID} {CLIENT_SECRET}"}}, {}, "access_token"),
        ({"body": {"access_token": {"is": ACCESS_TOKEN}}}, {}, "access_token"),
        ({"body": {"access_token": f"{ACCESS_TOKEN}\n"}}, {}, "access_token"),
        ({"body": {"access_token": ACCESS_TOKEN}}, {}, "expires_in: found nothing"),
        ({}, {"status": 401}, "does not accept OPENVERSE_CLIENT_ID"),
        ({}, {"status": 429}, "10000 a day"),
        ({}, {"body": {"detail": f"bad token {ACCESS_TOKEN} of {CLIENT_ID}"}}, "bad token ***"),
        ({}, {"body": page([{}], pages=f"{CLIENT_SECRET} {ACCESS_TOKEN}")}, '"*** ***"'),
    ],
)
def test_no_error_holds_a_credential(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    tokens: dict[str, Any],
    images: dict[str, Any],
    part: str,
) -> None:
    def served(route: dict[str, Any], default: Route) -> Route:
        body = json.dumps(route.get("body", {})).encode()
        return web_server.answer(body, route.get("status", 200)) if route else default

    web_server.routes[TOKEN] = served(tokens, token(web_server))
    web_server.routes[IMAGES] = served(images, token(web_server))
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError) as caught:
        find()
    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {caplog.text}"
    assert part in told
    for secret in (CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN):
        assert secret not in told


@pytest.mark.usefixtures("registered")
def test_no_photograph_holds_a_credential(
    web_server: WebServer, find: Callable[..., list[Photograph]], caplog: pytest.LogCaptureFixture
) -> None:
    echo = f"{CLIENT_ID} {CLIENT_SECRET} {ACCESS_TOKEN}"
    results = [
        image(1, title=echo, creator=echo, attribution=echo, source=echo),
        image(2, url=f"https://example.org/{ACCESS_TOKEN}?key={CLIENT_SECRET}"),
        image(3, mature=echo),
    ]
    web_server.routes[TOKEN] = token(web_server)
    web_server.routes[IMAGES] = as_json(lambda asked: page(results))
    with caplog.at_level(logging.DEBUG):
        photographs = find()
    assert len(photographs) == 2
    told = json.dumps([p.to_json() for p in photographs]) + caplog.text
    assert "left out 1 results" in told
    for secret in (CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN):
        assert secret not in told
