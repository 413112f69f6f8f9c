"""What services answer: JSON that is read field by field, where nothing is taken on trust."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from occlufer.errors import UsageError

from .address import shown, web_address
from .errors import FetchError, ServiceError
from .fetch import Fetched

T = TypeVar("T")

MAX_BYTES = 20_000_000
SHOWN_LENGTH = 60
HIDDEN = b"***"


class Client(Protocol):
    """What asks: a Fetcher."""

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        """Return a document; raises FetchError."""


class SearchSettings(Protocol):
    """What a search takes from the settings of a source."""

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences that are wanted, keys of licences.FAMILIES."""

    @property
    def limit(self) -> int:
        """The most photographs of one query."""

    @property
    def endpoint(self) -> str:
        """The address of the service's API; "" for the public one."""


@dataclass(frozen=True)
class Answer:
    """A JSON object of an answer, and where it stands, e.g. "openverse, page 2, results 7"."""

    place: str
    fields: Mapping[str, Any]

    def wrong(self, name: str, expected: str) -> ServiceError:
        """Return the error that says what was found in a field instead."""
        found = described(self.fields[name]) if name in self.fields else "nothing"
        return ServiceError(f"{self.place}, {name}: found {found}, expected {expected}")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; `default` where there is none, if that may be."""
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """Return a text, or a whole number as one: services write identifiers either way."""
        value = self.fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(name, default)

    def number(self, name: str) -> int:
        """Return a whole number from 0 on; one that is written as a text counts too."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(name, "a whole number")
        return value

    def truth(self, name: str) -> bool:
        """Return true or false."""
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def address(self, name: str) -> str:
        """Return an address of the web."""
        value = self.text(name)
        try:
            web_address(value)
        except FetchError as error:
            detail = f"found {shown(value)} ({error.detail}), expected an address of the web"
            raise ServiceError(f"{self.place}, {name}: {detail}") from None
        return value.strip()

    def inner(self, name: str) -> Answer:
        """Return the object in a field."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Answer(f"{self.place}, {name}", value)

    def listed(self, name: str) -> list[Answer]:
        """Return the objects of a list; what else stands in it becomes one without fields."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        objects = (item if isinstance(item, dict) else {} for item in value)
        return [Answer(f"{self.place}, {name} {i}", item) for i, item in enumerate(objects, 1)]


def described(value: object) -> str:
    """Return what a value of JSON is, in a few words; of objects and lists no content."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def ask(
    client: Client,
    place: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    hints: Mapping[str, str] | None = None,
) -> Answer:
    """Return the JSON object that a service answers; raises ServiceError.

    `secrets` are struck out of the answer before anything is read: a service may repeat them in
    its errors. `hints` say what the user may do, by the reason of a FetchError.
    """
    try:
        fetched = client.get(url, params=params, headers=headers, data=data, max_bytes=MAX_BYTES)
    except FetchError as error:
        hint = (hints or {}).get(error.reason)
        failed = ServiceError(f"{place}: {error}{f'; {hint}' if hint else ''}", error.again)
    else:
        return _read(place, fetched.data, secrets)
    raise failed  # out here the request is no context of it


def _read(place: str, data: bytes, secrets: tuple[str, ...]) -> Answer:
    for secret in secrets:
        data = data.replace(secret.encode(), HIDDEN)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        html = data.lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(b"<")
        found = "a page of HTML or XML" if html else "no JSON" if data else "no bytes"
        raise ServiceError(f"{place}: found {found}, expected JSON") from None
    if not isinstance(value, dict):
        raise ServiceError(f"{place}: found {described(value)}, expected an object")
    return Answer(place, value)


def endpoint_of(
    service: str, settings: SearchSettings, public: str, sends_credentials: bool = False
) -> str:
    """Return the address of a service's API: of the settings, else the `public` one.

    Raises UsageError for what is no address, and if credentials would cross the network in the
    clear.
    """
    endpoint = settings.endpoint or public
    place = f"{service}, endpoint: found {shown(endpoint)}"
    try:
        parts = urlsplit(web_address(endpoint))
    except FetchError as error:
        raise UsageError(f"{place} ({error.detail}), expected an address of the web") from None
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if sends_credentials and parts.scheme != "https" and not here:
        raise UsageError(f"{place}, expected https://, for credentials are sent there")
    return endpoint.strip()


class Remembered(Generic[T]):
    """What was asked once and holds for a while: a value per client and name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock."""
        self._clock = clock
        self._kept: WeakKeyDictionary[Client, dict[tuple[str, ...], tuple[T, float]]]
        self._kept = WeakKeyDictionary()

    def get(self, client: Client, name: tuple[str, ...], asked: Callable[[], tuple[T, float]]) -> T:
        """Return the value; where there is none, or it is too old, what `asked` gives.

        That is (the value, the seconds for which it holds).
        """
        kept = self._kept.setdefault(client, {})
        value, until = kept.get(name, (None, 0.0))
        if value is None or self._clock() >= until:
            value, seconds = asked()
            kept[name] = (value, self._clock() + seconds)
        return value
