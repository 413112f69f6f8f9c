"""Wikimedia Commons: its files by full text search, through the MediaWiki API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..licences import agreed
from .answers import Answer, Client, SearchSettings, ask, endpoint_of
from .errors import ServiceError
from .paging import LeftOut, page_size, photographs
from .photograph import Photograph
from .plain_text import page_address, plain

ENDPOINT = "https://commons.wikimedia.org/w/api.php"
FILES = "6"  # the namespace
PAGE_SIZE = 50
# Search gives no more than 10 000 results; a page may come in several answers.
MAX_ANSWERS = 400
# One of the widths that Wikimedia keeps renditions in; others are refused by its servers.
WIDTH_PX = 1920
MIME_TYPES = ("image/jpeg", "image/png", "image/webp")
SAID = (
    "LicenseShortName",
    "LicenseUrl",
    "License",
    "UsageTerms",
    "Attribution",
    "Credit",
    "Copyrighted",
    "Restrictions",
    "NonFree",
    "DeletionReason",
)
HINTS = {
    "rate_limited": "go on later",
    "http_403": "it wants a contact in the User-Agent: set `contact` in the source",
}


def search(words: str, client: Client, settings: SearchSettings) -> Iterator[Photograph]:
    """Yield the photographs that Commons finds for the words, whatever their licences.

    Wide ones by the address of a rendition of WIDTH_PX. Raises ServiceError.
    """
    endpoint = endpoint_of("commons", settings, ENDPOINT)
    params = {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "generator": "search",
        "gsrsearch": f"{words} filetype:bitmap",
        "gsrnamespace": FILES,
        "gsrlimit": f"{page_size(PAGE_SIZE, settings.limit)}",
        "prop": "imageinfo",
        "iiprop": "url|user|size|mime|sha1|extmetadata",
        "iiurlwidth": f"{WIDTH_PX}",
        "iiextmetadatalanguage": "en",
        "iiextmetadatafilter": "|".join((*SAID, "Artist", "ObjectName")),
    }
    pages = _pages(client, endpoint, params)
    place = f"commons, {words!r}"
    yield from photographs(place, pages, "pageid", lambda a: _photograph(a, words), settings.limit)


def _pages(client: Client, endpoint: str, params: dict[str, str]) -> Iterator[list[Answer]]:
    """Yield the files of one page of the search, whole: their details may come later than they."""
    files: dict[object, Answer] = {}
    going_on: dict[str, str] = {}
    asked = [going_on]
    for number in range(1, MAX_ANSWERS + 1):
        place = f"commons, answer {number}"
        answer = ask(client, place, endpoint, params={**params, **going_on}, hints=HINTS)
        if "error" in answer.fields:
            error = answer.inner("error")
            code, said = error.word("code", ""), plain(error.text("info", ""))
            again = code in ("maxlag", "ratelimited", "readonly")
            raise ServiceError(f"{place}: found the error {code!r} ({said})", again)
        for file in _files(answer):
            key = str(file.fields.get("pageid", file.place))
            known = files.get(key, file)
            files[key] = Answer(known.place, {**known.fields, **file.fields})
        going_on = _going_on(answer)
        if answer.fields.get("batchcomplete") or not going_on:
            # In the order of the search, which is not that of the list.
            yield sorted(files.values(), key=_rank)
            files = {}
        if not going_on:
            return
        if going_on in asked:
            raise answer.wrong("continue", "another one than before")
        asked.append(going_on)
    yield sorted(files.values(), key=_rank)


def _files(answer: Answer) -> list[Answer]:
    """Return the files in an answer; one that found nothing has no `query` at all."""
    if "query" not in answer.fields:
        if answer.fields.keys() & {"batchcomplete", "continue"}:
            return []
        raise answer.wrong("query", "an object")
    return answer.inner("query").listed("pages")


def _going_on(answer: Answer) -> dict[str, str]:
    if "continue" not in answer.fields:
        return {}
    inner = answer.inner("continue")
    return {name: inner.word(name) for name in inner.fields}


def _rank(file: Answer) -> int:
    index = file.fields.get("index")
    return index if isinstance(index, int) else 0


def _photograph(file: Answer, words: str) -> Photograph:
    infos = file.listed("imageinfo")
    if not infos or infos[0].fields.get("filemissing"):
        raise LeftOut("missing_file")
    info = infos[0]
    if info.text("mime") not in MIME_TYPES:
        raise LeftOut("file_type")
    told = _told(info)
    licence = agreed(told.get("LicenseShortName", ""), told.get("LicenseUrl", ""))
    if told.get("NonFree") or told.get("DeletionReason"):
        licence = None  # used there by an exception of the law; or its licence is in doubt
    url, rendition = _rendition(info)
    sha1 = info.text("sha1", "").lower()
    said = {name: told[name] for name in SAID if told.get(name)}
    return Photograph(
        url=url,
        service="commons",
        page=page_address(info.text("descriptionurl", "")),
        licence=licence.name if licence else "",
        licence_url=licence.url if licence else "",
        author=told.get("Artist", ""),
        title=told.get("ObjectName") or plain(file.text("title").partition(":")[2]),
        query=words,
        sha1=sha1 if re.fullmatch("[0-9a-f]{40}", sha1) else "",
        said={**said, "uploader": plain(info.text("user", "")), "rendition": rendition},
    )


def _told(info: Answer) -> dict[str, str]:
    """Return what the file's page says, {name: plain text}; it is written in HTML."""
    metadata = info.inner("extmetadata")
    return {
        name: plain(metadata.inner(name).word("value", ""))
        for name in (*SAID, "Artist", "ObjectName")
        if name in metadata.fields
    }


def _rendition(info: Answer) -> tuple[str, str]:
    """Return the address of a picture that is not too wide, and how it came of the original."""
    width, height = info.number("width"), info.number("height")
    if width > WIDTH_PX and info.fields.get("thumburl") is not None:
        return info.address("thumburl"), f"scaled to a width of {WIDTH_PX}, from {width}x{height}"
    return info.address("url"), f"original, {width}x{height}"
