"""The fetcher: bytes from the web, where no host and no answer is trusted.

No requests.Session: one would follow redirects with the rules of its own (it reads a redirect's
whole body, whatever its size, even when told not to follow), keep cookies, and unless told not to
(trust_env) read proxies and passwords from the environment. A prepared request on an adapter does
none of this.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urljoin

import requests
import urllib3
from urllib3.util.retry import RequestHistory, Retry

from .address import host_of, shown, site_of, web_address
from .connection import MAX_HEAD_BYTES, Guard, Watch, sent
from .errors import FetchError, told_apart
from .hosts import Hosts

__all__ = ["FetchError", "Fetched", "Fetcher", "Limits"]

logger = logging.getLogger(__name__)

REDIRECTS = (301, 302, 303, 307, 308)
# Statuses and other reasons for which the very same request may go well in a moment.
RETRIED_STATUSES = (429, 500, 502, 503, 504)
RETRIED = {"rate_limited", "connection", "truncated"} | {f"http_{n}" for n in RETRIED_STATUSES}
BACKOFF_MAX_S = 30.0
PIECE_BYTES = 65_536
SIGNATURE_BYTES = 12

# What is found in the place of a picture, by its first bytes; the bytes are not repeated.
OTHERS = {b"<": "a page of HTML or XML", b"GIF8": "a GIF", b"%PDF": "a PDF", b"BM": "a BMP"}


@dataclass(frozen=True)
class Limits:
    """How much of anything is taken."""

    max_bytes: int = 50_000_000
    """Of the body, counted as it comes over the wire."""
    deadline_s: float = 60.0
    """For one fetch, redirects and body included; a retry has as much again."""
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """Without a single byte."""
    max_redirects: int = 3
    retries: int = 3
    retry_after_cap_s: float = 60.0
    """A longer Retry-After counts as this."""
    per_host_s: float = 1.0
    """Between the begins of two requests to a host."""
    backoff_s: float = 0.5
    """The waits before retries are 2, 4, 8, ... times this, and up to once more by chance."""


@dataclass(frozen=True)
class Fetched:
    """What a fetch gave."""

    data: bytes
    url: str
    """After redirects. Without its query if `params` were given: keys stand there."""
    headers: Mapping[str, str]
    """Of the last answer, names in lower case, without Set-Cookie."""
    fetched_at: str
    """UTC, ISO 8601."""
    redirects: tuple[str, ...] = ()
    """The addresses that were led to, in order; the last is `url`."""


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class _Wanted:
    """One fetch, as the caller wants it."""

    url: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    data: Mapping[str, str] | None = None
    max_bytes: int = 0
    picture: bool = False
    permit: Callable[[str], object] | None = None


@dataclass(frozen=True)
class _Answer:
    """One answer: a body, or where to ask instead."""

    headers: Mapping[str, str]
    data: bytes = b""
    location: str = ""


class Fetcher:
    """Fetches documents and pictures; threads share it."""

    def __init__(
        self,
        user_agent: str,
        limits: Limits = Limits(),
        allow_hosts: Container[str] = (),
        hosts: Hosts | None = None,
    ) -> None:
        """Take who is asking, and the hosts that may be reached though they are not public.

        Those are "host:port" in lower case, as addresses have them: allowing "localhost:80" allows
        no other name of the same machine.
        """
        if not re.fullmatch(r"[\x20-\x7e]+", user_agent):
            raise ValueError(f"user_agent: found {user_agent!r}, expected a line of ASCII text")
        if isinstance(allow_hosts, str):
            raise ValueError(f"allow_hosts: found the text {allow_hosts!r}, expected a list")
        self.limits = limits
        self.hosts = hosts or Hosts(limits.per_host_s, sleep=self._sleep)
        self._allow_hosts = allow_hosts
        self._own_headers = {
            "User-Agent": user_agent,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        self._closed = threading.Event()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        """Return a document, of any kind and perhaps empty; raises FetchError.

        `headers` are sent to the site of `url` alone. `data` is sent as a form by POST, which
        follows no redirect.
        """
        most = self.limits.max_bytes if max_bytes is None else max_bytes
        return self._fetch(_Wanted(url, params, headers, data, most))

    def get_picture(self, url: str, *, permit: Callable[[str], object] | None = None) -> Fetched:
        """Return a file that begins as JPEG, PNG or WEBP do; raises FetchError.

        `permit` is called with every address that a redirect leads to, before it is asked; what
        it raises ends the fetch.
        """
        wanted = _Wanted(url, max_bytes=self.limits.max_bytes, picture=True, permit=permit)
        return self._fetch(wanted)

    def close(self) -> None:
        """Send no further request; who waits for a host's turn is woken with a FetchError."""
        self._closed.set()

    def _sleep(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise FetchError("stopped", "the fetcher was closed", again=True)

    def _fetch(self, wanted: _Wanted) -> Fetched:
        try:
            return self._with_retries(wanted)
        except FetchError as error:
            detail = f"{shown(wanted.url)}: {error.detail}"
            failed = FetchError(error.reason, detail, error.again)
        raise failed  # out here the libraries' errors, with their addresses, are no context of it

    def _with_retries(self, wanted: _Wanted) -> Fetched:
        # In the history stands the first request: urllib3 does not wait before the first retry.
        first = RequestHistory(None, None, None, None, None)
        backoff_s = self.limits.backoff_s
        retry = Retry(
            total=self.limits.retries,
            backoff_factor=backoff_s,
            backoff_max=BACKOFF_MAX_S,
            backoff_jitter=backoff_s,
            history=(first,),
        )
        while True:
            try:
                return self._follow(wanted)
            except FetchError as error:
                if error.reason not in RETRIED or not retry.total:
                    raise
                reason = error.reason
            retry = retry.increment()
            wait_s = retry.get_backoff_time()
            logger.info("%s: %s, asked again in %.1f s", shown(wanted.url), reason, wait_s)
            self.hosts.sleep(wait_s)  # and then for the host's turn, which a Retry-After puts off

    def _follow(self, wanted: _Wanted) -> Fetched:
        """Return what is at the end of the redirects."""
        url = web_address(wanted.url, wanted.params)
        headers = {"Accept": "*/*", **(wanted.headers or {}), **self._own_headers}
        watch = Watch(self.limits.deadline_s, self.limits.read_timeout_s)
        asked = [url]
        while True:
            answer = self._ask(url, headers, wanted, watch)
            if not answer.location:
                return _fetched(answer, asked, without_query=bool(wanted.params))
            target = self._target(url, answer.location, wanted, asked)
            if wanted.permit is not None:
                with watch.paused():
                    wanted.permit(target)
            if site_of(target) != site_of(url):
                headers = {"Accept": "*/*", **self._own_headers}
            url = target
            asked.append(url)

    def _target(self, url: str, location: str, wanted: _Wanted, asked: list[str]) -> str:
        """Return where a redirect leads, if that may be asked; raises FetchError."""
        try:
            target = web_address(urljoin(url, location))
        except ValueError:
            raise FetchError("bad_url", "redirected to what cannot be read") from None
        except FetchError as error:
            raise FetchError(error.reason, f"redirected: {error.detail}") from None
        if wanted.data is not None:
            raise FetchError("redirected_form", f"redirected to {site_of(target)}; it is a form")
        if url.startswith("https:") and not target.startswith("https:"):
            raise FetchError("blocked_downgrade", f"redirected from https to {site_of(target)}")
        if target in asked:
            raise FetchError("redirect_loop", f"redirected to {site_of(target)} a second time")
        if len(asked) > self.limits.max_redirects:
            most = self.limits.max_redirects
            raise FetchError("too_many_redirects", f"found over {most} redirects")
        return target

    def _ask(self, url: str, headers: Mapping[str, str], wanted: _Wanted, watch: Watch) -> _Answer:
        """Return the answer to one request; raises FetchError, also for a status but 200."""
        request = _prepared(url, headers, wanted.data)
        with watch.paused():
            self.hosts.wait(host_of(url))
        if self._closed.is_set():
            raise FetchError("stopped", "the fetcher was closed", again=True)
        watch.expect(MAX_HEAD_BYTES, f"found over {MAX_HEAD_BYTES} bytes before the body")
        guard = Guard(watch, self.limits.connect_timeout_s, self._allow_hosts)
        with told_apart(), sent(request, guard) as response:
            answer_headers = _headers(response)
            location = answer_headers.get("location", "")
            if response.status in REDIRECTS and location:
                return _Answer(answer_headers, location=_as_utf8(location))
            self._check_status(response.status, answer_headers, url)
            most = f"found over {wanted.max_bytes} bytes"
            _check_head(answer_headers, wanted.max_bytes, most)
            watch.expect(wanted.max_bytes, most)
            data = _body(response, wanted, most)
        return _Answer(answer_headers, data)

    def _check_status(self, status: int, headers: Mapping[str, str], url: str) -> None:
        if status == 200:
            return
        after_s = min(retry_after(headers.get("retry-after", "")), self.limits.retry_after_cap_s)
        if status in RETRIED_STATUSES and after_s:
            self.hosts.hold(host_of(url), after_s)
        reason = "rate_limited" if status == 429 else f"http_{status}"
        again = status in RETRIED_STATUSES or status >= 500
        raise FetchError(reason, f"found status {status}, expected 200", again)


def retry_after(value: str) -> float:
    """Return the seconds that a Retry-After asks for; 0 for what is neither seconds nor a date."""
    try:
        return Retry().parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError, TypeError, IndexError):
        return 0.0


