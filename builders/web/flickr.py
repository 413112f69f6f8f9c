"""Flickr: its photographs by text search."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import inf
from urllib.parse import quote

from occlufer.errors import MissingError

from ..licences import FLICKR_IDS, Licence, flickr_licence, read_licence
from .answers import Answer, Client, Remembered, SearchSettings, ServiceError, ask, endpoint_of
from .paging import codes_of, page_size, photographs
from .photograph import Photograph, opt_out_tag
from .plain_text import plain
from .plan import Query

ENDPOINT = "https://api.flickr.com/services/rest/"
KEY = "FLICKR_API_KEY"
REGISTER = "https://www.flickr.com/services/api/misc.api_keys.html"
PAGE_SIZE = 250
MAX_RESULTS = 4000  # beyond, Flickr gives the last page again and again
# Renditions by the letter in their fields, best first, with their longer side.
RENDITIONS = {"k": 2048, "h": 1600, "l": 1024, "o": 0, "c": 800}
MAX_SIDE_PX = 2048
EXTRAS = ("license", "owner_name", "tags", "machine_tags", *(f"url_{x}" for x in RENDITIONS))
BAD_KEY = "100"
UNAVAILABLE = ("0", "105", "201")
HINTS = {"rate_limited": "it answers 3600 requests an hour for a key: go on later"}

Licences = Mapping[str, tuple[str, Licence | None]]

_licences: Remembered[Licences] = Remembered()


def search(query: Query, client: Client, settings: SearchSettings) -> Iterator[Photograph]:
    """Yield the photographs that Flickr finds for a query, no larger than MAX_SIDE_PX if it can be.

    Raises MissingError without FLICKR_API_KEY in the environment, and ServiceError.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise MissingError(
            f"flickr: found no {KEY} in the environment; Flickr gives keys at {REGISTER}"
        )
    endpoint = endpoint_of("flickr", settings, ENDPOINT, sends_credentials=True)
    licences = _licences.get(
        client, (endpoint, key), lambda: (_ask_licences(client, endpoint, key), inf)
    )
    numbers = _numbers(licences, settings.licences)
    params = {
        "method": "flickr.photos.search",
        "text": query.words,
        "license": ",".join(numbers),
        "safe_search": "1",
        "content_types": "0",  # photographs: no screenshots, drawings, renderings
        "media": "photos",
        "sort": "relevance",
        "extras": ",".join(EXTRAS),
    }
    pages = _pages(client, endpoint, key, params, settings.limit)
    place = f"flickr, {query.words!r}"
    yield from photographs(
        place, pages, "id", lambda a: _photograph(a, query, licences), settings.limit
    )


def _numbers(licences: Licences, wanted: tuple[str, ...]) -> list[str]:
    """Return Flickr's numbers of the licences that are wanted, all versions."""
    codes: dict[str, str] = {}
    for number, (_, licence) in licences.items():
        if licence:
            codes[licence.family] = ",".join(filter(None, (codes.get(licence.family), number)))
    return codes_of("flickr", wanted, codes)


def _ask_licences(client: Client, endpoint: str, key: str) -> Licences:
    """Return {number: (what Flickr calls it, the licence)}; what Flickr answers wins."""
    licences = {number: (name, flickr_licence(number)) for number, name in FLICKR_IDS.items()}
    answer = _call(client, "licences", endpoint, key, {"method": "flickr.photos.licenses.getInfo"})
    for item in answer.inner("licenses").listed("license"):
        name, url = item.text("name"), item.text("url", "")
        licences[item.word("id")] = (f"{name} {url}".strip(), read_licence(url))
    return licences


def _call(client: Client, place: str, endpoint: str, key: str, params: Mapping[str, str]) -> Answer:
    place = f"flickr, {place}"
    sent = {**params, "api_key": key, "format": "json", "nojsoncallback": "1"}
    answer = ask(client, place, endpoint, params=sent, secrets=(key,), hints=HINTS)
    if answer.text("stat") == "ok":
        return answer
    code, said = answer.word("code", ""), plain(answer.text("message", ""))
    hint = f"; {KEY} is no key that it knows, see {REGISTER}" if code == BAD_KEY else ""
    raise ServiceError(f"{place}: found the error {code} ({said}){hint}", code in UNAVAILABLE)


def _pages(
    client: Client, endpoint: str, key: str, params: Mapping[str, str], limit: int
) -> Iterator[list[Answer]]:
    size = page_size(PAGE_SIZE, limit)
    for number in range(1, MAX_RESULTS // size + 1):
        asked = {**params, "per_page": f"{size}", "page": f"{number}"}
        photos = _call(client, f"page {number}", endpoint, key, asked).inner("photos")
        found = photos.listed("photo")
        yield found
        if not found or number >= photos.number("pages"):
            return


def _photograph(photo: Answer, query: Query, licences: Licences) -> Photograph:
    number, owner = photo.word("license"), photo.text("owner")
    named, licence = licences.get(number, ("", None))
    tags = f"{photo.text('tags')} {photo.text('machine_tags')}".split()
    url, rendition = _rendition(photo)
    said = {"license": number, "license_name": named, "rendition": rendition}
    return Photograph(
        url=url,
        service="flickr",
        page=f"https://www.flickr.com/photos/{quote(owner, '@')}/{quote(photo.word('id'), '')}/",
        licence=licence.name if licence else "",
        licence_url=licence.url if licence else "",
        author=plain(photo.text("ownername", "")),
        title=plain(photo.text("title", "")),
        query=query.words,
        opted_out=opt_out_tag(tags),
        said={name: plain(text) for name, text in said.items() if text},
    )


def _rendition(photo: Answer) -> tuple[str, str]:
    """Return the address of the largest rendition that is not too large, and which it is."""
    there = [x for x in RENDITIONS if photo.fields.get(f"url_{x}") is not None]
    if not there:
        raise photo.wrong("url_l", "an address of the web")
    best = next((x for x in there if x != "o" or _side(photo) <= MAX_SIDE_PX), there[0])
    size = f"longer side {RENDITIONS[best]}" if RENDITIONS[best] else f"original, {_side(photo)}"
    return photo.address(f"url_{best}"), size


def _side(photo: Answer) -> int:
    return max(photo.number("width_o"), photo.number("height_o"))
