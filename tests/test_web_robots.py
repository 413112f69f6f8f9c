from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.errors import FetchError
from occlufer.builders.web.fetch import Fetched, Fetcher, Limits
from occlufer.builders.web.hosts import Hosts
from occlufer.builders.web.robots import AI_AGENTS, MAX_BYTES, Robots, Verdict

if TYPE_CHECKING:
    from web_server import WebServer

QUICK = Limits(per_host_s=0, backoff_s=0, retry_after_cap_s=0, retries=1, read_timeout_s=0.2)
DISALLOW = "User-agent: *\nDisallow: /private/\n"


class NoServer:
    """A fetcher to which every robots.txt is the same bytes."""

    def __init__(self, data: bytes) -> None:
        self.hosts = Hosts(0)
        self._data = data

    def get(self, url: str, *, max_bytes: int) -> Fetched:
        return Fetched(self._data, url, {}, "2026-01-01T00:00:00+00:00")


def judged(text: str | bytes, path: str = "/a.jpg") -> Verdict:
    """Return the verdict on a path of a site with that robots.txt."""
    data = text.encode() if isinstance(text, str) else text
    return Robots(NoServer(data)).allowed(f"https://photos.example{path}")


@pytest.fixture
def robots(web_server: WebServer) -> Robots:
    return Robots(Fetcher("occlufer", QUICK, [web_server.host]))


# What a file says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("", "/a.jpg", ""),
        ("User-agent: *\nDisallow:\n", "/a.jpg", ""),
        (DISALLOW, "/a.jpg", ""),
        (DISALLOW, "/private/a.jpg", "robots"),
        (DISALLOW, "/%70rivate/a.jpg", "robots"),
        ("User-agent: *\nDisallow: /*.jpg$\n", "/a.jpg", "robots"),
        ("User-agent: *\nDisallow: /*.jpg$\n", "/a.jpg?size=l", ""),
        ("User-agent: *\nDisallow: /*size=\n", "/a.jpg?size=l", "robots"),
        ("User-agent: *\nDisallow: /\nAllow: /a\n", "/a.jpg", ""),
        ("User-agent: occlufer\nDisallow: /\n", "/a.jpg", "robots"),
        ("user-agent: OccluFER\ndisallow: /\n", "/a.jpg", "robots"),
        ("User-agent: *\nDisallow: /\n\nUser-agent: occlufer\nAllow: /\n", "/a.jpg", ""),
        ("User-agent: other\nDisallow: /\n", "/a.jpg", ""),
        ("Disallow: /\n", "/a.jpg", ""),
        ("\ufeffUser-agent: *\r\nDisallow: /\r\n", "/a.jpg", "robots"),
        ("User-agent: *\rDisallow: /", "/a.jpg", "robots"),
    ],
)
def test_a_file_speaks_for_the_paths_it_names(text: str, path: str, reason: str) -> None:
    verdict = judged(text, path)
    assert (verdict.allowed, verdict.reason) == (not reason, reason)
    assert verdict.robots_url == "https://photos.example/robots.txt"
    assert verdict.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert verdict.fetched_at == "2026-01-01T00:00:00+00:00"
    assert not verdict.again


@pytest.mark.parametrize("agent", AI_AGENTS)
def test_who_turns_a_gatherer_of_training_data_away_turns_us_away(agent: str) -> None:
    text = f"User-agent: *\nDisallow: /private/\n\nUser-agent: {agent}\nDisallow: /photos/\n"
    assert judged(text).allowed
    verdict = judged(text, "/photos/a.jpg")
    assert (verdict.reason, verdict.detail) == ("robots_ai", f"disallowed for {agent}")


def test_the_gatherers_are_these() -> None:
    assert {"img2dataset", "CCBot", "GPTBot", "Google-Extended"} <= set(AI_AGENTS)
    assert len(set(AI_AGENTS)) == len(AI_AGENTS)


def test_an_agent_that_is_no_gatherer_speaks_for_itself() -> None:
    assert judged("User-agent: Googlebot-Image\nDisallow: /\n").allowed


