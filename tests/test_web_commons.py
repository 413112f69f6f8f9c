"""Wikimedia Commons, by a server on the loopback that answers in its shape."""

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

from occlufer.builders.web.commons import search
from occlufer.builders.web.errors import ServiceError
from occlufer.builders.web.fetch import Fetcher, Limits
from occlufer.builders.web.photograph import Photograph

if TYPE_CHECKING:
    from web_server import Route, WebServer

API = "/w/api.php"
AGENT = "occlufer/0 (mailto:me@photos.example)"
QUERY = "scared face mask"
UPLOAD = "https://upload.wikimedia.org/wikipedia/commons"
Parameters = dict[str, str]


@dataclass(frozen=True)
class Settings:
    endpoint: str
    licences: tuple[str, ...] = ("CC0", "CC-BY")
    limit: int = 100


@pytest.fixture
def find(web_server: WebServer) -> Iterator[Callable[..., list[Photograph]]]:
    """Search at the server."""
    limits = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=0)
    client = Fetcher(AGENT, limits, {web_server.host})

    def found(**settings: Any) -> list[Photograph]:
        return list(search(QUERY, client, Settings(web_server.url(API), **settings)))

    yield found
    client.close()


def said(**values: str) -> dict[str, Any]:
    """Return fields as extmetadata has them; a value of "" is left out."""
    fields = {
        "LicenseShortName": "CC BY-SA 4.0",
        "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
        "License": "cc-by-sa-4.0",
        "UsageTerms": "Creative Commons Attribution-Share Alike 4.0",
        "Artist": '<a href="//commons.wikimedia.org/wiki/User:Anna" title="User:Anna">Anna</a>',
        "ObjectName": "A masked face",
        "Copyrighted": "True",
        "Restrictions": "personality",
        **values,
    }
    return {
        name: {"value": value, "source": "commons-desc-page", "hidden": ""}
        for name, value in fields.items()
        if value
    }


def file(number: int, index: int | None = None, **changes: Any) -> dict[str, Any]:
    """One file, with the fields that MediaWiki gives in formatversion 2."""
    name = f"Face_{number}.jpg"
    info = {
        "user": "Uploader",
        "size": 2_345_678,
        "width": 6000,
        "height": 4000,
        "thumburl": f"{UPLOAD}/thumb/a/ab/{name}/1920px-{name}",
        "thumbwidth": 1920,
        "thumbheight": 1280,
        "responsiveUrls": {"1.5": f"{UPLOAD}/thumb/a/ab/{name}/3840px-{name}"},
        "url": f"{UPLOAD}/a/ab/{name}",
        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
        "descriptionshorturl": f"https://commons.wikimedia.org/w/index.php?curid={number}",
        "sha1": f"{number:040x}",
        "mime": "image/jpeg",
        "extmetadata": said(),
        **changes,
    }
    return {
        "pageid": number,
        "ns": 6,
        "title": f"File:Face {number}.jpg",
        "index": number if index is None else index,
        "imagerepository": "local",
        "imageinfo": [info],
    }


