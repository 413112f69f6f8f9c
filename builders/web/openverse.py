"""Openverse: a search over openly licensed pictures of many sites."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from occlufer.errors import MissingError

from ..licences import agreed
from .answers import (
    Answer,
    Client,
    Remembered,
    SearchSettings,
    ask,
    described,
    endpoint_of,
)
from .errors import ServiceError
from .paging import LeftOut, codes_of, page_size, photographs
from .photograph import Photograph, opt_out_tag
from .plain_text import page_address, plain

ENDPOINT = "https://api.openverse.org"
REGISTER = "https://api.openverse.org/v1/#tag/auth"
ID, SECRET = "OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"
# Openverse's codes. Others that it has, e.g. sampling+, are no licence for a dataset.
CODES = {
    "CC0": "cc0",
    "PDM": "pdm",
    "CC-BY": "by",
    "CC-BY-SA": "by-sa",
    "CC-BY-NC": "by-nc",
    "CC-BY-NC-SA": "by-nc-sa",
    "CC-BY-ND": "by-nd",
    "CC-BY-NC-ND": "by-nc-nd",
}
# What it lets callers see: (results on a page, pages). More is refused with 401 or 400.
ANONYMOUS, REGISTERED = (20, 12), (50, 20)
FILE_TYPES = ("jpg", "jpeg", "png", "webp")
TOKEN_MARGIN_S = 60
HINTS = {
    "anonymous": {
        "rate_limited": "without credentials it answers 100 requests a day: go on tomorrow, or set "
        f"{ID} and {SECRET}, see {REGISTER}",
    },
    "registered": {
        "rate_limited": "with credentials it answers 100 requests a minute, 10000 a day: go on "
        "later",
        "http_401": f"it does not accept {ID} and {SECRET}",
    },
}

_tokens: Remembered[str] = Remembered()


@dataclass(frozen=True)
class _Access:
    """How the service is asked."""

    endpoint: str
    secrets: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = None
    hints: Mapping[str, str] | None = None


def search(words: str, client: Client, settings: SearchSettings) -> Iterator[Photograph]:
    """Yield the photographs that Openverse finds for the words, mature ones left out.

    With OPENVERSE_CLIENT_ID and OPENVERSE_CLIENT_SECRET in the environment it answers more. The
    address is of the file as its site has it: Openverse's own renditions are too small. Raises
    ServiceError.
    """
    codes = codes_of("openverse", settings.licences, CODES)
    access = _access(client, settings)
    params = {
        "q": words,
        "license": ",".join(codes),
        "extension": ",".join(FILE_TYPES),
        "mature": "false",
    }
    pages = _pages(client, access, params, settings.limit)
    place = f"openverse, {words!r}"
    yield from photographs(place, pages, "id", lambda a: _photograph(a, words), settings.limit)


def _access(client: Client, settings: SearchSettings) -> _Access:
    found = {name: os.environ.get(name, "").strip() for name in (ID, SECRET)}
    if not any(found.values()):
        endpoint = endpoint_of("openverse", settings, ENDPOINT)
        return _Access(endpoint, hints=HINTS["anonymous"])
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise MissingError(f"openverse: found no {missing[0]} in the environment, see {REGISTER}")
    endpoint = endpoint_of("openverse", settings, ENDPOINT, sends_credentials=True)
    secrets = (found[ID], found[SECRET])
    token = _tokens.get(client, (endpoint, *secrets), lambda: _token(client, endpoint, secrets))
    headers = {"Authorization": f"Bearer {token}"}
    return _Access(endpoint, (*secrets, token), headers, HINTS["registered"])


def _token(client: Client, endpoint: str, secrets: tuple[str, str]) -> tuple[str, float]:
    """Return a token and the seconds for which it is good."""
    form = {
        "grant_type": "client_credentials",
        "client_id": secrets[0],
        "client_secret": secrets[1],
    }
    url = f"{endpoint.rstrip('/')}/v1/auth_tokens/token/"
    hints = {**HINTS["registered"], "http_400": HINTS["registered"]["http_401"]}
    place = "openverse, token"
    answer = ask(client, place, url, data=form, secrets=secrets, hints=hints)
    token = answer.fields.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        # It is not shown, whatever it is.
        raise ServiceError(f"{place}, access_token: found none that could be sent, expected one")
    return token, max(0, answer.number("expires_in") - TOKEN_MARGIN_S)


def _pages(
    client: Client, access: _Access, params: Mapping[str, str], limit: int
) -> Iterator[list[Answer]]:
    size, most = REGISTERED if access.headers else ANONYMOUS
    size = page_size(size, limit)
    for number in range(1, most + 1):
        answer = ask(
            client,
            f"openverse, page {number}",
            f"{access.endpoint.rstrip('/')}/v1/images/",
            params={**params, "page": f"{number}", "page_size": f"{size}"},
            headers=access.headers,
            secrets=access.secrets,
            hints=access.hints,
        )
        if "results" not in answer.fields and "detail" in answer.fields:
            said = described(answer.fields["detail"])
            raise ServiceError(f"{answer.place}: found the error {said}, expected results")
        results = answer.listed("results")
        yield results
        if not results or number >= answer.number("page_count"):
            return


def _photograph(result: Answer, words: str) -> Photograph:
    if result.truth("mature"):
        raise LeftOut("mature")
    if result.text("filetype", "").lower() not in ("", *FILE_TYPES):
        raise LeftOut("file_type")
    code, version = result.text("license"), result.word("license_version", "")
    stated = result.text("license_url", "")
    licence = agreed(f"{code} {version}", stated)
    tags = [] if result.fields.get("tags", "") is None else result.listed("tags")
    said = {"license": code, "license_version": version, "license_url": stated}
    said |= {"source": result.text("source", ""), "attribution": result.text("attribution", "")}
    return Photograph(
        url=result.address("url"),
        service="openverse",
        page=page_address(result.text("foreign_landing_url", "")),
        licence=licence.name if licence else "",
        licence_url=licence.url if licence else "",
        author=plain(result.text("creator", "")),
        title=plain(result.text("title", "")),
        query=words,
        opted_out=opt_out_tag(tag.text("name", "") for tag in tags),
        said={name: plain(text) for name, text in said.items() if text},
    )
