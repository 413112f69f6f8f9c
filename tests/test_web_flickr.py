"""Flickr, by a server on the loopback that answers in its shape."""

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
from occlufer.builders.web.flickr import FLICKR_IDS, flickr_licence, search
from occlufer.builders.web.photograph import Photograph
from occlufer.errors import MissingError, UsageError

if TYPE_CHECKING:
    from web_server import WebServer

API = "/services/rest/"
KEY = "0123456789abcdef0123456789abcdef"
QUERY = "scared face mask"
Parameters = dict[str, str]


@dataclass(frozen=True)
class Settings:
    endpoint: str
    licences: tuple[str, ...] = ("CC0", "PDM", "CC-BY", "CC-BY-SA")
    limit: int = 100


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", KEY)


@pytest.fixture
def find(web_server: WebServer) -> Iterator[Callable[..., list[Photograph]]]:
    """Search at the server."""
    limits = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=0)
    client = Fetcher("occlufer/0 (mailto:me@photos.example)", limits, {web_server.host})

    def found(**settings: Any) -> list[Photograph]:
        return list(search(QUERY, client, Settings(web_server.url(API), **settings)))

    yield found
    client.close()


def licences() -> list[dict[str, Any]]:
    """Return what flickr.photos.licenses.getInfo answers."""
    known = ((number, name, flickr_licence(number)) for number, name in FLICKR_IDS.items())
    help_page = "https://www.flickrhelp.com/hc/en-us/articles/10710266545556"
    return [{"id": 0, "name": "All Rights Reserved", "url": help_page}] + [
        {"id": int(number), "name": name, "url": licence.url if licence else ""}
        for number, name, licence in known
    ]


