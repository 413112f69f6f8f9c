from __future__ import annotations

import gzip
import http.server
import logging
import pickle
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests.adapters
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.connection import Watch
from occlufer.builders.web.errors import FetchError, told_apart
from occlufer.builders.web.fetch import Fetcher, Limits, retry_after
from occlufer.builders.web.hosts import KEEP_FAILED_S, KEEP_S, Hosts, PerSite

if TYPE_CHECKING:
    from web_server import Route, WebServer

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 50
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 50
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"picture" * 50
AGENT = "occlufer/0 (test; mailto:me@photos.example)"
# Nothing waits: the tests of waiting have a clock of their own.
QUICK = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=0)
HEAD = b"HTTP/1.1 200 OK\r\n"


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fetch(web_server: WebServer) -> Callable[..., Fetcher]:
    """Make a fetcher that may reach the server by its address."""

    def make(limits: Limits = QUICK, hosts: Hosts | None = None, **changes: float) -> Fetcher:
        values = {**limits.__dict__, **changes}
        return Fetcher(AGENT, Limits(**values), {web_server.host}, hosts)

    return make


def fails(call: Callable[[], object]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        call()
    return caught.value


# What is asked for, and what is given back --------------------------------------------------------


@pytest.mark.parametrize("data", [JPEG, PNG, WEBP], ids=["JPEG", "PNG", "WEBP"])
def test_a_picture_is_known_by_its_first_bytes_whatever_it_is_called(
    web_server: WebServer, fetch: Callable[..., Fetcher], data: bytes
) -> None:
    web_server.routes["/a"] = web_server.answer(data, headers={"Content-Type": "text/html"})
    fetched = fetch().get_picture(web_server.url("/a"))
    assert (fetched.data, fetched.url, fetched.redirects) == (data, web_server.url("/a"), ())
    assert fetched.headers["content-type"] == "text/html"


def test_the_request_says_who_asks_and_takes_no_compression(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.answer(b"text")
    address = web_server.url("/a?x=1#part")
    fetched = fetch().get(address, params={"q": "a b"}, headers={"accept": "text/plain"})
    (asked,) = web_server.asked
    assert (asked.method, asked.path) == ("GET", "/a?x=1&q=a+b")
    assert asked.headers == {
        "host": web_server.host,
        "user-agent": AGENT,
        "accept": "text/plain",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert fetched.url == web_server.url("/a")  # without the query, where keys may stand


def test_a_form_is_posted(web_server: WebServer, fetch: Callable[..., Fetcher]) -> None:
    web_server.routes["/token"] = web_server.answer(b'{"token": "t"}')
    fetched = fetch().get(web_server.url("/token"), data={"id": "me", "secret": "s&t"})
    assert fetched.data == b'{"token": "t"}'
    (asked,) = web_server.asked
    assert (asked.method, asked.body) == ("POST", b"id=me&secret=s%26t")


def test_headers_are_kept_as_evidence_but_no_cookie(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    head = (
        b"X-Robots-Tag: noai\r\nx-robots-tag: bot: noindex\r\nSet-Cookie: id=1\r\n"
        b"Set-Cookie2: id=2\r\nETag: \xe9\r\nContent-Length: 0\r\n\r\n"
    )
    web_server.routes["/a"] = web_server.raw(HEAD + head)
    fetcher = fetch()
    fetched = fetcher.get(web_server.url("/a"))
    assert fetched.headers == {
        "x-robots-tag": "noai, bot: noindex",
        "etag": "é",
        "content-length": "0",
    }
    assert fetched.data == b""
    fetcher.get(web_server.url("/a"))
    assert all("cookie" not in asked.headers for asked in web_server.asked)


def test_the_time_is_utc(web_server: WebServer, fetch: Callable[..., Fetcher]) -> None:
    web_server.routes["/a"] = web_server.answer()
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    fetched_at = fetch().get(web_server.url("/a")).fetched_at
    assert (
        before + "+00:00" <= fetched_at <= time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    )


def test_neither_proxy_nor_password_comes_from_the_environment(
    web_server: WebServer,
    fetch: Callable[..., Fetcher],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    web_server.routes["/a"] = web_server.answer(b"text")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://photos.invalid:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    # The environment is one that requests heeds by itself:
    with pytest.raises(requests.RequestException):
        requests.get(web_server.url("/a"), timeout=5)
    assert fetch().get(web_server.url("/a")).data == b"text"
    assert "authorization" not in web_server.asked[0].headers


@pytest.mark.parametrize("agent", ["", "two\nlines", "ünicode"])
def test_a_user_agent_that_is_no_line_of_ascii_is_refused(agent: str) -> None:
    with pytest.raises(ValueError, match="user_agent: found"):
        Fetcher(agent)


def test_allowed_hosts_are_no_text() -> None:
    with pytest.raises(ValueError, match="allow_hosts: found the text"):
        Fetcher(AGENT, allow_hosts="127.0.0.1:80")  # "7.0.0.1:8" is in it


@pytest.mark.parametrize("header", ["two\r\nlines", "ünicode\u0100"])
def test_a_header_that_cannot_be_sent_is_refused(
    web_server: WebServer, fetch: Callable[..., Fetcher], header: str
) -> None:
    error = fails(lambda: fetch().get(web_server.url("/a"), headers={"X-Key": header}))
    assert error.reason == "bad_request"
    assert "lines" not in str(error)
    assert not web_server.requests


# Addresses ----------------------------------------------------------------------------------------

NAMES_OF_THIS_MACHINE = [
    "localhost",
    "LOCALHOST",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "0.0.0.0",
    "0",
    "127.0.0.2",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",  # circled digits
]


@pytest.mark.parametrize("name", NAMES_OF_THIS_MACHINE)
def test_this_machine_is_blocked_by_every_name_that_is_not_allowed(
    web_server: WebServer, fetch: Callable[..., Fetcher], name: str
) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(JPEG)
    error = fails(lambda: fetch().get_picture(web_server.url("/a.jpg", host=name)))
    if "\u2460" in name:  # whether it is a name at all, versions of idna see differently
        assert error.reason in ("blocked_address", "bad_url", "unknown_host")
    else:
        assert (error.reason, error.again) == ("blocked_address", False)
    assert not web_server.requests


@pytest.mark.parametrize(
    "name", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[fe80::1]"]
)
def test_addresses_within_a_net_are_blocked_without_being_tried(
    fetch: Callable[..., Fetcher], name: str
) -> None:
    begun = time.monotonic()
    assert fails(lambda: fetch().get(f"http://{name}/latest/")).reason == "blocked_address"
    assert time.monotonic() - begun < 5


def test_nothing_is_reached_without_an_allow_list(web_server: WebServer) -> None:
    fetcher = Fetcher(AGENT, QUICK)
    assert fails(lambda: fetcher.get(web_server.url("/"))).reason == "blocked_address"
    assert not web_server.requests


def test_an_allowed_host_is_allowed_on_that_port_and_by_that_name(
    web_server: WebServer, new_web_server: Callable[[], WebServer]
) -> None:
    other = new_web_server()
    for server in (web_server, other):
        server.routes["/"] = server.answer(b"text")
    fetcher = Fetcher(AGENT, QUICK, [f"localhost:{web_server.port}"])
    assert fetcher.get(web_server.url("/", host="localhost")).data == b"text"
    for address in (web_server.url("/"), other.url("/", host="localhost"), other.url("/")):
        assert fails(lambda url=address: fetcher.get(url)).reason == "blocked_address"  # type: ignore[misc]
    assert not other.requests


def test_a_name_that_is_rebound_to_this_machine_is_blocked(
    web_server: WebServer, fetch: Callable[..., Fetcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Public when robots.txt is asked for, ours when the picture is.
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        return real("127.0.0.1" if host == "photos.example" else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = fails(lambda: fetch().get(web_server.url("/", host="photos.example")))
    assert error.reason == "blocked_address"
    assert not web_server.requests


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "blocked_scheme"),
        ("ftp://photos.example/a.jpg", "blocked_scheme"),
        ("http://me:secret@photos.example/", "credentials_in_url"),
        ("no address", "bad_url"),
    ],
)
def test_what_is_no_plain_web_address_is_not_asked_for(url: str, reason: str) -> None:
    error = fails(lambda: Fetcher(AGENT, QUICK).get_picture(url))
    assert (error.reason, error.again) == (reason, False)
    assert "secret" not in str(error)


# Redirects ----------------------------------------------------------------------------------------


def test_redirects_are_followed_and_remembered(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes |= {
        "/1": web_server.redirect("/2?x=1", 301),
        "/2": web_server.redirect(web_server.url("/3"), 303),
        "/3": web_server.redirect("4#part", 308),
        "/4": web_server.answer(JPEG),
    }
    fetched = fetch().get_picture(web_server.url("/1"))
    assert fetched.data == JPEG
    assert fetched.url == web_server.url("/4")
    assert fetched.redirects == tuple(web_server.url(path) for path in ("/2?x=1", "/3", "/4"))


REDIRECTED: list[tuple[str, str]] = [
    ("file:///etc/passwd", "blocked_scheme"),
    ("ftp://photos.example/a.jpg", "blocked_scheme"),
    ("data:image/png;base64,AAAA", "blocked_scheme"),
    ("javascript:alert(1)", "blocked_scheme"),
    ("http://me:secret@photos.example/", "credentials_in_url"),
    ("http://[bad/", "bad_url"),
    ("http://photos.example:port/", "bad_url"),
    ("http://{169.254.169.254}/latest/meta-data/", "blocked_address"),
    ("http://{127.0.0.2}:PORT/a.jpg", "blocked_address"),
    ("//{127.0.0.2}:PORT/a.jpg", "blocked_address"),
    ("http://{localhost}:PORT/a.jpg", "blocked_address"),
    ("http://2130706433:PORT/a.jpg", "blocked_address"),
    ("http://[::ffff:127.0.0.1]:PORT/a.jpg", "blocked_address"),
    ("/start", "redirect_loop"),
    ("#again", "redirect_loop"),
]


@pytest.mark.parametrize(("location", "reason"), REDIRECTED, ids=[a for a, _ in REDIRECTED])
def test_where_a_redirect_leads_is_checked_afresh(
    web_server: WebServer, fetch: Callable[..., Fetcher], location: str, reason: str
) -> None:
    # Braces keep addresses of machines out of the repository's text.
    location = location.replace("{", "").replace("}", "").replace("PORT", str(web_server.port))
    web_server.routes["/start"] = web_server.redirect(location)
    web_server.routes["/a.jpg"] = web_server.answer(JPEG)
    error = fails(lambda: fetch().get_picture(web_server.url("/start")))
    assert (error.reason, error.again) == (reason, False)
    assert "secret" not in str(error)
    assert dict(web_server.requests) == {"/start": 1}


def test_a_loop_over_several_pages_is_recognised(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/1"] = web_server.redirect("/2")
    web_server.routes["/2"] = web_server.redirect("/1")
    assert fails(lambda: fetch().get(web_server.url("/1"))).reason == "redirect_loop"
    assert dict(web_server.requests) == {"/1": 1, "/2": 1}


@pytest.mark.parametrize("redirects", [0, 1, 3])
def test_no_more_redirects_are_followed_than_allowed(
    web_server: WebServer, fetch: Callable[..., Fetcher], redirects: int
) -> None:
    for number in range(6):
        web_server.routes[f"/{number}"] = web_server.redirect(f"/{number + 1}")
    fetcher = fetch(max_redirects=redirects)
    assert fails(lambda: fetcher.get(web_server.url("/0"))).reason == "too_many_redirects"
    assert sum(web_server.requests.values()) == redirects + 1


def test_the_body_of_a_redirect_is_not_read(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    first = b"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n"
    web_server.routes["/start"] = web_server.endless(b"x" * 65536, first)
    web_server.routes["/a"] = web_server.answer(b"text")
    assert fetch().get(web_server.url("/start")).data == b"text"


def test_headers_are_not_sent_to_another_site(
    web_server: WebServer, new_web_server: Callable[[], WebServer]
) -> None:
    other = new_web_server()
    web_server.routes["/1"] = web_server.redirect("/2")
    web_server.routes["/2"] = web_server.redirect(other.url("/3"))
    other.routes["/3"] = other.answer(b"text")
    fetcher = Fetcher(AGENT, QUICK, [web_server.host, other.host])
    fetcher.get(web_server.url("/1"), headers={"Authorization": "Bearer key"})
    assert [a.headers.get("authorization") for a in web_server.asked] == ["Bearer key"] * 2
    assert "authorization" not in other.asked[0].headers
    assert other.asked[0].headers["user-agent"] == AGENT


def test_a_form_is_sent_to_nobody_else(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/token"] = web_server.redirect("/other", 307)
    error = fails(lambda: fetch().get(web_server.url("/token"), data={"secret": "key"}))
    assert error.reason == "redirected_form"
    assert dict(web_server.requests) == {"/token": 1}


def test_the_caller_may_refuse_where_a_redirect_leads(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    def permit(url: str) -> None:
        seen.append(url)
        if url.endswith("/3"):
            raise FetchError("robots", "disallowed")

    seen: list[str] = []
    for number in range(1, 4):
        web_server.routes[f"/{number}"] = web_server.redirect(f"/{number + 1}")
    error = fails(lambda: fetch().get_picture(web_server.url("/1"), permit=permit))
    assert error.reason == "robots"
    assert seen == [web_server.url("/2"), web_server.url("/3")]
    assert dict(web_server.requests) == {"/1": 1, "/2": 1}


def test_a_redirect_without_a_place_is_a_status_like_others(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.answer(b"", 302)
    assert fails(lambda: fetch().get(web_server.url("/a"))).reason == "http_302"


# Bodies -------------------------------------------------------------------------------------------


def attack(kind: str, server: WebServer) -> Route:
    """Return the route of an attack."""
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    kilo = b"x" * 1000
    routes: dict[str, Callable[[], Route]] = {
        "HTML called image/jpeg": lambda: server.answer(
            b"<!DOCTYPE html><p>not found", headers={"Content-Type": "image/jpeg"}
        ),
        "endless HTML": lambda: server.endless(b"<p>" * 9999, HEAD + b"\r\n"),
        "GIF": lambda: server.answer(b"GIF89a" + kilo),
        "RIFF that is no WEBP": lambda: server.answer(b"RIFF\0\0\0\0WAVE" + kilo),
        "half a signature": lambda: server.answer(b"\xff\xd8"),
        "empty body": lambda: server.answer(b""),
        "204": lambda: server.answer(b"", 204),
        "206": lambda: server.answer(JPEG, 206),
        "gzip bomb": lambda: server.answer(
            gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"}
        ),
        "another encoding": lambda: server.answer(JPEG, headers={"Content-Encoding": "x-own"}),
        "endless body": lambda: server.endless(kilo, HEAD + b"\r\n" + JPEG),
        "endless chunks": lambda: server.endless(
            b"3e8\r\n" + kilo + b"\r\n", chunked + b"14\r\n" + JPEG[:20] + b"\r\n"
        ),
        "endless chunk size": lambda: server.endless(b"0" * 1000, chunked),
        "endless chunk extension": lambda: server.endless(kilo, chunked + b"4;"),
        "endless trailers": lambda: server.endless(b"A: b\r\n", chunked + b"0\r\n"),
        "long Content-Length": lambda: server.silent(HEAD + b"Content-Length: 100001\r\n\r\n"),
        "absurd Content-Length": lambda: server.silent(
            HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"
        ),
        "two Content-Lengths": lambda: server.raw(
            HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n" + JPEG
        ),
        "truncated body": lambda: server.raw(HEAD + b"Content-Length: 9999\r\n\r\n" + JPEG),
        "negative chunk": lambda: server.endless(kilo, chunked + b"-5\r\n"),
        "chunk of all the rest": lambda: server.endless(kilo, chunked + b"-1\r\n"),
        "truncated chunk": lambda: server.raw(chunked + b"fff\r\n" + JPEG),
        "no last chunk": lambda: server.raw(chunked + b"%x\r\n%b\r\n" % (len(JPEG), JPEG)),
        "endless header line": lambda: server.endless(kilo, HEAD + b"A: "),
        "endless headers": lambda: server.endless(b"A: b\r\n", HEAD),
        "long headers": lambda: server.endless(b"A: " + b"b" * 60_000 + b"\r\n", HEAD),
        "endless status line": lambda: server.endless(kilo, b"HTTP/1.1 200 "),
        "endless 100 Continue": lambda: server.endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "no HTTP": lambda: server.raw(b"220 ftp.example FTP server ready\r\n"),
        "nothing at all": lambda: server.raw(b""),
        "dripping status line": lambda: server.drip(HEAD * 9, 0.05),
        "dripping headers": lambda: server.drip(b"A: b\r\n" * 99, 0.05, HEAD),
        "dripping body": lambda: server.drip(JPEG * 9, 0.05, HEAD + b"\r\n"),
        "dripping body of known length": lambda: server.drip(
            JPEG, 0.05, HEAD + b"Content-Length: 999\r\n\r\n"
        ),
        "dripping chunks": lambda: server.drip(b"1\r\nx\r\n" * 99, 0.05, chunked),
        "silence": lambda: server.silent(),
        "silence after the head": lambda: server.silent(HEAD + b"\r\n"),
    }
    return routes[kind]()


ATTACKS: dict[str, tuple[str, bool]] = {
    "HTML called image/jpeg": ("not_an_image", False),
    "endless HTML": ("not_an_image", False),
    "GIF": ("not_an_image", False),
    "RIFF that is no WEBP": ("not_an_image", False),
    "half a signature": ("not_an_image", False),
    "empty body": ("empty_body", True),
    "204": ("http_204", False),
    "206": ("http_206", False),
    "gzip bomb": ("encoded_body", False),
    "another encoding": ("encoded_body", False),
    "endless body": ("too_large", False),
    "endless chunks": ("too_large", False),
    "endless chunk size": ("truncated", True),  # by urllib3's own cap; else too_large, by ours
    "endless chunk extension": ("truncated", True),
    "endless trailers": ("too_large", False),
    "negative chunk": ("bad_answer", False),
    "chunk of all the rest": ("too_large", False),
    "long Content-Length": ("too_large", False),
    "absurd Content-Length": ("too_large", False),
    "two Content-Lengths": ("bad_answer", False),
    "truncated body": ("truncated", True),
    "truncated chunk": ("truncated", True),
    "no last chunk": ("truncated", True),
    "endless header line": ("bad_answer", False),
    "endless headers": ("bad_answer", False),
    "long headers": ("too_large", False),
    "endless status line": ("bad_answer", False),
    "endless 100 Continue": ("too_large", False),
    "no HTTP": ("bad_answer", False),
    "nothing at all": ("connection", True),
    "dripping status line": ("too_slow", True),
    "dripping headers": ("too_slow", True),
    "dripping body": ("too_slow", True),
    "dripping body of known length": ("too_slow", True),
    "dripping chunks": ("too_slow", True),
    "silence": ("too_slow", True),
    "silence after the head": ("too_slow", True),
}
BY_VERSION = ("endless chunk size", "endless chunk extension")


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_ends_at_its_cap_or_its_deadline(
    web_server: WebServer, fetch: Callable[..., Fetcher], kind: str
) -> None:
    web_server.routes["/a.jpg"] = attack(kind, web_server)
    fetcher = fetch(max_bytes=100_000, deadline_s=0.4, read_timeout_s=0.3)
    begun = time.monotonic()
    error = fails(lambda: fetcher.get_picture(web_server.url("/a.jpg")))
    if kind in BY_VERSION:
        assert error.reason in ("truncated", "too_large"), error.detail
    else:
        assert (error.reason, error.again) == ATTACKS[kind], error.detail
    assert time.monotonic() - begun < 5
    assert error.detail.startswith(web_server.url("/a.jpg: "))


def test_a_drip_is_cut_at_the_deadline_though_no_read_is_slow(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.drip(JPEG * 9, 0.05, HEAD + b"\r\n")
    begun = time.monotonic()
    error = fails(lambda: fetch(deadline_s=0.4).get(web_server.url("/a")))
    assert "no end after 0.4 s" in error.detail
    assert 0.35 < time.monotonic() - begun < 5


def test_redirects_share_the_deadline(web_server: WebServer, fetch: Callable[..., Fetcher]) -> None:
    def slowly(route: Route) -> Route:
        def late(handler: http.server.BaseHTTPRequestHandler) -> None:
            time.sleep(0.15)
            route(handler)

        return late

    for number in range(3):
        web_server.routes[f"/{number}"] = slowly(web_server.redirect(f"/{number + 1}"))
    web_server.routes["/3"] = slowly(web_server.answer(b"text"))
    assert fails(lambda: fetch(deadline_s=0.4).get(web_server.url("/0"))).reason == "too_slow"
    assert fetch(deadline_s=5).get(web_server.url("/0")).data == b"text"


def test_waiting_for_a_host_s_turn_does_not_count_as_its_slowness(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/1"] = web_server.redirect("/2")
    web_server.routes["/2"] = web_server.answer(b"text")
    fetcher = fetch(per_host_s=0.9, deadline_s=0.8)
    assert fetcher.get(web_server.url("/1")).data == b"text"


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_a_body_of_just_the_allowed_size_is_taken_and_one_byte_more_is_not(
    web_server: WebServer, fetch: Callable[..., Fetcher], framing: str
) -> None:
    def body(size: int) -> bytes:
        data = (JPEG * 300)[:size]
        if framing == "length":
            return HEAD + b"Content-Length: %d\r\n\r\n" % size + data
        if framing == "close":
            return HEAD + b"\r\n" + data
        return HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, data)

    web_server.routes["/a"] = web_server.raw(body(100_000))
    web_server.routes["/b"] = web_server.raw(body(100_001))
    fetcher = fetch(max_bytes=100_000)
    assert len(fetcher.get_picture(web_server.url("/a")).data) == 100_000
    assert fails(lambda: fetcher.get_picture(web_server.url("/b"))).reason == "too_large"


def test_a_call_may_have_a_smaller_cap(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.answer(bytes(1001))
    assert fails(lambda: fetch().get(web_server.url("/a"), max_bytes=1000)).reason == "too_large"
    assert len(fetch().get(web_server.url("/a"), max_bytes=1001).data) == 1001


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", HEAD, HEAD + b"\r\n"]))
def test_any_answer_is_a_body_or_a_fetch_error(data: bytes, head: bytes) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def serve() -> None:
        connected = listening.accept()[0]
        connected.recv(9999)
        connected.sendall(head + data)
        connected.close()

    thread = threading.Thread(target=serve)
    thread.start()
    fetcher = Fetcher(AGENT, QUICK, [f"127.0.0.1:{port}"])
    try:
        fetched = fetcher.get(f"http://{'127.0.0.1'}:{port}/")
    except FetchError:
        pass
    else:
        assert fetched.data in head + data
    thread.join()
    listening.close()


# Retries ------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(
    web_server: WebServer, fetch: Callable[..., Fetcher], status: int
) -> None:
    trouble = web_server.answer(b"", status)
    web_server.routes["/a"] = web_server.in_turn(trouble, trouble, web_server.answer(JPEG))
    assert fetch(retries=3).get_picture(web_server.url("/a")).data == JPEG
    assert web_server.requests["/a"] == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 451, 501])
def test_a_refusal_is_not_argued_with(
    web_server: WebServer, fetch: Callable[..., Fetcher], status: int
) -> None:
    web_server.routes["/a"] = web_server.answer(b"", status, {"Retry-After": "0"})
    error = fails(lambda: fetch(retries=3).get(web_server.url("/a")))
    assert (error.reason, error.again) == (f"http_{status}", status > 500)
    assert web_server.requests["/a"] == 1


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("nothing at all", 3),
        ("truncated body", 3),
        ("no HTTP", 1),
        ("silence", 1),
        ("HTML called image/jpeg", 1),
        ("endless body", 1),
    ],
)
def test_a_broken_connection_is_tried_again_and_nothing_else(
    web_server: WebServer, fetch: Callable[..., Fetcher], kind: str, requests: int
) -> None:
    web_server.routes["/a"] = attack(kind, web_server)
    fetcher = fetch(retries=2, max_bytes=100_000, read_timeout_s=0.2)
    fails(lambda: fetcher.get_picture(web_server.url("/a")))
    assert web_server.requests["/a"] == requests


def test_a_port_that_nobody_listens_at_is_a_broken_connection(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    fetcher = Fetcher(
        AGENT,
        Limits(retries=2),
        [f"127.0.0.1:{port}"],
        Hosts(0, clock.sleep, clock),
    )
    error = fails(lambda: fetcher.get(f"http://{'127.0.0.1'}:{port}/"))
    assert (error.reason, error.again) == ("connection", True)
    assert "refused" in error.detail
    assert len(clock.slept) == 2


def test_waits_grow_and_differ_and_end(
    web_server: WebServer, fetch: Callable[..., Fetcher], clock: Clock
) -> None:
    web_server.routes["/a"] = web_server.answer(b"", 503)
    hosts = Hosts(0, clock.sleep, clock)
    seen = []
    for _ in range(3):
        clock.slept.clear()
        error = fails(
            lambda: fetch(hosts=hosts, retries=3, backoff_s=0.5).get(web_server.url("/a"))
        )
        assert (error.reason, error.again) == ("http_503", True)
        seen.append(tuple(clock.slept))
    assert web_server.requests["/a"] == 12
    for waits in seen:
        assert [
            2 ** (n + 1) * 0.5 <= w <= 2 ** (n + 1) * 0.5 + 0.5 for n, w in enumerate(waits)
        ] == [True] * 3
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    ("value", "cap_s", "waited_s"),
    [
        ("1", 60, 1),
        (" 7 ", 60, 7),
        ("3600", 60, 60),
        ("9" * 400, 60, 60),
        ("0", 60, 0),
        ("-5", 60, 0),
        ("1.5", 60, 0),
        ("soon", 60, 0),
        ("", 60, 0),
        ("\xe9", 60, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60, 0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 60, 60),
    ],
)
def test_a_retry_after_is_waited_for_up_to_the_cap(
    web_server: WebServer,
    fetch: Callable[..., Fetcher],
    clock: Clock,
    value: str,
    cap_s: float,
    waited_s: float,
) -> None:
    busy = web_server.answer(b"", 429, {"Retry-After": value})
    web_server.routes["/a"] = web_server.in_turn(busy, web_server.answer(b"text"))
    fetcher = fetch(hosts=Hosts(0, clock.sleep, clock), retries=1, retry_after_cap_s=cap_s)
    fetcher.hosts.sleep = lambda seconds: clock.sleep(seconds) if seconds else None
    assert fetcher.get(web_server.url("/a")).data == b"text"
    assert clock.now == waited_s


def test_a_retry_after_may_be_a_date(
    web_server: WebServer, fetch: Callable[..., Fetcher], clock: Clock
) -> None:
    date = formatdate(time.time() + 30, usegmt=True)
    busy = web_server.answer(b"", 503, {"Retry-After": date})
    web_server.routes["/a"] = web_server.in_turn(busy, web_server.answer(b"text"))
    fetcher = fetch(hosts=Hosts(0, clock.sleep, clock), retries=1, retry_after_cap_s=60)
    fetcher.hosts.sleep = lambda seconds: clock.sleep(seconds) if seconds else None
    fetcher.get(web_server.url("/a"))
    assert 25 < clock.now <= 31


def test_a_server_that_stays_busy_is_left_alone_at_last(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.answer(b"", 429)
    error = fails(lambda: fetch(retries=2).get(web_server.url("/a")))
    assert (error.reason, error.again) == ("rate_limited", True)
    assert web_server.requests["/a"] == 3


@given(st.text() | st.integers().map(str) | st.datetimes().map(str))
def test_any_retry_after_is_a_number_of_seconds(value: str) -> None:
    assert retry_after(value) >= 0


# Hosts --------------------------------------------------------------------------------------------


def waited(hosts: Hosts, clock: Clock, asked: str) -> list[float]:
    """How long each of the hosts, a letter each, was waited for."""
    times = [clock()]
    for host in asked:
        hosts.wait(host)
        times.append(clock())
    return [after - before for before, after in pairwise(times)]


def test_requests_to_a_host_are_apart_and_other_hosts_do_not_wait(clock: Clock) -> None:
    hosts = Hosts(2.0, clock.sleep, clock)
    assert waited(hosts, clock, "ababa") == [0, 0, 2, 0, 2]


def test_a_host_that_is_slowed_down_or_held_is_waited_for(clock: Clock) -> None:
    hosts = Hosts(1.0, clock.sleep, clock)
    hosts.slow_down("a", 5)
    hosts.slow_down("a", 3)  # never faster again
    hosts.slow_down("b", 0.1)
    assert waited(hosts, clock, "aabb") == [0, 5, 0, 1]
    hosts.hold("a", 30)
    hosts.hold("a", 10)
    assert waited(hosts, clock, "a") == [30]


def test_a_hold_stops_those_who_wait_already() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        if now == 0:
            hosts.hold("a", 60)
        now += seconds

    hosts = Hosts(1.0, sleep, lambda: now)
    hosts.wait("a")
    hosts.wait("a")
    assert now == 60


def test_threads_share_the_rate_of_a_host() -> None:
    hosts = Hosts(0.03)
    asked: list[float] = []
    begun = time.monotonic()

    def ask() -> None:
        for _ in range(3):
            hosts.wait("a")
            asked.append(time.monotonic() - begun)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(at >= number * 0.03 for number, at in enumerate(sorted(asked)))
    assert len(asked) == 12


def test_the_fetcher_keeps_the_rate(web_server: WebServer, fetch: Callable[..., Fetcher]) -> None:
    web_server.routes["/1"] = web_server.redirect("/2")
    web_server.routes["/2"] = web_server.answer(b"text")
    fetcher = fetch(per_host_s=0.1)
    begun = time.monotonic()
    fetcher.get(web_server.url("/1"))
    fetcher.get(web_server.url("/2"))
    assert time.monotonic() - begun >= 0.2


def test_closing_wakes_who_waits_and_ends_all_asking(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/a"] = web_server.answer(b"text")
    fetcher = fetch(per_host_s=60)
    fetcher.get(web_server.url("/a"))
    errors: list[FetchError] = []
    thread = threading.Thread(
        target=lambda: errors.append(fails(lambda: fetcher.get(web_server.url("/a"))))
    )
    thread.start()
    fetcher.close()
    thread.join(5)
    errors.append(fails(lambda: fetcher.get(web_server.url("/a"))))
    assert [(error.reason, error.again) for error in errors] == [("stopped", True)] * 2
    assert web_server.requests["/a"] == 1


def test_a_closed_fetcher_asks_nobody_at_all(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    fetcher = fetch()
    fetcher.close()
    assert fails(lambda: fetcher.get(web_server.url("/a"))).reason == "stopped"
    assert not web_server.requests


def test_a_site_is_read_once_by_many_threads_and_again_when_it_is_old(clock: Clock) -> None:
    reads: list[str] = []

    def read(site: str) -> str:
        time.sleep(0.01)
        reads.append(site)
        return "failed" if site == "b" else f"read {len(reads)}"

    sites = PerSite(read, lambda value: value == "failed", clock)
    threads = [threading.Thread(target=sites.at, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sites.at("a"), sites.at("b"), sites.at("b")) == ("read 1", "failed", "failed")
    assert reads == ["a", "b"]
    clock.now = KEEP_FAILED_S
    sites.at("a")
    sites.at("b")
    assert reads == ["a", "b", "b"]
    clock.now = KEEP_S
    assert sites.at("a") == "read 4"


def test_a_site_whose_reading_raises_is_read_again() -> None:
    reads: list[str] = []

    def read(site: str) -> str:
        reads.append(site)
        raise FetchError("unknown_host", "no such host")

    sites = PerSite(read, lambda value: False)
    for _ in range(2):
        fails(lambda: sites.at("a"))
    assert reads == ["a", "a"]


def test_what_the_caller_asks_about_a_redirect_does_not_count_as_slowness(
    web_server: WebServer, fetch: Callable[..., Fetcher]
) -> None:
    web_server.routes["/1"] = web_server.redirect("/2")
    web_server.routes["/2"] = web_server.answer(JPEG)
    fetcher = fetch(deadline_s=0.8)
    fetched = fetcher.get_picture(web_server.url("/1"), permit=lambda url: time.sleep(0.9))
    assert fetched.data == JPEG


def test_the_time_left_is_never_more_than_a_step_may_take(clock: Clock) -> None:
    watch = Watch(10, 4, clock)
    assert (watch.left_s(), watch.left_s(2)) == (4, 2)
    clock.now = 9
    assert watch.left_s() == 1
    with watch.paused():
        clock.now = 14
    assert watch.left_s() == 1
    clock.now = 15
    with pytest.raises(FetchError, match="no end after 10 s"):
        watch.left_s()


# Secrets ------------------------------------------------------------------------------------------

SECRET = "k3y-0f-mine"


def leaky_routes(server: WebServer) -> dict[str, Route]:
    """Return routes that fail, and some that say the secret back wherever they can."""
    echo = dict.fromkeys(("Content-Type", "Content-Encoding", "X-Echo"), SECRET)
    return {
        "404": server.answer(SECRET.encode(), 404),
        "503": server.answer(b"", 503, {"Retry-After": SECRET}),
        "encoded": server.answer(b"", 200, echo),
        "no picture": server.answer(SECRET.encode(), 200, {"Content-Type": SECRET}),
        "bad head": server.raw(b"HTTP/1.1 200 OK\r\n" + SECRET.encode() + b"\r\nx: y\r\n\r\n"),
        "bad status": server.raw(SECRET.encode() + b"\r\n\r\n"),
        "bad chunk": server.raw(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + SECRET.encode() + b"\r\n"
        ),
        "closed": server.raw(b""),
        "silent": server.silent(),
        "loop": server.redirect(f"?key={SECRET}"),
        "blocked": server.redirect(server.url(f"/{SECRET}?key={SECRET}", "localhost")),
        "scheme": server.redirect(f"ftp://{SECRET}:{SECRET}@photos.example/{SECRET}"),
        "credentials": server.redirect(f"http://{SECRET}:{SECRET}@photos.example/{SECRET}"),
        "redirects": server.redirect(f"/404?key={SECRET}"),
        "two lengths": server.raw(HEAD + b"Content-Length: 1, 2\r\n\r\nab"),
        "both lengths": server.raw(
            HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "404",
        "503",
        "encoded",
        "no picture",
        "bad head",
        "bad status",
        "bad chunk",
        "closed",
        "silent",
        "loop",
        "blocked",
        "scheme",
        "credentials",
        "redirects",
        "two lengths",
        "both lengths",
        "nobody",
        "address",
    ],
)
def test_no_key_is_in_an_error_or_a_log(
    web_server: WebServer,
    fetch: Callable[..., Fetcher],
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    web_server.routes |= {f"/{name}": route for name, route in leaky_routes(web_server).items()}
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "occlufer"):
        caplog.set_level(logging.DEBUG, name)
    fetcher = fetch(retries=1, read_timeout_s=0.2)
    address = {
        "nobody": f"http://{'127.0.0.1'}:9/x?key={SECRET}",
        "address": f"http://me:{SECRET}@photos.example/?key={SECRET}",
    }.get(kind, web_server.url(f"/{kind}?key={SECRET}"))
    params, headers = {"api_key": SECRET}, {"Authorization": f"Bearer {SECRET}"}
    picture = fails(lambda: fetcher.get_picture(address)) if kind != "both lengths" else None
    error = picture or fails(lambda: fetcher.get(address, params=params, headers=headers))
    if kind not in ("no picture", "bad head"):
        error = fails(lambda: fetcher.get(address, params=params, headers=headers))
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert SECRET not in "".join(traceback.format_exception(error))
    assert error.__context__ is None
    assert error.__cause__ is None
    assert SECRET not in caplog.text
    assert "Retrying" not in caplog.text


def test_urllib3_s_own_log_would_hold_the_key(
    web_server: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    # Else the test before would show nothing.
    web_server.routes["/a"] = web_server.answer(b"text")
    caplog.set_level(logging.DEBUG, "urllib3")
    requests.get(web_server.url(f"/a?key={SECRET}"), timeout=5)
    assert SECRET in caplog.text


def nested(*errors: Exception) -> Exception:
    """Return the last error, each made of the one before."""
    for cause, error in pairwise(errors):
        error.__context__ = cause
    return errors[-1]


REFUSED = ConnectionRefusedError(111, "Connection refused")
UNSIGNED = ssl.SSLCertVerificationError(1, "certificate verify failed")
URLLIB3 = urllib3.exceptions
HERE = f"/x?key={SECRET}"


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (nested(REFUSED, requests.ConnectionError(HERE)), "connection", True),
        (requests.ConnectionError(HERE), "connection", True),
        (URLLIB3.ProtocolError(HERE, ConnectionResetError(104, "reset")), "connection", True),
        (URLLIB3.ProtocolError(HERE, RemoteDisconnected(HERE)), "connection", True),
        (URLLIB3.ProtocolError(HERE, BadStatusLine(HERE)), "bad_answer", False),
        (URLLIB3.ProtocolError(HERE), "truncated", True),
        (URLLIB3.ProtocolError(HERE, IncompleteRead(b"", 9)), "truncated", True),
        (URLLIB3.InvalidHeader(HERE), "bad_answer", False),
        (ValueError(HERE), "bad_answer", False),
        (requests.ReadTimeout(HERE, request=None), "too_slow", True),
        (URLLIB3.ReadTimeoutError(None, HERE, HERE), "too_slow", True),  # type: ignore[arg-type]
        (TimeoutError(HERE), "too_slow", True),
        (nested(UNSIGNED, requests.exceptions.SSLError(HERE)), "tls", False),
        (URLLIB3.SSLError(ssl.SSLEOFError(8, HERE)), "tls", True),
        (OSError(28, "No space left on device", HERE), "connection", True),
    ],
)
def test_the_errors_of_the_libraries_are_told_apart(
    error: Exception, reason: str, again: bool
) -> None:
    def fail() -> None:
        with told_apart():
            raise error

    found = fails(fail)
    assert (found.reason, found.again) == (reason, again)
    assert SECRET not in str(found)


def test_an_error_of_our_own_passes_as_it_is() -> None:
    def fail() -> None:
        with told_apart():
            raise own

    own = FetchError("too_large", "found more")
    assert fails(fail) is own
    with pytest.raises(ZeroDivisionError), told_apart():
        1 / 0  # noqa: B018


def test_an_error_survives_pickling() -> None:
    error = FetchError("http_503", "found status 503", again=True)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.reason, copy.detail, copy.again) == ("http_503", "found status 503", True)
    assert str(copy) == "http_503: found status 503"


# TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def tls_server(new_web_server: Callable[[], WebServer], certificate: Path) -> WebServer:
    server = new_web_server()
    server.use_tls(str(certificate))
    server.routes["/a"] = server.answer(b"text")
    return server


@pytest.mark.parametrize("variable", ["", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_that_nobody_signed_is_not_trusted_whatever_the_environment_says(
    tls_server: WebServer,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    if variable:
        monkeypatch.setenv(variable, str(certificate.with_suffix(".crt")))
    error = fails(lambda: Fetcher(AGENT, QUICK, [tls_server.host]).get(tls_server.url("/a")))
    assert (error.reason, error.again) == ("tls", False)
    assert "self" in error.detail
    assert not tls_server.requests


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the certificate be one of those that requests trusts."""
    bundle = str(certificate.with_suffix(".crt"))
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", bundle)


@pytest.mark.usefixtures("trusted")
def test_a_trusted_certificate_is_for_its_own_host_alone(tls_server: WebServer) -> None:
    named = f"localhost:{tls_server.port}"
    fetcher = Fetcher(AGENT, QUICK, [tls_server.host, named])
    assert fetcher.get(tls_server.url("/a")).data == b"text"
    error = fails(lambda: fetcher.get(tls_server.url("/a", host="localhost")))
    assert (error.reason, error.again) == ("tls", False)
    assert tls_server.requests["/a"] == 1


@pytest.mark.usefixtures("trusted")
def test_a_blocked_host_is_not_even_greeted_with_tls(tls_server: WebServer) -> None:
    error = fails(lambda: Fetcher(AGENT, QUICK).get(tls_server.url("/a")))
    assert error.reason == "blocked_address"
    assert not tls_server.requests


@pytest.mark.usefixtures("trusted")
def test_a_redirect_does_not_lead_from_https_to_http(
    tls_server: WebServer, web_server: WebServer
) -> None:
    web_server.routes["/up"] = web_server.redirect(tls_server.url("/a"))
    tls_server.routes["/down"] = tls_server.redirect(web_server.url("/plain"))
    fetcher = Fetcher(AGENT, QUICK, [tls_server.host, web_server.host])
    assert fetcher.get(web_server.url("/up")).data == b"text"
    assert fails(lambda: fetcher.get(tls_server.url("/down"))).reason == "blocked_downgrade"
    assert dict(web_server.requests) == {"/up": 1}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("kind", ["dripping body", "dripping headers", "endless body"])
def test_time_and_bytes_are_counted_under_tls_too(tls_server: WebServer, kind: str) -> None:
    tls_server.routes["/a.jpg"] = attack(kind, tls_server)
    limits = Limits(max_bytes=100_000, deadline_s=0.4, per_host_s=0, retries=0)
    begun = time.monotonic()
    fetcher = Fetcher(AGENT, limits, [tls_server.host])
    error = fails(lambda: fetcher.get_picture(tls_server.url("/a.jpg")))
    assert (error.reason, error.again) == ATTACKS[kind]
    assert time.monotonic() - begun < 5


def test_a_server_that_is_silent_before_tls_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        limits = Limits(deadline_s=0.3, per_host_s=0, retries=0)
        begun = time.monotonic()
        fetcher = Fetcher(AGENT, limits, [f"127.0.0.1:{port}"])
        error = fails(lambda: fetcher.get(f"https://{'127.0.0.1'}:{port}/"))
    assert (error.reason, error.again) == ("too_slow", True)
    assert time.monotonic() - begun < 5
