"""A list of photographs of the user's own: txt, csv, tsv, jsonl or parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from occlufer.errors import MissingError, UsageError

from ..licences import agreed
from ..sources.rows import Line, lines
from ..sources.table import FORMATS
from .address import web_address
from .answers import described
from .errors import FetchError
from .ledger import UNKNOWN_LICENCE, Fault
from .photograph import Photograph
from .plain_text import page_address, plain

# Columns by their usual spellings, without case, blanks and marks.
COLUMNS = {
    "url": ("url", "imageurl", "imgurl", "pictureurl", "photourl", "fileurl", "originalurl"),
    "licence": ("licence", "license", "licencename", "licensename"),
    "licence_url": ("licenceurl", "licenseurl"),
    "author": ("author", "creator", "artist", "photographer", "ownername"),
    "title": ("title",),
    "page": (
        "page",
        "pageurl",
        "landingpage",
        "landingpageurl",
        "landingurl",
        "foreignlandingurl",
        "originallandingurl",
    ),
}
EXPECTED = "url, and beside it licence, licence_url, author, title, page"
KNOWN = "expected one that is known, e.g. CC-BY-4.0 or its address at creativecommons.org"
SHOWN_LENGTH = 80

# What a line gives: its cells by our names of the columns, or why it is no row.
Cells = Mapping[str, str] | str
Row = tuple[str, Cells]


def read_list(path: Path) -> Iterator[Photograph | Fault]:
    """Yield what each row of a list is: a photograph, or what is wrong with it.

    A txt file has an address in a line and its licence behind it. Raises MissingError if there is
    no file or a table without a line, UsageError if it is no list.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; expected a list of photographs with {EXPECTED}")
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise UsageError(f"{path}: found {path.suffix or 'no ending'!r}, expected {ENDINGS}")
    places: dict[str, str] = {}
    for place, cells in read(path):
        row = _photograph(place, cells)
        if isinstance(row, Photograph):
            first = places.setdefault(row.url, place)
            if first != place:
                row = Fault(place, "duplicate_row", f"found the address of {first} once more")
        yield row


def _photograph(place: str, cells: Cells) -> Photograph | Fault:
    if isinstance(cells, str):
        return Fault(place, "malformed_row", cells)
    url = cells.get("url", "")
    fault = _url_fault(url)
    if fault:
        return Fault(place, *fault)
    said = {name: cells[name] for name in ("licence", "licence_url") if cells.get(name)}
    found = agreed(*said.values())
    if found is None:
        words = " and ".join(repr(text[:SHOWN_LENGTH]) for text in said.values())
        return Fault(place, UNKNOWN_LICENCE, f"found {words or 'no licence'}, {KNOWN}")
    return Photograph(
        url=url,
        service="urls",
        page=page_address(cells.get("page", "")),
        licence=found.name,
        licence_url=found.url,
        author=plain(cells.get("author", "")),
        title=plain(cells.get("title", "")),
        said={name: plain(text) for name, text in said.items()},
    )


def _url_fault(url: str) -> tuple[str, str] | None:
    """Return (reason, detail) of an address that cannot be asked for; it is not repeated."""
    if not url:
        return "malformed_row", "found no url"
    if re.search(r"[\s\\]", url):  # a backslash stands for bytes that are no UTF-8, too
        return "malformed_row", "found a blank, a backslash or bytes that are no UTF-8 in the url"
    try:
        web_address(url)
    except FetchError as error:
        return error.reason, error.detail
    return None


def _txt(path: Path) -> Iterator[Row]:
    for line in lines(path):
        url, licence = [*line.text.split(None, 1), "", ""][:2]
        yield _place(path, line), line.fault or {"url": url, "licence": licence.strip()}


def _table(path: Path) -> Iterator[Row]:
    table = FORMATS[path.suffix.lower()](path)
    places = _places(table.columns, str(path))
    for name in places.values():
        if not table.is_plain(name):
            raise UsageError(f"{path}: the column {name} holds neither texts nor numbers")
    for row in table.rows([*places.values()]):
        cells = {ours: row.cells.get(name, "").strip() for ours, name in places.items()}
        yield row.place, row.fault or cells


def _jsonl(path: Path) -> Iterator[Row]:
    """Yield the rows; unlike those of a table, each has columns of its own."""
    for line in lines(path):
        yield _place(path, line), line.fault or _object(line.text)


def _object(text: str) -> Cells:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return "found no JSON, expected an object"
    if not isinstance(fields, dict):
        return "found JSON that is no object, expected one"
    try:
        places = _places(list(fields), "the object")
    except UsageError as error:
        return str(error)
    cells = {}
    for ours, name in places.items():
        value = "" if fields[name] is None else fields[name]
        if not isinstance(value, str):
            return f"found {described(value)} as {ours}, expected a text"
        cells[ours] = value.strip()
    return cells


def _places(names: list[str], place: str) -> dict[str, str]:
    """Return {our name of a column: its name there}; raises UsageError if there is no url."""
    places: dict[str, str] = {}
    for ours, spellings in COLUMNS.items():
        found = [name for name in names if re.sub(r"[\W_]", "", name).lower() in spellings]
        if len(found) > 1:
            there = plain(" and ".join(found))
            raise UsageError(f"{place}: found the columns {there}, expected one for {ours}")
        places |= {ours: found[0]} if found else {}
    if "url" not in places:
        there = plain(", ".join(names))[:SHOWN_LENGTH]
        raise UsageError(f"{place}: found {there or 'nothing'}, expected {EXPECTED}")
    return places


def _place(path: Path, line: Line) -> str:
    return f"{path.name}, line {line.number}"


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".txt": _txt,
    ".csv": _table,
    ".tsv": _table,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _table,
}
ENDINGS = ", ".join(READERS)
