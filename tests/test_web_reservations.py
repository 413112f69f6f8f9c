from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.errors import FetchError
from occlufer.builders.web.fetch import Fetcher, Limits
from occlufer.builders.web.reservations import MAX_BYTES, Tdmrep, matches, opt_out, read_rules

if TYPE_CHECKING:
    from web_server import WebServer

QUICK = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=1, read_timeout_s=0.2)
PLACE = "/.well-known/tdmrep.json"


# Headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("noai", "noai"),
        ("noimageai", "noimageai"),
        ("noindex", "noindex"),
        ("none", "none"),
        ("NoAI", "noai"),
        (" nofollow ,  noai ", "noai"),
        ("index, follow, noimageai", "noimageai"),
        ("img2dataset: noai", "noai"),
        ("otherbot: noindex, nofollow", "noindex"),
        ("googlebot: nofollow, otherbot: nofollow, noai", "noai"),
        ("googlebot:noindex", "noindex"),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", "noai"),
        ("max-image-preview: none, noai", "noai"),
        ("all", ""),
        ("nofollow", ""),
        ("index", ""),
        ("", ""),
        ("max-image-preview: none", ""),
        ("googlebot: max-image-preview: none", ""),
        ("max-snippet:0, max-video-preview: none", ""),
        ("unavailable_after: none", ""),
        ("noarchive, noimageindex", "noimageindex"),
        ("noaim, xnoai, noai2", ""),
    ],
)
def test_x_robots_tag_is_read_word_by_word(value: str, word: str) -> None:
    assert opt_out({"x-robots-tag": value}) == (f"X-Robots-Tag: {word}" if word else "")


@pytest.mark.parametrize(
    ("value", "reserved"),
    [
        ("1", True),
        (" 1 ", True),
        ("0", False),
        (" 0", False),
        ("0, 1", True),
        ("yes", True),
        ("", True),
        ("2", True),
    ],
)
def test_a_tdm_reservation_is_one_unless_it_is_0(value: str, reserved: bool) -> None:
    assert bool(opt_out({"tdm-reservation": value})) == reserved


def test_headers_that_say_nothing_of_it_forbid_nothing() -> None:
    assert opt_out({}) == ""
    assert opt_out({"content-type": "noai", "x-robots-tag": "all", "tdm-reservation": "0"}) == ""


@given(st.text(), st.text())
def test_any_headers_are_read(tag: str, reservation: str) -> None:
    assert opt_out({"x-robots-tag": tag, "tdm-reservation": reservation}) is not None
    assert opt_out({"x-robots-tag": f"{tag}, noai"}) != ""
    assert opt_out({"x-robots-tag": f"noai, {tag}"}) == "X-Robots-Tag: noai"


def test_several_headers_of_an_answer_are_read_together(web_server: WebServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Robots-Tag: nofollow\r\nX-Robots-Tag: bot: noimageai\r\n\r\n"
    web_server.routes["/a"] = web_server.raw(head)
    fetched = Fetcher("occlufer", QUICK, [web_server.host]).get(web_server.url("/a"))
    assert opt_out(fetched.headers) == "X-Robots-Tag: noimageai"


# The file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "path", "expected"),
    [
        ("/", "/", True),
        ("/", "/a/b.jpg", True),
        ("", "/a.jpg", True),
        ("*", "/a.jpg", True),
        ("/photos/", "/photos/a.jpg", True),
        ("/photos/", "/photos", False),
        ("/photos/", "/other/photos/a.jpg", False),
        ("photos/", "/photos/a.jpg", True),
        ("/photos", "/photos2/a.jpg", True),
        ("/*.jpg", "/a/b.jpg", True),
        ("/*.jpg", "/a/b.jpg?x=1", True),
        ("/*.jpg$", "/a/b.jpg", True),
        ("/*.jpg$", "/a/b.jpg?x=1", False),
        ("/*.jpg$", "/a/b.jpg.png", False),
        ("*.jpg$", "/a/b.jpg", True),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("/a*b*c", "/a1b2c3", True),
        ("/a*b*c", "/a1c2b3", False),
        ("/a**b", "/axb", True),
        ("/ab*b$", "/ab", False),
        ("/ab*b$", "/abb", True),
        ("/*$", "/a", True),
        ("$", "/", True),
        ("$", "/a", False),
        ("/A", "/a", False),
        ("/%66oo", "/foo", True),
        ("/foo", "/%66oo", True),
        ("/foo-%24", "/foo-$", True),
        ("/foo-%2A", "/foo-*", True),
        ("/foo-%2A", "/foo-bar", False),
        ("/ü", "/%C3%BC", True),
        ("/*size=l", "/a.jpg?size=l", True),
    ],
)
def test_a_location_matches_as_in_robots_txt(location: str, path: str, expected: bool) -> None:
    assert matches(location, f"https://photos.example{path}") == expected


def file(*rules: tuple[str, Any]) -> bytes:
    return json.dumps([{"location": a, "tdm-reservation": b} for a, b in rules]).encode()


