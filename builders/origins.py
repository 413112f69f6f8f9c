"""An origin, a file or an address of the user's choice: its bytes, piece by piece."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

import requests
import urllib3

from occlufer.errors import MissingError, UsageError

from .web.address import shown, web_address
from .web.errors import FetchError, told_apart

PIECE_BYTES = 65_536
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30


def told(origin: str) -> str:
    """Return an origin as people may see it: an address without its query, where keys stand."""
    return shown(origin) if _is_address(origin) else origin


def pieces(origin: str) -> Generator[bytes]:
    """Return the bytes of a file or an address, piece by piece; nothing is asked before the first.

    Raises UsageError for what is no address, and while it is read MissingError or UsageError for a
    file that cannot be read, FetchError for an address that does not answer.
    """
    if not _is_address(origin):
        return _from_file(Path(origin))
    try:
        return _from_web(web_address(origin))
    except FetchError as error:
        raise UsageError(f"{told(origin)}: {error.detail}") from None


def _is_address(origin: str) -> bool:
    return "://" in origin


def _from_file(path: Path) -> Generator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file, expected one to read") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}), expected a file") from None


def _from_web(url: str) -> Generator[bytes]:
    # Not the fetcher of photographs: that one takes no proxy and no mirror in a private net, and
    # rightly so. The user chose this address, and requests takes the environment's proxies.
    headers = {"Accept-Encoding": "identity"}
    timeouts_s = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
    with (
        told_apart(),
        _connected(),
        requests.get(url, headers=headers, timeout=timeouts_s, stream=True) as response,
    ):
        if response.status_code != 200:
            found = f"found status {response.status_code}, expected 200"
            raise FetchError(f"http_{response.status_code}", found)
        yield from response.iter_content(PIECE_BYTES)


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """Raise FetchError with the system's words where no connection came about.

    To urllib3 a name that is not known and a port that is closed are cases of no answer in time.
    """
    try:
        yield
    except requests.ConnectionError as error:
        said = _no_way(getattr(next(iter(error.args), None), "reason", None))
        if not said:
            raise
        raise FetchError("connection", said) from None


def _no_way(problem: object) -> str:
    """Return why there is no connection, "" if there was one."""
    if isinstance(problem, urllib3.exceptions.ProxyError):
        inner = problem.original_error
        return f"found no way through the proxy of the environment ({_no_way(inner) or inner})"
    if isinstance(problem, urllib3.exceptions.NewConnectionError):
        return getattr(problem.__cause__, "strerror", None) or str(problem)
    return ""