def _prepared(
    url: str, headers: Mapping[str, str], data: Mapping[str, str] | None
) -> requests.PreparedRequest:
    method = "GET" if data is None else "POST"
    try:
        request = requests.Request(method, url, headers=headers, data=data).prepare()
        for value in request.headers.values():
            value.encode("latin-1")  # as http.client will
    except (requests.RequestException, ValueError):
        raise FetchError("bad_request", "found a header that cannot be sent") from None
    return request


def _headers(response: urllib3.response.BaseHTTPResponse) -> dict[str, str]:
    """Return the headers of an answer; several of one name are joined by commas."""
    names = {name.lower() for name in response.headers}
    return {
        name: response.headers[name]
        for name in sorted(names)
        if name not in ("set-cookie", "set-cookie2")
    }


def _check_head(headers: Mapping[str, str], max_bytes: int, too_many: str) -> None:
    """Raise FetchError if the headers say that the body will not do."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchError("encoded_body", "found a compressed body, expected one as it is")
    length = headers.get("content-length", "").strip()
    if length.isdecimal() and (len(length) > 18 or int(length) > max_bytes):
        raise FetchError("too_large", too_many)


def _body(response: urllib3.response.BaseHTTPResponse, wanted: _Wanted, too_many: str) -> bytes:
    """Return the body; raises FetchError at once if it gets too large or is no picture."""
    data = bytearray()
    judged = not wanted.picture
    for piece in response.stream(PIECE_BYTES, decode_content=False):
        data += piece
        if len(data) > wanted.max_bytes:
            raise FetchError("too_large", too_many)
        if not judged and len(data) >= SIGNATURE_BYTES:
            _check_picture(data)
            judged = True
    if not judged:
        _check_picture(data)
    return bytes(data)


def _check_picture(data: bytearray) -> None:
    if not data:
        raise FetchError("empty_body", "found no bytes, expected a picture", again=True)
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not webp and not data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        begin = bytes(data[:64]).lstrip(b"\xef\xbb\xbf\r\n\t ")
        found = next((name for mark, name in OTHERS.items() if begin.startswith(mark)), "bytes")
        raise FetchError("not_an_image", f"found {found}, expected JPEG, PNG or WEBP")


def _fetched(answer: _Answer, asked: list[str], without_query: bool) -> Fetched:
    urls = [url.partition("?")[0] if without_query else url for url in asked]
    return Fetched(answer.data, urls[-1], answer.headers, utc_now(), tuple(urls[1:]))


def _as_utf8(header: str) -> str:
    """Return the text of a header that http.client took for Latin-1, as browsers read it."""
    return header.encode("latin-1", "replace").decode("utf-8", "replace")