@pytest.mark.parametrize(
    ("data", "reserved"),
    [
        (file(("/", 1)), True),
        (file(("/", 0)), False),
        (file(("/", "1")), True),
        (file(("/", "0")), False),
        (file(("/", True)), True),
        (file(("/other/", 1)), False),
        (file(("/photos/", 0), ("/", 1)), False),
        (file(("/", 1), ("/photos/", 0)), True),
        (b"[]", False),
        (b"\xef\xbb\xbf[]", False),
        (b'[{"location": "/", "tdm-reservation": 0, "tdm-policy": "https://p.example/"}]', False),
        (b'[{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://p.example/"}]', True),
    ],
)
def test_the_first_rule_that_matches_decides(
    web_server: WebServer, data: bytes, reserved: bool
) -> None:
    web_server.routes[PLACE] = web_server.answer(data)
    answer = Tdmrep(Fetcher("occlufer", QUICK, [web_server.host])).reserved(
        web_server.url("/photos/a.jpg")
    )
    assert (answer.reserved, answer.reason) == (reserved, "tdm_reserved" if reserved else "")
    assert answer.tdmrep_url == web_server.url(PLACE)
    assert answer.sha256 == hashlib.sha256(data).hexdigest()
    assert answer.fetched_at
    assert not answer.again


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><p>Not found",
        b"{}",
        b'{"location": "/", "tdm-reservation": 0}',
        b"[1]",
        b"[null]",
        b"[{}]",
        b'[{"location": "/"}]',
        b'[{"tdm-reservation": 0}]',
        b'[{"location": 1, "tdm-reservation": 0}]',
        b'[{"location": "/", "tdm-reservation": 2}]',
        b'[{"location": "/", "tdm-reservation": null}]',
        b'[{"location": "/", "tdm-reservation": 0.0}]',
        b'[{"location": "/", "tdm-reservation": []}]',
        b'[{"location": "/other/", "tdm-reservation": 0}, 1]',
        b"[" * 200_000,
        b'[{"a":' * 50_000,
        b"[" + b"9" * 10_000 + b"]",
        b"[\xff]",
        b"[]]",
    ],
    ids=lambda data: repr(data[:50]),
)
def test_what_cannot_be_read_reserves_everything(web_server: WebServer, data: bytes) -> None:
    web_server.routes[PLACE] = web_server.answer(data)
    answer = Tdmrep(Fetcher("occlufer", QUICK, [web_server.host])).reserved(web_server.url("/a"))
    assert (answer.reserved, answer.reason, answer.again) == (True, "tdm_unreadable", False)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, ""),
        (410, ""),
        (401, ""),
        (403, ""),
        (429, "tdm_unreachable"),
        (500, "tdm_unreachable"),
        (503, "tdm_unreachable"),
        (204, "tdm_unreachable"),
    ],
)
def test_a_site_without_the_file_reserves_nothing_but_one_in_trouble_does(
    web_server: WebServer, status: int, reason: str
) -> None:
    web_server.routes[PLACE] = web_server.answer(b"", status)
    answer = Tdmrep(Fetcher("occlufer", QUICK, [web_server.host])).reserved(web_server.url("/a"))
    assert (answer.reserved, answer.reason) == (bool(reason), reason)
    assert answer.again == bool(reason)
    assert answer.sha256 == ""


def test_a_file_that_cannot_be_had_reserves_everything_for_now(web_server: WebServer) -> None:
    tdmrep = Tdmrep(Fetcher("occlufer", QUICK, [web_server.host]))
    web_server.routes[PLACE] = web_server.answer(b" " * (MAX_BYTES + 1))
    answer = tdmrep.reserved(web_server.url("/a"))
    assert (answer.reserved, answer.reason, answer.again) == (True, "tdm_unreadable", True)


def test_the_file_is_asked_for_once(web_server: WebServer) -> None:
    web_server.routes[PLACE] = web_server.answer(file(("/a", 1)))
    tdmrep = Tdmrep(Fetcher("occlufer", QUICK, [web_server.host]))
    found = [tdmrep.reserved(web_server.url(path)).reserved for path in ("/a", "/b", "/a")]
    assert found == [True, False, True]
    assert dict(web_server.requests) == {PLACE: 1}


def test_a_blocked_site_is_said_to_be_blocked(web_server: WebServer) -> None:
    with pytest.raises(FetchError) as caught:
        Tdmrep(Fetcher("occlufer", QUICK)).reserved(web_server.url("/a.jpg"))
    assert caught.value.reason == "blocked_address"


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_rules_or_unreadable(data: bytes) -> None:
    rules = read_rules(data)
    assert rules is None or isinstance(rules, tuple)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
RULES = st.fixed_dictionaries(
    {"location": st.text() | JSON, "tdm-reservation": st.sampled_from([0, 1, "1"]) | JSON}
)


@given(st.lists(RULES | JSON, max_size=4), st.text(alphabet="/*$%abü?"))
def test_any_json_is_rules_or_unreadable(items: list[Any], path: str) -> None:
    rules = read_rules(json.dumps(items).encode())
    for rule in rules or ():
        matches(rule.location, f"https://photos.example/{path}")
    assert rules is None or len(rules) == len(items)


@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=8), st.booleans())
def test_a_location_matches_what_a_regular_expression_would(
    pattern: str, path: str, ends: bool
) -> None:
    expected = re.match("/" + pattern.replace("*", ".*") + ("$" if ends else ""), f"/{path}")
    location = f"/{pattern}" + ("$" if ends else "")
    assert matches(location, f"https://photos.example/{path}") == (expected is not None)
