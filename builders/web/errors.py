"""Why something was not found or fetched, in words that never hold a key."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator

import requests
import urllib3

from occlufer.errors import OccluferError

# Reasons that are about an address, or about us: every file of its site meets the same one.
OF_THE_ADDRESS = ("bad_url", "blocked_address", "blocked_scheme", "unknown_host", "stopped")


class FetchError(Exception):
    """A fetch that gave nothing. No text of it holds a query string, a header or credentials."""

    def __init__(self, reason: str, detail: str, again: bool = False) -> None:
        """Take the reason to count by, the detail to read, and whether trying later may help."""
        super().__init__(reason, detail, again)
        self.reason = reason
        self.detail = detail
        self.again = again

    def __str__(self) -> str:
        """Return both, as people read them."""
        return f"{self.reason}: {self.detail}"


class ServiceError(OccluferError):
    """A service did not answer, or not as its documentation says."""

    def __init__(self, message: str, again: bool = False) -> None:
        """Take the message, and whether asking later may help."""
        super().__init__(message)
        self.again = again


@contextlib.contextmanager
def told_apart() -> Iterator[None]:
    """Turn every error of the libraries into a FetchError: their texts hold whole addresses."""
    try:
        yield
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,
    ) as error:
        causes = list(_causes(error, []))
    else:
        return
    raise _kind_of(causes)


def _causes(error: BaseException, seen: list[BaseException]) -> Iterator[BaseException]:
    """Yield an error and all that it was made of."""
    if any(error is other for other in seen):
        return
    seen.append(error)
    yield error
    for inner in (error.__cause__, error.__context__, *error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner, seen)


def _kind_of(causes: list[BaseException]) -> FetchError:
    def found(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if found(ssl.SSLError, urllib3.exceptions.SSLError, requests.exceptions.SSLError):
        certificate = next((c for c in causes if isinstance(c, ssl.CertificateError)), None)
        detail = getattr(certificate, "verify_message", "") or "found no TLS to be trusted"
        return FetchError("tls", detail, again=certificate is None)
    if found(TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout):
        return FetchError("too_slow", "found no answer in time", again=True)
    # A ProtocolError that was made of nothing else is of chunks that end, or go on, amiss.
    cut = found(urllib3.exceptions.ProtocolError) and not found(OSError, http.client.HTTPException)
    if cut or found(http.client.IncompleteRead):
        return FetchError("truncated", "found less than the whole body", again=True)
    # RemoteDisconnected is a BadStatusLine as well, but of a connection that was closed.
    broken = found(http.client.HTTPException, urllib3.exceptions.InvalidHeader, ValueError)
    if broken and not found(http.client.RemoteDisconnected):
        return FetchError("bad_answer", "found no answer as HTTP has it")
    said = [c.strerror for c in causes if isinstance(c, OSError) and c.strerror]
    return FetchError("connection", said[0] if said else "the connection broke", again=True)