def test_who_lets_us_in_by_name_does_so_though_nobody_else_may() -> None:
    text = "User-agent: *\nDisallow: /\n\nUser-agent: GPTBot\nDisallow: /\n"
    assert judged(text).reason == "robots"
    assert judged(text + "\nUser-agent: occlufer\nAllow: /\n").allowed


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Content-Signal: search=yes, ai-train=no", "robots_ai"),
        ("content-signal : AI-Train = No # we mean it", "robots_ai"),
        ("Content-Usage: train-ai=n", "robots_ai"),
        ("Content-Signal: search=yes, ai-train=yes", ""),
        ("Content-Signal: ai-input=no", ""),
        ("# Content-Signal: ai-train=no", ""),
        ("Sitemap: https://photos.example/ai-train=no", ""),
    ],
)
def test_that_training_is_not_wanted_may_be_said_in_words(line: str, reason: str) -> None:
    assert judged(f"User-agent: *\n{line}\nAllow: /\n").reason == reason


@pytest.mark.parametrize(
    ("delay", "reason"),
    [
        ("0", ""),
        ("30", ""),
        ("30.5", "robots_crawl_delay"),
        ("86400", "robots_crawl_delay"),
        ("-1", ""),
        ("soon", ""),
    ],
)
def test_a_site_that_wants_to_be_asked_rarely_is_left_alone(delay: str, reason: str) -> None:
    assert judged(f"User-agent: *\nCrawl-delay: {delay}\n").reason == reason


def test_a_crawl_delay_slows_its_host_down(web_server: WebServer) -> None:
    slept: list[float] = []
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    web_server.routes["/robots.txt"] = web_server.answer(b"User-agent: *\nCrawl-delay: 7\n")
    web_server.routes["/a"] = web_server.answer(b"text")
    hosts = Hosts(1, sleep, lambda: now)
    fetcher = Fetcher("occlufer", QUICK, [web_server.host], hosts)
    assert Robots(fetcher).allowed(web_server.url("/a")).allowed
    fetcher.get(web_server.url("/a"))
    assert slept == [7]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"<!DOCTYPE html><title>Not found</title><p>Nothing here", ""),
        (b"<pre>\nUser-agent: *\nDisallow: /\n</pre>", "robots"),
    ],
)
def test_a_page_of_html_is_read_as_any_text(page: bytes, reason: str) -> None:
    assert judged(page).reason == reason


def test_a_small_file_that_would_fill_the_memory_is_not_read() -> None:
    # protego would make of it 16 000 times 9 000 rules.
    agents = "".join(f"User-agent: {number:x}\n" for number in range(8000))
    text = agents + "Sitemap: x\n" + agents.replace(": ", ": b") + "Allow: /x\n" * 9000
    assert len(text) < MAX_BYTES
    begun = time.monotonic()
    verdict = judged(text)
    assert (verdict.allowed, verdict.reason) == (False, "robots_unreadable")
    assert time.monotonic() - begun < 5


def test_a_long_honest_file_is_read() -> None:
    text = "".join(f"User-agent: bot{n}\nDisallow: /{n}\n\n" for n in range(9000)) + DISALLOW
    assert judged(text, "/private/a.jpg").reason == "robots"


@given(st.binary(), st.text())
def test_any_bytes_are_a_file(data: bytes, path: str) -> None:
    try:
        verdict = judged(data, f"/{path}")
    except FetchError:  # the path is none
        return
    assert verdict.allowed == (not verdict.reason)


LINES = st.sampled_from(
    [
        *("User-agent: *", "User-agent: occlufer", "user agent", "Disallow: /", "Allow: /*$"),
        *("Crawl-delay: nan", "Crawl-delay: inf", "Disallow: %", "Disallow: /%zz*$", ":"),
        "Content-Signal:",
    ]
)