def photo(number: int, **changes: Any) -> dict[str, Any]:
    """One photograph, with the fields that Flickr gives; a change to ... takes one out."""
    there = f"https://live.staticflickr.com/65535/{number}_b0b0b0b0b0"
    fields = {
        "id": f"{number}",
        "owner": "18090920@N07",
        "secret": "b0b0b0b0b0",
        "server": "65535",
        "farm": 66,
        "title": f"Masked {number}",
        "ispublic": 1,
        "isfriend": 0,
        "isfamily": 0,
        "license": "4",
        "ownername": "Eric L. Smith",
        "tags": "mask portrait",
        "machine_tags": "geo:lat=1 geo:lon=2",
        "url_o": f"{there}_o.jpg",
        "height_o": 4000,
        "width_o": "6000",
        "url_k": f"{there}_k.jpg",
        "height_k": 1365,
        "width_k": 2048,
        "url_h": f"{there}_h.jpg",
        "url_l": f"{there}_b.jpg",
        "height_l": "683",
        "width_l": "1024",
        "url_c": f"{there}_c.jpg",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def page(photos: list[Any], number: int = 1, pages: Any = 1) -> dict[str, Any]:
    head = {"page": number, "pages": pages, "perpage": 100, "total": "4500"}
    return {"photos": {**head, "photo": photos}, "stat": "ok"}


def serve(web_server: WebServer, answer: Callable[[Parameters], Any], known: Any = None) -> None:
    """Let the server answer both methods."""
    info = {"licenses": {"license": licences() if known is None else known}, "stat": "ok"}

    def route(handler: BaseHTTPRequestHandler) -> None:
        asked = dict(parse_qsl(urlsplit(handler.path).query))
        is_search = asked["method"] == "flickr.photos.search"
        found = answer(asked) if is_search else info
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    web_server.routes[API] = route


def searches(web_server: WebServer) -> list[Parameters]:
    asked = [dict(parse_qsl(urlsplit(asked.path).query)) for asked in web_server.asked]
    return [a for a in asked if a["method"] == "flickr.photos.search"]


def test_a_photo_becomes_a_photograph_with_its_rights(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, lambda asked: page([photo(7)]))
    assert find() == [
        Photograph(
            url="https://live.staticflickr.com/65535/7_b0b0b0b0b0_k.jpg",
            service="flickr",
            page="https://www.flickr.com/photos/18090920@N07/7/",
            licence="CC-BY-2.0",
            licence_url="https://creativecommons.org/licenses/by/2.0/",
            author="Eric L. Smith",
            title="Masked 7",
            query="scared face mask",
            said={
                "license": "4",
                "license_name": "CC BY 2.0 https://creativecommons.org/licenses/by/2.0/",
                "rendition": "longer side 2048",
            },
        )
    ]


def test_safe_photographs_of_the_wanted_licences_are_asked_for(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, lambda asked: page([]))
    find()
    find(licences=("CC-BY-NC", "GFDL"))
    first, second = searches(web_server)
    expected = {
        "text": "scared face mask",
        "safe_search": "1",
        "content_types": "0",
        "media": "photos",
        "per_page": "100",
        "format": "json",
        "nojsoncallback": "1",
    }
    assert expected.items() <= first.items()
    assert set(first["license"].split(",")) == {"4", "11", "5", "12", "9", "10"}
    assert set(second["license"].split(",")) == {"2", "14"}
    wanted = {"license", "owner_name", "url_o", "url_l", "url_c", "tags", "machine_tags"}
    assert wanted <= set(first["extras"].split(","))
    assert web_server.requests[API] == 3  # the licences once
    with pytest.raises(UsageError, match=r"flickr, licences: found GFDL, expected one that it has"):
        find(licences=("GFDL",))


def test_what_flickr_answers_about_its_licences_wins(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    changed = [
        {"id": "4", "name": "Now BY-NC", "url": "https://creativecommons.org/licenses/by-nc/5.0/"},
        {"id": 11, "name": "CC BY-SA", "url": "https://creativecommons.org/licenses/by-sa/4.0/"},
        {"id": "17", "name": "CC BY", "url": "https://creativecommons.org/licenses/by/4.0/"},
    ]
    numbers = ["4", "11", "17", "5", "99", 10]
    photos = [photo(n, license=number) for n, number in enumerate(numbers)]
    serve(web_server, lambda asked: page(photos), changed)
    expected = ["", "CC-BY-SA-4.0", "CC-BY-4.0", "CC-BY-SA-2.0", "", "PDM-1.0"]
    assert [p.licence for p in find()] == expected
    assert set(searches(web_server)[0]["license"].split(",")) == {"9", "10", "17", "5", "11", "12"}


@pytest.mark.parametrize(
    ("there", "small", "expected"),
    [
        ("okhlc", False, "k"),
        ("ohlc", False, "h"),
        ("lc", False, "b"),
        ("oc", False, "c"),
        ("oc", True, "o"),  # the original is no larger than we want
        ("o", False, "o"),
        ("c", False, "c"),
    ],
)
def test_the_largest_rendition_that_is_not_too_large_is_taken(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    there: str,
    small: bool,
    expected: str,
) -> None:
    changes: dict[str, Any] = {f"url_{x}": ... for x in "okhlc" if x not in there}
    changes |= {"width_o": 1000, "height_o": "900"} if small else {}
    serve(web_server, lambda asked: page([photo(1, **changes)]))
    assert find()[0].url.endswith(f"_{expected}.jpg")


@pytest.mark.parametrize(
    ("tags", "machine_tags", "opted_out"),
    [
        ("mask nocv", "", "tag nocv"),
        ("mask no_cv", "", "tag no_cv"),
        ("No-CV", "", "tag No-CV"),
        ("", "noai", "tag noai"),
        ("mask cvno snocvs", "", ""),
        ("", "", ""),
    ],
)
def test_an_owner_s_tag_is_an_opt_out(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    tags: str,
    machine_tags: str,
    opted_out: str,
) -> None:
    serve(web_server, lambda asked: page([photo(1, tags=tags, machine_tags=machine_tags)]))
    assert find()[0].opted_out == opted_out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tags": ...}, "tags: found nothing, expected a text"),  # who knows what they say
        ({"license": ...}, "license: found nothing, expected a text"),
        ({"owner": None}, "owner: found null, expected a text"),
        ({f"url_{x}": ... for x in "okhlc"}, "url_l: found nothing, expected an address"),
        ({"url_k": "javascript:alert(1)"}, "url_k: found javascript:"),
        ({"url_k": ..., "url_h": ..., "url_l": ..., "width_o": "wide"}, 'width_o: found "wide"'),
    ],
)
def test_a_photo_that_cannot_be_used_is_left_out_and_counted(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    photos = [photo(1), photo(2, **changes), photo(3)]
    serve(web_server, lambda asked: page(photos))
    with caplog.at_level(logging.INFO):
        assert [p.title for p in find()] == ["Masked 1", "Masked 3"]
    (message,) = caplog.messages
    assert re.search(rf"flickr, 'scared face mask': left out 1 results: .*{reason}", message)


def test_pages_are_asked_for_up_to_the_last_or_to_the_limit(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    def answer(asked: Parameters) -> Any:
        number, size = int(asked["page"]), int(asked["per_page"])
        return page([photo(number * size + n) for n in range(size)], number, "3")

    serve(web_server, answer)
    assert len(find(limit=1000)) == 750
    assert [a["per_page"] for a in searches(web_server)] == ["250"] * 3
    web_server.asked.clear()
    assert len(find(limit=300)) == 300
    assert len(searches(web_server)) == 2


def test_flickr_is_asked_for_no_more_than_it_gives(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, lambda asked: page([photo(int(asked["page"]))], pages=99999))
    assert len(find(limit=100_000)) == 16  # 4 000 results by 250


def test_the_last_page_once_more_is_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, lambda asked: page([photo(1)], pages=5))
    with pytest.raises(ServiceError, match="found page 2 once more, expected new results"):
        find()


def test_an_empty_page_ends_the_search(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, lambda asked: page([], pages=5))
    assert find() == []
    assert len(searches(web_server)) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "found a page of HTML or XML, expected JSON"),
        (b"jsonFlickrApi({})", "found no JSON, expected JSON"),
        (b"{}", "stat: found nothing, expected a text"),
        (b'{"stat": "ok"}', "photos: found nothing, expected an object"),
        (b'{"stat": "ok", "photos": {"photo": null}}', "photo: found null, expected a list"),
        (
            b'{"stat": "ok", "photos": {"photo": [{}], "pages": "x"}}',
            'pages: found "x", expected a whole number',
        ),
        (b'{"stat": "fail", "code": 3, "message": "No"}', "found the error 3 (No)"),
        (b'{"stat": "fail"}', "found the error  ()"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_the_field(
    web_server: WebServer, find: Callable[..., list[Photograph]], body: bytes, message: str
) -> None:
    serve(web_server, lambda asked: body)
    with pytest.raises(ServiceError) as caught:
        find()
    assert str(caught.value).startswith("flickr, page 1")
    assert message in str(caught.value)
    assert not caught.value.again


@pytest.mark.parametrize(
    "known", [[{"id": 4}], [{"name": "CC BY"}], "none", [None]], ids=["name", "id", "list", "null"]
)
def test_licences_that_cannot_be_read_are_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]], known: Any
) -> None:
    serve(web_server, lambda asked: page([photo(1)]), known)
    with pytest.raises(ServiceError, match="flickr, licences, licenses, license"):
        find()


