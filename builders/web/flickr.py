"""Flickr: its photographs by text search."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import inf
from urllib.parse import quote

from occlufer.errors import MissingError

from ..licences import Licence, read_licence
from .answers import Answer, Client, Remembered, SearchSettings, ask, endpoint_of
from .errors import ServiceError
from .paging import codes_of, page_size, photographs
from .photograph import Photograph, opt_out_tag
from .plain_text import plain

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

# By the numbers that Flickr gives in place of names; flickr.photos.licenses.getInfo answers them
# too, and what it answers wins. 0 is all rights reserved.
FLICKR_IDS = {
    "1": "CC BY-NC-SA 2.0",
    "2": "CC BY-NC 2.0",
    "3": "CC BY-NC-ND 2.0",
    "4": "CC BY 2.0",
    "5": "CC BY-SA 2.0",
    "6": "CC BY-ND 2.0",
    "7": "No known copyright restrictions",
    "8": "United States Government Work",
    "9": "CC0 1.0",
    "10": "Public Domain Mark",
    "11": "CC BY 4.0",
    "12": "CC BY-SA 4.0",
    "13": "CC BY-ND 4.0",
    "14": "CC BY-NC 4.0",
    "15": "CC BY-NC-SA 4.0",
    "16": "CC BY-NC-ND 4.0",
}

Licences = Mapping[str, tuple[str, Licence | None]]

_licences: Remembered[Licences] = Remembered()


def search(words: str, client: Client, settings: SearchSettings) -> Iterator[Photograph]:
    """Yield the photographs that Flickr finds for the words, up to MAX_SIDE_PX if it can be.

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
        "text": words,
        "license": ",".join(numbers),
        "safe_search": "1",
        "content_types": "0",  # photographs: no screenshots, drawings, renderings
        "media": "photos",
        "sort": "relevance",
        "extras": ",".join(EXTRAS),
    }
    pages = _pages(client, endpoint, key, params, settings.limit)
    place = f"flickr, {words!r}"
    yield from photographs(
        place, pages, "id", lambda a: _photograph(a, words, licences), settings.limit
    )


def _numbers(licences: Licences, wanted: tuple[str, ...]) -> list[str]:
    """Return Flickr's numbers of the licences that are wanted, all versions."""
    codes: dict[str, str] = {}
    for number, (_, licence) in licences.items():
        if licence:
            codes[licence.family] = ",".join(filter(None, (codes.get(licence.family), number)))
    return codes_of("flickr", wanted, codes)


def flickr_licence(number: str) -> Licence | None:
    """Return the licence that Flickr has under a number; None for all rights reserved."""
    return read_licence(FLICKR_IDS.get(number, ""))


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


def _photograph(photo: Answer, words: str, licences: Licences) -> Photograph:
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
        query=words,
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
