"""Internet Archive: its items of pictures, found by text, and the picture file of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

from ..licences import agreed
from .answers import Answer, Client, SearchSettings, ask, endpoint_of
from .errors import ServiceError
from .paging import LeftOut, page_size, photographs
from .photograph import Photograph, opt_out_tag
from .plain_text import plain

ENDPOINT = "https://archive.org"
PAGE_SIZE = 50
MAX_RESULTS = 10_000  # beyond, it wants another API
LICENSED = "mediatype:image AND licenseurl:*creativecommons.org*"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SAID = ("licenseurl", "rights", "possible-copyright-status")
HINTS = {"rate_limited": "go on later", "http_503": "go on later"}

# What its search reads as more than a letter.
_MARKS = re.compile(r'([+\-!(){}\[\]^"~*?:\\/&|])')


def search(words: str, client: Client, settings: SearchSettings) -> Iterator[Photograph]:
    """Yield the first picture of each item that the Archive finds for the words.

    An item whose licence is known not to be wanted is not asked for. It has no renditions of a
    size between a thumbnail and the original. Raises ServiceError.
    """
    endpoint = endpoint_of("internet_archive", settings, ENDPOINT).rstrip("/")
    params = {
        "q": f"({_terms(words)}) AND {LICENSED}",
        "fl[]": "identifier,licenseurl",
        "output": "json",
    }
    pages = _pages(client, endpoint, params, settings.limit)
    read = partial(_photograph, words=words, client=client, settings=settings, endpoint=endpoint)
    place = f"internet_archive, {words!r}"
    yield from photographs(place, pages, "identifier", read, settings.limit)


def _terms(words: str) -> str:
    """Return the words so that the search takes each for itself."""
    terms = (_MARKS.sub(r"\\\1", word) for word in words.split())
    return " AND ".join(
        term.lower() if term in ("AND", "OR", "NOT", "TO") else term for term in terms
    )


def _pages(
    client: Client, endpoint: str, params: dict[str, str], limit: int
) -> Iterator[list[Answer]]:
    size = page_size(PAGE_SIZE, limit)
    url = f"{endpoint}/advancedsearch.php"
    for number in range(1, MAX_RESULTS // size + 1):
        asked = {**params, "rows": f"{size}", "page": f"{number}"}
        answer = _ask(client, f"page {number}", url, asked)
        response = answer.inner("response")
        found = response.listed("docs")
        yield found
        if not found or number * size >= response.number("numFound"):
            return


def _ask(client: Client, place: str, url: str, params: dict[str, str] | None = None) -> Answer:
    answer = ask(client, f"internet_archive, {place}", url, params=params, hints=HINTS)
    if "error" in answer.fields:
        said = answer.fields["error"]
        said = plain(said) if isinstance(said, str) else "an object"
        raise ServiceError(f"{answer.place}: found the error {said!r}")
    return answer


def _photograph(
    result: Answer, words: str, client: Client, settings: SearchSettings, endpoint: str
) -> Photograph:
    identifier = result.text("identifier")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", identifier, re.ASCII):
        raise result.wrong("identifier", "letters, digits, . _ and -")
    licence = agreed(*_texts(result, "licenseurl"))
    if licence and licence.family not in settings.licences:
        raise LeftOut(f"licence {licence.name}")
    item = _ask(client, identifier, f"{endpoint}/metadata/{identifier}")
    if item.fields.get("is_dark") or not item.fields:
        raise LeftOut("missing_item")
    metadata = item.inner("metadata")
    if metadata.word("access-restricted-item", "false") != "false":
        raise LeftOut("restricted")
    file = _picture(item)
    licence = agreed(*_texts(metadata, "licenseurl"))
    subjects = [tag for text in _texts(metadata, "subject") for tag in text.split(";")]
    sha1 = file.text("sha1", "").lower()
    said = {name: "; ".join(_texts(metadata, name)) for name in SAID}
    return Photograph(
        url=f"{endpoint}/download/{identifier}/{quote(file.text('name'))}",
        service="internet_archive",
        page=f"{endpoint}/details/{identifier}",
        licence=licence.name if licence else "",
        licence_url=licence.url if licence else "",
        author=plain("; ".join(_texts(metadata, "creator"))),
        title=plain("; ".join(_texts(metadata, "title"))),
        query=words,
        sha1=sha1 if re.fullmatch("[0-9a-f]{40}", sha1) else "",
        opted_out=opt_out_tag(subjects),
        said={name: plain(text) for name, text in said.items() if text},
    )


def _picture(item: Answer) -> Answer:
    """Return the first picture that the item was made of."""
    for file in item.listed("files"):
        name = file.text("name")
        if (
            name.lower().endswith(SUFFIXES)
            and file.text("source", "") == "original"
            and file.word("private", "false") == "false"
            and not {"", ".", ".."} & set(name.split("/"))
        ):
            return file
    raise LeftOut("no_picture")


def _texts(fields: Answer, name: str) -> list[str]:
    """Return a field's texts: none, one, or a list of them."""
    value = fields.fields.get(name)
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise fields.wrong(name, "a text or a list of them")
    return texts