def test_a_service_that_is_down_may_be_asked_later(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    down = {"stat": "fail", "code": 105, "message": "Service currently unavailable"}
    serve(web_server, lambda asked: down)
    with pytest.raises(ServiceError, match="105") as caught:
        find()
    assert caught.value.again


# The key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_it_is_said_where_to_get_one(
    find: Callable[..., list[Photograph]], monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("FLICKR_API_KEY")
    if value is not None:
        monkeypatch.setenv("FLICKR_API_KEY", value)
    with pytest.raises(
        MissingError, match=r"no FLICKR_API_KEY in .* https://www.flickr.com/servic"
    ):
        find()


def test_the_key_never_crosses_the_network_in_the_clear() -> None:
    with pytest.raises(UsageError, match=r"found http://flickr\.example\.org.*expected https"):
        list(search(QUERY, Fetcher("occlufer/0"), Settings("http://flickr.example.org/rest")))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"stat": "fail", "code": 100, "message": f"Invalid API Key ({KEY})"}),
        (200, {"stat": KEY}),
        (200, [KEY]),
        (200, {"stat": "ok", "photos": {"photo": [{}], "pages": KEY}}),
        (401, {}),
        (429, {}),
        (500, {}),
        (302, {}),
    ],
)
def test_no_error_holds_the_key(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: Any,
) -> None:
    serve(web_server, lambda asked: page([photo(1)]))
    find()  # so that the licences are known
    there = {"Location": f"ftp://example.org/?api_key={KEY}"} if status == 302 else {}
    web_server.routes[API] = web_server.answer(json.dumps(body).encode(), status, there)
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError) as caught:
        find()
    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {caplog.text}"
    assert "flickr" in told
    assert KEY not in told
    if isinstance(body, dict) and body.get("code") == 100:
        assert "FLICKR_API_KEY is no key that it knows" in told


def test_no_photograph_holds_the_key(
    web_server: WebServer, find: Callable[..., list[Photograph]], caplog: pytest.LogCaptureFixture
) -> None:
    photos = [
        photo(1, title=KEY, ownername=KEY, tags=KEY),
        photo(2, owner=KEY, url_k=f"https://example.org/{KEY}?key={KEY}"),
        photo(3, url_k=f"ftp://{KEY}/"),
    ]
    serve(web_server, lambda asked: page(photos))
    with caplog.at_level(logging.DEBUG):
        told = json.dumps([p.to_json() for p in find()]) + caplog.text
    assert "left out 1 results" in told
    assert KEY not in told
    assert {a["api_key"] for a in searches(web_server)} == {KEY}