@given(st.lists(LINES | st.text(max_size=20)))
def test_any_lines_are_a_file(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    assert judged(data, "/a.jpg?x=%zz").reason in ("", "robots", "robots_crawl_delay")


# How a file is had --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "again"),
    [
        (404, "", False),
        (410, "", False),
        (400, "", False),
        (451, "", False),
        (401, "robots_refused", False),
        (403, "robots_refused", False),
        (429, "robots_unreachable", True),
        (500, "robots_unreachable", True),
        (503, "robots_unreachable", True),
        (204, "robots_unreachable", True),
        (304, "robots_unreachable", True),
    ],
)
def test_an_answer_without_a_file_allows_all_or_nothing(
    web_server: WebServer, robots: Robots, status: int, reason: str, again: bool
) -> None:
    web_server.routes["/robots.txt"] = web_server.answer(DISALLOW.encode(), status)
    verdict = robots.allowed(web_server.url("/private/a.jpg"))
    assert (verdict.allowed, verdict.reason, verdict.again) == (not reason, reason, again)
    assert (verdict.robots_url, verdict.sha256) == (web_server.url("/robots.txt"), "")
    assert str(status) in verdict.detail or "rate_limited" in verdict.detail


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("closed", "robots_unreachable"),
        ("silent", "robots_unreachable"),
        ("loop", "robots_unreachable"),
        ("too large", "robots_unreadable"),
        ("endless", "robots_unreadable"),
        ("gzip", "robots_unreadable"),
    ],
)
def test_a_file_that_cannot_be_had_allows_nothing_for_now(
    web_server: WebServer, robots: Robots, kind: str, reason: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    web_server.routes["/robots.txt"] = {
        "closed": web_server.raw(b""),
        "silent": web_server.silent(),
        "loop": web_server.redirect("/robots.txt"),
        "too large": web_server.answer(b"#" * (MAX_BYTES + 1)),
        "endless": web_server.endless(b"# more\n" * 999, head),
        "gzip": web_server.answer(b"", headers={"Content-Encoding": "gzip"}),
    }[kind]
    verdict = robots.allowed(web_server.url("/a.jpg"))
    assert (verdict.allowed, verdict.reason, verdict.again) == (False, reason, True)


def test_a_file_of_just_the_largest_size_is_read(web_server: WebServer, robots: Robots) -> None:
    data = DISALLOW.encode().ljust(MAX_BYTES, b"#")
    web_server.routes["/robots.txt"] = web_server.answer(data)
    assert robots.allowed(web_server.url("/private/a.jpg")).reason == "robots"


def test_a_file_may_be_somewhere_else(web_server: WebServer, robots: Robots) -> None:
    web_server.routes["/robots.txt"] = web_server.redirect("/rules")
    web_server.routes["/rules"] = web_server.answer(DISALLOW.encode())
    assert robots.allowed(web_server.url("/private/a.jpg")).reason == "robots"


def test_a_file_is_asked_for_once_however_many_threads_want_it(
    web_server: WebServer, robots: Robots
) -> None:
    web_server.routes["/robots.txt"] = web_server.answer(DISALLOW.encode())
    allowed: list[bool] = []

    def ask(number: int) -> None:
        allowed.append(robots.allowed(web_server.url(f"/private/{number}")).allowed)
        allowed.append(robots.allowed(web_server.url(f"/{number}")).allowed)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 8 + [True] * 8
    assert dict(web_server.requests) == {"/robots.txt": 1}


def test_a_failure_is_remembered_as_well(web_server: WebServer, robots: Robots) -> None:
    web_server.routes["/robots.txt"] = web_server.answer(b"", 500)
    for _ in range(3):
        assert not robots.allowed(web_server.url("/a.jpg")).allowed
    assert web_server.requests["/robots.txt"] == 2  # of one try and one retry


def test_every_port_has_a_file_of_its_own(
    web_server: WebServer, new_web_server: Callable[[], WebServer]
) -> None:
    other = new_web_server()
    other.routes["/robots.txt"] = other.answer(b"User-agent: *\nDisallow: /\n")
    robots = Robots(Fetcher("occlufer", QUICK, [web_server.host, other.host]))
    assert robots.allowed(web_server.url("/a")).allowed
    assert not robots.allowed(other.url("/a")).allowed


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://photos.example/a.jpg", "blocked_scheme"),
        ("https://me@photos.example/a.jpg", "credentials_in_url"),
        ("no address", "bad_url"),
    ],
)
def test_what_is_no_web_address_has_no_verdict(robots: Robots, url: str, reason: str) -> None:
    with pytest.raises(FetchError) as caught:
        robots.allowed(url)
    assert caught.value.reason == reason


def test_a_blocked_site_is_said_to_be_blocked(web_server: WebServer) -> None:
    with pytest.raises(FetchError) as caught:
        Robots(Fetcher("occlufer", QUICK)).allowed(web_server.url("/a.jpg"))
    assert caught.value.reason == "blocked_address"
    assert not web_server.requests