def as_json(answer: Callable[[Parameters], Any]) -> Route:
    def route(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps(answer(dict(parse_qsl(urlsplit(handler.path).query)))).encode()
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return route


def whole(*files: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an answer that is complete."""
    return {"batchcomplete": True, "query": {"pages": list(files)}, **more}


def going_on(offset: int) -> dict[str, Any]:
    return {"gsroffset": offset, "continue": "gsroffset||"}


def parameters(web_server: WebServer) -> list[Parameters]:
    return [dict(parse_qsl(urlsplit(asked.path).query)) for asked in web_server.asked]


def test_a_file_becomes_a_photograph_with_its_rights(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[API] = as_json(lambda asked: whole(file(7)))
    assert find() == [
        Photograph(
            url=f"{UPLOAD}/thumb/a/ab/Face_7.jpg/1920px-Face_7.jpg",
            service="commons",
            page="https://commons.wikimedia.org/wiki/File:Face_7.jpg",
            licence="CC-BY-SA-4.0",
            licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
            author="Anna",
            title="A masked face",
            query="scared face mask",
            sha1=f"{7:040x}",
            said={
                "LicenseShortName": "CC BY-SA 4.0",
                "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
                "License": "cc-by-sa-4.0",
                "UsageTerms": "Creative Commons Attribution-Share Alike 4.0",
                "Copyrighted": "True",
                "Restrictions": "personality",
                "uploader": "Uploader",
                "rendition": "scaled to a width of 1920, from 6000x4000",
            },
        )
    ]
    (asked,) = parameters(web_server)
    assert asked["generator"] == "search"
    assert asked["gsrnamespace"] == "6"
    assert asked["gsrsearch"] == "scared face mask filetype:bitmap"
    assert asked["iiurlwidth"] == "1920"  # a width that Wikimedia keeps
    assert asked["formatversion"] == "2"
    assert web_server.asked[0].headers["user-agent"] == AGENT


def test_a_file_that_is_not_wide_is_taken_as_it_is(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    small = file(1, width="1920", height=1280)
    bare = file(2, thumburl=None)
    web_server.routes[API] = as_json(lambda asked: whole(small, bare))
    assert [(p.url, p.said["rendition"]) for p in find()] == [
        (f"{UPLOAD}/a/ab/Face_1.jpg", "original, 1920x1280"),
        (f"{UPLOAD}/a/ab/Face_2.jpg", "original, 6000x4000"),
    ]


def test_the_search_goes_on_where_it_is_told_to(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    def answer(asked: Parameters) -> Any:
        first = int(asked.get("gsroffset", 0))
        files = [file(n) for n in range(first + 1, first + 3)]
        return whole(*files, **({"continue": going_on(first + 2)} if first < 4 else {}))

    web_server.routes[API] = as_json(answer)
    assert [p.sha1 for p in find()] == [f"{n:040x}" for n in range(1, 7)]
    assert [a.get("gsroffset") for a in parameters(web_server)] == [None, "2", "4"]
    assert [a.get("continue") for a in parameters(web_server)] == [None, *["gsroffset||"] * 2]
    web_server.asked.clear()
    assert len(find(limit=2)) == 2
    (asked,) = parameters(web_server)
    assert asked["gsrlimit"] == "20"


def test_details_that_come_in_a_second_answer_belong_to_the_files_of_the_first(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    bare = {key: value for key, value in file(2).items() if key != "imageinfo"}

    def answer(asked: Parameters) -> Any:
        if "iistart" not in asked:
            more = {"iistart": "2021-01-01T00:00:00Z", "continue": "||"}
            return {"continue": more, "query": {"pages": [file(1), bare]}}
        only = {key: value for key, value in file(1).items() if key != "imageinfo"}
        return whole(only, file(2))

    web_server.routes[API] = as_json(answer)
    assert [p.sha1 for p in find()] == [f"{1:040x}", f"{2:040x}"]


def test_files_come_in_the_order_of_the_search(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[API] = as_json(lambda asked: whole(file(1, 3), file(2, 1), file(3, 2)))
    assert [int(p.sha1, 16) for p in find()] == [2, 3, 1]


def test_a_search_that_finds_nothing_has_no_photographs(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[API] = as_json(lambda asked: {"batchcomplete": True})
    assert find() == []


@pytest.mark.parametrize(
    ("values", "licence"),
    [
        ({"LicenseShortName": "Public domain", "LicenseUrl": ""}, "PDM-1.0"),
        ({"LicenseShortName": "CC0", "LicenseUrl": ""}, "CC0-1.0"),
        ({"LicenseShortName": "GFDL", "LicenseUrl": ""}, "GFDL"),
        ({"LicenseShortName": "Attribution", "LicenseUrl": ""}, "Attribution"),
        ({"LicenseShortName": "CC BY-SA 3.0 de", "LicenseUrl": ""}, "CC-BY-SA-3.0-DE"),
        ({"LicenseShortName": "CC BY 4.0"}, ""),  # the address says BY-SA
        ({"LicenseShortName": "", "LicenseUrl": ""}, ""),
        ({"LicenseShortName": "Own terms", "LicenseUrl": ""}, ""),
        ({"NonFree": "true"}, ""),
        ({"DeletionReason": "copyright violation"}, ""),
    ],
)
def test_the_licence_is_what_the_page_says_if_that_is_known(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    values: dict[str, str],
    licence: str,
) -> None:
    web_server.routes[API] = as_json(lambda asked: whole(file(1, extmetadata=said(**values))))
    (photograph,) = find()
    assert photograph.licence == licence
    assert bool(licence) or photograph.licence_url == ""
    for name, value in values.items():
        assert photograph.said.get(name, "") == value


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Anna", "Anna"),
        ('<div class="fn">Anna<br>Müller</div>', "Anna Müller"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("<script>alert(1)</script>Anna<style>p {}</style>", "Anna"),
        ('<img src=x onerror="alert(1)">Anna', "Anna"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;Anna", "Anna"),
        ("&amp;lt;b&amp;gt;Anna", "b Anna"),
        ("Anna <a href='javascript:alert(1)'>here", "Anna here"),
        ("Anna\u202e\x00\n\nMüller", "Anna Müller"),
        ("<![if foo]>Anna<![endif]>", "Anna"),
    ],
)
def test_html_in_an_author_s_name_is_taken_off(
    web_server: WebServer, find: Callable[..., list[Photograph]], html: str, text: str
) -> None:
    web_server.routes[API] = as_json(lambda asked: whole(file(1, extmetadata=said(Artist=html))))
    assert find()[0].author == text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mime": "image/svg+xml"}, "1 file_type"),
        ({"mime": "image/tiff"}, "1 file_type"),
        ({"mime": None}, "mime: found null, expected a text"),
        ({"filemissing": True}, "1 missing_file"),
        ({"extmetadata": []}, "extmetadata: found a list of 0, expected an object"),
        ({"extmetadata": {"Artist": "Anna"}}, 'Artist: found "Anna", expected an object'),
        ({"width": "wide"}, 'width: found "wide", expected a whole number'),
        ({"thumburl": 3}, "thumburl: found 3, expected a text"),
        ({"width": 800, "url": "//upload/x.jpg"}, "url: found an address"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_out_and_counted(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    files = [file(1), file(2, **changes), file(3)]
    web_server.routes[API] = as_json(lambda asked: whole(*files))
    with caplog.at_level(logging.INFO):
        assert [int(p.sha1, 16) for p in find()] == [1, 3]
    (message,) = caplog.messages
    assert re.search(rf"commons, 'scared face mask': left out 1 results: .*{reason}", message)


def test_a_file_without_its_details_is_left_out(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    bare = {"pageid": 1, "ns": 6, "title": "File:Bare.jpg", "index": 1}
    none = {**bare, "pageid": 2, "imageinfo": []}
    web_server.routes[API] = as_json(lambda asked: whole(bare, none, file(3)))
    assert [int(p.sha1, 16) for p in find()] == [3]


@pytest.mark.parametrize("sha1", ["", None, "abc", "g" * 40, "A" * 40])
def test_a_sha1_is_kept_if_it_is_one(
    web_server: WebServer, find: Callable[..., list[Photograph]], sha1: str | None
) -> None:
    web_server.routes[API] = as_json(lambda asked: whole(file(1, sha1=sha1)))
    assert find()[0].sha1 == ("a" * 40 if sha1 == "A" * 40 else "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>503</html>", "found a page of HTML or XML, expected JSON"),
        (b"{}", "query: found nothing, expected an object"),
        (b'{"batchcomplete": true, "query": []}', "query: found a list of 0, expected an object"),
        (b'{"query": {"pages": {"1": {}}}}', "query, pages: found an object, expected a list"),
        (b'{"query": {"pages": []}, "continue": 5}', "continue: found 5, expected an object"),
        (b'{"error": {"code": "nosuchaction", "info": "<b>No</b>"}}', "'nosuchaction' (No)"),
        (b'{"error": "down"}', 'error: found "down", expected an object'),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_the_field(
    web_server: WebServer, find: Callable[..., list[Photograph]], body: bytes, message: str
) -> None:
    web_server.routes[API] = web_server.answer(body)
    with pytest.raises(ServiceError) as caught:
        find()
    assert str(caught.value).startswith("commons, answer 1")
    assert message in str(caught.value)
    assert not caught.value.again


def test_a_server_that_lags_may_be_asked_later(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    error = {"code": "maxlag", "info": "Waiting for 10.64.0.1: 6 seconds lagged."}
    web_server.routes[API] = as_json(lambda asked: {"error": error, "servedby": "mw1"})
    with pytest.raises(ServiceError, match="maxlag") as caught:
        find()
    assert caught.value.again


@pytest.mark.parametrize(
    ("status", "part"), [(429, "rate_limited"), (403, "contact in the User-Agent")]
)
def test_a_refusal_says_what_to_do(
    web_server: WebServer, find: Callable[..., list[Photograph]], status: int, part: str
) -> None:
    web_server.routes[API] = web_server.answer(b"", status)
    with pytest.raises(ServiceError, match=part):
        find()


def test_going_on_where_it_has_been_is_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    def answer(asked: Parameters) -> Any:
        offset = int(asked.get("gsroffset", 0))
        new = file(web_server.requests[API])
        return whole(new, **{"continue": going_on(1 - offset)})

    web_server.routes[API] = as_json(answer)
    with pytest.raises(ServiceError, match=r"continue: found an object, expected another one"):
        find()
    assert web_server.requests[API] == 3


def test_files_that_come_again_are_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    def answer(asked: Parameters) -> Any:
        offset = int(asked.get("gsroffset", 0))
        return whole(file(1), **{"continue": going_on(offset + 50)})

    web_server.routes[API] = as_json(answer)
    with pytest.raises(ServiceError, match="found page 2 once more"):
        find()
