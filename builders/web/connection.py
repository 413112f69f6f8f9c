"""Connections that reach public addresses alone, and in which time and bytes are counted."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import socket
import time
from collections.abc import Callable, Container, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.response import BaseHTTPResponse
from urllib3.util.connection import create_connection

from .address import why_blocked
from .errors import FetchError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# http.client takes 100 lines of 64 kB; no honest answer's head is near this. Beside the head it
# bounds what is read with it: the first of the body.
MAX_HEAD_BYTES = 256_000
# getaddrinfo: there is no such name, or no address of it.
NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class Watch:
    """The time that a fetch may still take, and the bytes that an answer may still have."""

    def __init__(
        self,
        deadline_s: float,
        read_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock."""
        self._clock = clock
        self._deadline_s = deadline_s
        self._end = clock() + deadline_s
        self._read_timeout_s = read_timeout_s
        self._bytes_left = MAX_HEAD_BYTES
        self._too_many = ""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time until the block ends: in it nothing is asked of a host."""
        begun = self._clock()
        try:
            yield
        finally:
            self._end += self._clock() - begun

    def left_s(self, at_most_s: float | None = None) -> float:
        """Return how long the next step may take; raises FetchError if the time is over."""
        left_s = self._end - self._clock()
        if left_s <= 0:
            raise self.too_slow()
        return min(left_s, self._read_timeout_s if at_most_s is None else at_most_s)

    def too_slow(self) -> FetchError:
        """Return the error for a step that took too long."""
        found = f"no byte for {self._read_timeout_s:g} s"
        if self._clock() >= self._end:
            found = f"no end after {self._deadline_s:g} s"
        return FetchError("too_slow", f"found {found}", again=True)

    def expect(self, byte_count: int, too_many: str) -> None:
        """Take so many bytes from here on; `too_many` is said of more."""
        self._bytes_left = byte_count
        self._too_many = too_many

    def count(self, byte_count: int) -> None:
        """Note bytes that came; raises FetchError if they are too many."""
        self._bytes_left -= byte_count
        if self._bytes_left < 0:
            raise FetchError("too_large", self._too_many)


@dataclass(frozen=True)
class Guard:
    """What connections may do."""

    watch: Watch
    connect_timeout_s: float
    allow_hosts: Container[str]
    """"host:port", as an address has them, that may be reached wherever they lead."""

    def connect(self, host: str, port: int, socket_options: Any) -> socket.socket:
        """Return a connected socket whose other end may be reached; raises FetchError.

        Every address of the name must be public, those that would not be used as well. They are
        looked up once, so that no second answer can be another; the connected socket has the last
        word. A system's look-up cannot be interrupted: it may outlast the deadline.
        """
        named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        addresses = _looked_up(host, port)
        if named in self.allow_hosts:
            return self._first(addresses, port, socket_options)
        for address in addresses:
            _refuse_blocked(address)
        connected = self._first(addresses, port, socket_options)
        try:
            _refuse_blocked(connected.getpeername()[0])
        except OSError as error:
            connected.close()
            raise _unreached(error) from None
        except FetchError:
            connected.close()
            raise
        return connected

    def _first(self, addresses: list[str], port: int, socket_options: Any) -> socket.socket:
        """Return a socket connected to the first address that answers."""
        problem: OSError | None = None
        for address in addresses:
            timeout_s = self.watch.left_s(self.connect_timeout_s)
            try:
                found = create_connection((address, port), timeout_s, None, socket_options)
            except OSError as error:
                problem = error
                continue
            try:
                # What comes next, TLS, is not to begin its time anew.
                found.settimeout(self.watch.left_s(self.connect_timeout_s))
            except FetchError:
                found.close()
                raise
            return found
        raise _unreached(problem or OSError("found no address"))


def _looked_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            raise FetchError("unknown_host", "found no such host", again=True) from None
        raise _unreached(error) from None
    except (OSError, ValueError):  # no name of a host at all, e.g. too long
        raise FetchError("bad_url", "found a host that cannot be looked up") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _refuse_blocked(address: str) -> None:
    blocked = why_blocked(address)
    if blocked:
        raise FetchError(
            "blocked_address", f"the host leads to {address} ({blocked}), expected a public address"
        )


def _unreached(error: OSError) -> FetchError:
    if isinstance(error, TimeoutError):
        return FetchError("connection", "found no answer to the connection", again=True)
    return FetchError("connection", error.strerror or type(error).__name__, again=True)


class _Wire(io.RawIOBase):
    """What comes over a socket, under a watch."""

    def __init__(self, raw: io.RawIOBase, connected: socket.socket, watch: Watch) -> None:
        super().__init__()
        self._raw = raw
        self._connected = connected
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        # A time limit of the socket is for one read: a byte a second would never end.
        self._connected.settimeout(self._watch.left_s())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            raise self._watch.too_slow() from None
        self._watch.count(count or 0)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer of which every byte, head and body, comes under a watch."""

    def __init__(self, watch: Watch, connected: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(connected, *args, **options)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Wire(raw, connected, watch))


class _Connection(HTTPConnection):
    """A connection that asks the guard for its socket."""

    def __init__(self, guard: Guard, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._guard = guard
        self.response_class = partial(_Response, guard.watch)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        return self._guard.connect(self._dns_host, self.port, self.socket_options)


class _TLSConnection(_Connection, HTTPSConnection):
    """The same with TLS, which begins after the guard has let the socket through."""


CONNECTIONS = {"http": _Connection, "https": _TLSConnection}


class _Pools(PoolManager):
    """Pools whose connections are guarded."""

    def __init__(self, guard: Guard, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard

    def _new_pool(
        self,
        scheme: str,
        host: str,
        port: int,
        request_context: dict[str, Any] | None = None,
    ) -> HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.ConnectionCls = partial(CONNECTIONS[scheme], self._guard)  # type: ignore[assignment]
        return pool


class GuardedAdapter(HTTPAdapter):
    """What sends one request of requests over a guarded connection, and never a second time."""

    def __init__(self, guard: Guard) -> None:
        """Take what the connections may do."""
        self._guard = guard
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools; requests calls this."""
        self.poolmanager = _Pools(self._guard, num_pools=1, maxsize=1)


_SILENT: ContextVar[bool] = ContextVar("silent", default=False)


class _Silence(logging.Filter):
    """Drops what urllib3 logs of our own requests: whole addresses, with the keys in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _SILENT.get()


_SILENCE = _Silence()
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_SILENCE)


@contextlib.contextmanager
def sent(request: PreparedRequest, guard: Guard) -> Iterator[BaseHTTPResponse]:
    """Send the request over a connection of its own and give its answer until the block ends."""
    adapter = GuardedAdapter(guard)
    try:
        timeouts_s = (guard.watch.left_s(guard.connect_timeout_s), guard.watch.left_s())
        with _silence():
            # Who has no certificate that can be verified is not asked.
            response = adapter.send(request, stream=True, timeout=timeouts_s, verify=True)
        try:
            yield response.raw
        finally:
            response.close()
    finally:
        adapter.close()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let urllib3 log nothing in this thread until the block ends."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)
