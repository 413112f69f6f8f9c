"""The Internet Archive, by a server on the loopback that answers in its shape."""

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
from occlufer.builders.web.internet_archive import search
from occlufer.builders.web.photograph import Photograph

if TYPE_CHECKING:
    from web_server import Route, WebServer

SEARCH = "/advancedsearch.php"
BY = "https://creativecommons.org/licenses/by/4.0/"
QUERY = "scared face mask"
Parameters = dict[str, str]


@dataclass(frozen=True)
class Settings:
    endpoint: str
    licences: tuple[str, ...] = ("CC0", "PDM", "CC-BY")
    limit: int = 100


@pytest.fixture
def find(web_server: WebServer) -> Iterator[Callable[..., list[Photograph]]]:
    """Search at the server."""
    limits = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=0)
    client = Fetcher("occlufer/0 (mailto:me@photos.example)", limits, {web_server.host})

    def found(query: str = QUERY, **settings: Any) -> list[Photograph]:
        return list(search(query, client, Settings(web_server.url(""), **settings)))

    yield found
    client.close()


def as_json(answer: Callable[[Parameters], Any]) -> Route:
    def route(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps(answer(dict(parse_qsl(urlsplit(handler.path).query)))).encode()
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return route


def found(docs: list[Any], count: Any = None) -> dict[str, Any]:
    """Return what the search answers."""
    header = {"status": 0, "QTime": 11, "params": {"query": "...", "rows": "50", "start": 0}}
    number = len(docs) if count is None else count
    return {"responseHeader": header, "response": {"numFound": number, "start": 0, "docs": docs}}


def file(name: str, **changes: Any) -> dict[str, Any]:
    fields = {
        "name": name,
        "source": "original",
        "format": "JPEG",
        "mtime": "1580000000",
        "size": "345678",
        "md5": "0" * 32,
        "crc32": "00000000",
        "sha1": "b" * 40,
        "rotation": "0",
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not ...}


def item(name: str, files: list[Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return what the metadata of an item are."""
    fields = {
        "identifier": name,
        "mediatype": "image",
        "collection": ["opensource_image", "community"],
        "title": f"Masks of {name}",
        "creator": "Anna <i>Müller</i>",
        "subject": "mask; portrait",
        "licenseurl": BY,
        **metadata,
    }
    thumb = file("__ia_thumb.jpg", source="derivative", format="Item Tile", sha1="c" * 40)
    return {
        "created": 1700000000,
        "d1": "ia800100.us.archive.org",
        "dir": f"/1/items/{name}",
        "files": [thumb, file("masks of all.jpg")] if files is None else files,
        "files_count": 2,
        "item_size": 456789,
        "metadata": {key: value for key, value in fields.items() if value is not ...},
        "server": "ia800100.us.archive.org",
        "uniq": 123,
    }


def serve(web_server: WebServer, *items: dict[str, Any], **said: str) -> None:
    """Let the server find the items; `said` is the licence that the search knows of each."""
    docs = []
    for one in items:
        name = one["metadata"]["identifier"]
        docs.append({"identifier": name, "licenseurl": said.get(name, BY)})
        web_server.routes[f"/metadata/{name}"] = web_server.answer(json.dumps(one).encode())
    web_server.routes[SEARCH] = as_json(lambda asked: found(docs))


def test_an_item_becomes_a_photograph_with_its_rights(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, item("Masks_2020", rights="CC BY", publicdate="2020-01-01"))
    assert find() == [
        Photograph(
            url=web_server.url("/download/Masks_2020/masks%20of%20all.jpg"),
            service="internet_archive",
            page=web_server.url("/details/Masks_2020"),
            licence="CC-BY-4.0",
            licence_url=BY,
            author="Anna Müller",
            title="Masks of Masks_2020",
            query="scared face mask",
            sha1="b" * 40,
            said={"licenseurl": BY, "rights": "CC BY"},
        )
    ]
    asked = dict(parse_qsl(urlsplit(web_server.asked[0].path).query))
    terms = "(scared AND face AND mask)"
    assert asked["q"] == f"{terms} AND mediatype:image AND licenseurl:*creativecommons.org*"
    assert (asked["output"], asked["page"], asked["rows"]) == ("json", "1", "50")


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        ("mask OR title:x", r"mask AND or AND title\:x"),
        ('") OR (a', r"\"\) AND or AND \(a"),
        ("a* [b TO c] ~d", r"a\* AND \[b AND to AND c\] AND \~d"),
        (r"back\slash/", r"back\\slash\/"),
    ],
)
def test_words_are_no_syntax_of_the_search(
    web_server: WebServer, find: Callable[..., list[Photograph]], words: str, terms: str
) -> None:
    serve(web_server)
    find(words)
    asked = dict(parse_qsl(urlsplit(web_server.asked[0].path).query))
    assert asked["q"].startswith(f"({terms}) AND mediatype:image AND ")


@pytest.mark.parametrize(
    ("licence", "name"),
    [
        (BY, "CC-BY-4.0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "PDM-1.0"),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/", "CC-BY-NC-ND-3.0"),
        ([BY], "CC-BY-4.0"),
        ([BY, "http://creativecommons.org/licenses/by-nc/4.0/"], ""),
        ("https://example.org/mine", ""),
        (..., ""),
    ],
)
def test_the_licence_of_the_item_decides(
    web_server: WebServer, find: Callable[..., list[Photograph]], licence: Any, name: str
) -> None:
    serve(web_server, item("masks", licenseurl=licence))
    assert [p.licence for p in find()] == [name]


def test_an_item_whose_licence_is_not_wanted_is_not_asked_for(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    unwanted = "http://creativecommons.org/licenses/by-nc/4.0/"
    serve(web_server, item("a"), item("b"), b=unwanted)
    with caplog.at_level(logging.INFO):
        assert len(find()) == 1
    assert web_server.requests["/metadata/b"] == 0
    assert "left out 1 results: 1 licence CC-BY-NC-4.0" in caplog.text


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ([file("a.gif"), file("b.PNG"), file("c.jpg")], "b.PNG"),
        ([file("a.jpg", source="derivative"), file("b.webp")], "b.webp"),
        ([file("a.jpg", private="true"), file("b.jpeg")], "b.jpeg"),
        ([file("../../a.jpg"), file("/b.jpg"), file("d//e.jpg"), file("c/f.jpg")], "c/f.jpg"),
        ([file("a?b#c%20.jpg")], "a%3Fb%23c%2520.jpg"),
        ([file("gesicht ü.jpg", sha1=...)], "gesicht%20%C3%BC.jpg"),
    ],
)
def test_the_first_original_picture_of_an_item_is_taken(
    web_server: WebServer, find: Callable[..., list[Photograph]], files: list[Any], name: str
) -> None:
    serve(web_server, item("masks", files))
    assert [p.url for p in find()] == [web_server.url(f"/download/masks/{name}")]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (item("b", [file("a.txt")]), "1 no_picture"),
        (item("b", []), "1 no_picture"),
        ({}, "1 missing_item"),
        ({"is_dark": True, "metadata": {}}, "1 missing_item"),
        (item("b", None, **{"access-restricted-item": "true"}), "1 restricted"),
        ({"error": "not found"}, "found the error 'not found'"),
        ({"error": {"code": 1}}, "found the error 'an object'"),
        ({"metadata": []}, "metadata: found a list of 0, expected an object"),
        ({**item("b"), "files": None}, "files: found null, expected a list"),
        ({**item("b"), "files": ["a.jpg"]}, "name: found nothing, expected a text"),
        (item("b", creator={"name": "Anna"}), "creator: found an object, expected a text"),
        (item("b", [file("a.jpg", sha1=5)]), "sha1: found 5, expected a text"),
    ],
)
def test_an_item_that_cannot_be_used_is_left_out_and_counted(
    web_server: WebServer,
    find: Callable[..., list[Photograph]],
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, Any],
    reason: str,
) -> None:
    serve(web_server, item("a"), item("b"), item("c"))
    web_server.routes["/metadata/b"] = web_server.answer(json.dumps(changed).encode())
    with caplog.at_level(logging.INFO):
        assert [p.page.rpartition("/")[2] for p in find()] == ["a", "c"]
    (message,) = caplog.messages
    assert re.search(
        rf"internet_archive, 'scared face mask': left out 1 results: .*{reason}", message
    )


def test_an_identifier_that_is_none_is_not_asked_for(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    docs = [{"identifier": name} for name in ("../admin", "a/b", "", "a?b", "ok")] + [{}]
    web_server.routes[SEARCH] = as_json(lambda asked: found(docs))
    web_server.routes["/metadata/ok"] = web_server.answer(json.dumps(item("ok")).encode())
    assert len(find()) == 1
    assert set(web_server.requests) == {SEARCH, "/metadata/ok"}


def test_several_authors_and_tags_are_read(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    many = item("a", creator=["Anna", "Ben"], title=["One", "Two"], subject=["mask", "no_cv"])
    serve(web_server, many, item("b", creator=..., subject="mask;noai"))
    first, second = find()
    assert (first.author, first.title, first.opted_out) == ("Anna; Ben", "One; Two", "tag no_cv")
    assert (second.author, second.opted_out) == ("", "tag noai")


def test_items_are_asked_for_as_they_are_wanted_page_by_page(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    def answer(asked: Parameters) -> Any:
        number, size = int(asked["page"]), int(asked["rows"])
        names = [f"i{n}" for n in range((number - 1) * size, min(number * size, 7))]
        return found([{"identifier": name} for name in names], "7")

    for n in range(7):
        one = json.dumps(item(f"i{n}")).encode()
        web_server.routes[f"/metadata/i{n}"] = web_server.answer(one)
    web_server.routes[SEARCH] = as_json(answer)
    assert len(find(limit=3)) == 3
    assert sum(web_server.requests.values()) == 4
    web_server.requests.clear()
    assert len(find(limit=100)) == 7
    assert web_server.requests[SEARCH] == 1


def test_a_page_that_comes_again_is_an_error(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, item("a"))
    web_server.routes[SEARCH] = as_json(lambda asked: found([{"identifier": "a"}], 900))
    with pytest.raises(ServiceError, match="found page 2 once more"):
        find()


def test_a_search_that_finds_nothing_has_no_photographs(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    web_server.routes[SEARCH] = as_json(lambda asked: found([], 500))
    assert find() == []


@pytest.mark.parametrize("path", [SEARCH, "/metadata/a"])
def test_too_many_requests_end_the_search_for_now(
    web_server: WebServer, find: Callable[..., list[Photograph]], path: str
) -> None:
    serve(web_server, item("a"), item("b"))
    web_server.routes[path] = web_server.answer(b"", 429)
    with pytest.raises(ServiceError, match=r"rate_limited: .*; go on later") as caught:
        find()
    assert caught.value.again


def test_an_item_that_has_gone_is_left_out(
    web_server: WebServer, find: Callable[..., list[Photograph]]
) -> None:
    serve(web_server, item("a"), item("b"))
    del web_server.routes["/metadata/a"]
    assert len(find()) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "found a page of HTML or XML, expected JSON"),
        (b"{}", "response: found nothing, expected an object"),
        (b'{"error": "Query <b>syntax</b>"}', "found the error 'Query syntax'"),
        (b'{"response": {"docs": 3}}', "docs: found 3, expected a list"),
        (b'{"response": {"docs": [{}]}}', "numFound: found nothing, expected a whole number"),
        (b'{"response": {"docs": [{}], "numFound": "x"}}', 'numFound: found "x", expected'),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_the_field(
    web_server: WebServer, find: Callable[..., list[Photograph]], body: bytes, message: str
) -> None:
    web_server.routes[SEARCH] = web_server.answer(body)
    with pytest.raises(ServiceError) as caught:
        find()
    assert str(caught.value).startswith("internet_archive, page 1")
    assert message in str(caught.value)
