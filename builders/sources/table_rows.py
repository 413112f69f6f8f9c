"""Tables of pictures, whatever their format, row by row: CSV, TSV and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, UsageError

from .arrow_columns import PATH, number_text
from .entry import text_stamp
from .rows import Line, csv_cells, lines

DELIMITERS = (",", "\t", ";")
# The keys of JSON lines are those of the first so many: later lines may leave some out.
KEYS_FROM = 1000


@dataclass(frozen=True)
class Row:
    """One row, with its cells as texts."""

    number: int
    """The line, counted from 1; in Parquet the row, counted from 0."""
    place: str
    """Where it is, e.g. "faces.csv, line 17"."""
    stamp: str
    """Changes when the row does."""
    cells: Mapping[str, str]
    """{column: text} of the columns that were asked for; "" where there is nothing."""
    fault: str = ""
    """Why it is no row, if it is none; it has no cells then."""


@dataclass(frozen=True)
class Table:
    """A table that was opened: its columns are known, its rows not yet read."""

    path: Path
    columns: list[str]
    rows: Callable[[list[str]], Iterator[Row]]
    """Gives every row, with the cells of the columns asked for."""
    storage: Callable[[str], str | None] = lambda column: PATH
    """Says how a column stores pictures, see arrow_columns.storage_of."""
    is_plain: Callable[[str], bool] = lambda column: True
    """Says whether a column holds texts or numbers."""
    class_names: Callable[[str], list[str] | None] = lambda column: None
    """Gives the names of a column's numbers, if the table itself says them."""


def open_csv(path: Path) -> Table:
    """Return a table with a header, its cells parted by commas, tabs or semicolons.

    Raises MissingError for an empty file, UsageError for a first line that is no header.
    """
    first = next(lines(path), None)
    if first is None:
        raise MissingError(f"{path}: found an empty file, expected a header and rows")
    delimiter, header = _header(first, path)

    def rows(wanted: list[str]) -> Iterator[Row]:
        at = {column: header.index(column) for column in wanted}
        for line in islice(lines(path), 1, None):
            cells = None if line.fault else csv_cells(line.text, delimiter)
            fault = line.fault or _cells_fault(cells, len(header))
            found = {} if fault or cells is None else {c: cells[i] for c, i in at.items()}
            yield _row(line, path, found, fault)

    return Table(path, header, rows)


def _header(line: Line, path: Path) -> tuple[str, list[str]]:
    """Return the delimiter by which the header has the most columns, and these."""
    parted = [(mark, csv_cells(line.text, mark)) for mark in DELIMITERS]
    mark, cells = max(parted, key=lambda pair: len(pair[1] or ()))
    if line.fault or not cells:
        fault = line.fault or f"found {line.text[:80]!r}"
        raise UsageError(f"{path}, line {line.number}: {fault}, expected the names of the columns")
    return mark, cells


def _cells_fault(cells: list[str] | None, expected: int) -> str:
    if cells is None:
        return "found quotes that do not match"
    return "" if len(cells) == expected else f"found {len(cells)} cells, expected {expected}"


def open_json_lines(path: Path) -> Table:
    """Return a table with an object on every line.

    Raises MissingError for an empty file, UsageError if no line holds an object.
    """
    count, keys = 0, dict[str, None]()
    for line in islice(lines(path), KEYS_FROM):
        count += 1
        keys |= dict.fromkeys(_object(line)[0])
    if not count:
        raise MissingError(f"{path}: found an empty file, expected an object on every line")
    if not keys:
        raise UsageError(f"{path}: found no JSON object on its lines, expected one on every line")

    def rows(wanted: list[str]) -> Iterator[Row]:
        for line in lines(path):
            found, fault = _object(line)
            cells = {}
            for column in wanted if not fault else ():
                cells[column], odd = _json_text(found.get(column))
                fault = fault or (odd and f"found {odd} in {column!r}, expected a text or a number")
            yield _row(line, path, {} if fault else cells, fault)

    return Table(path, list(keys), rows)


def _object(line: Line) -> tuple[dict[str, Any], str]:
    """Return the object on a line, or why there is none."""
    if line.fault:
        return {}, line.fault
    try:
        found = json.loads(line.text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {}, "found no JSON, expected an object"
    if not isinstance(found, dict):
        return {}, f"found {_json_name(found)}, expected an object"
    return found, ""


def _no_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON


def _json_text(value: Any) -> tuple[str, str]:
    """Return a value as text, and what it is if it is none that a cell may hold."""
    if value is None:
        return "", ""
    if isinstance(value, bool | list | dict):
        return "", _json_name(value)
    if not isinstance(value, str):
        return number_text(value), ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return "", "half a character"
    return value, ""


def _json_name(value: Any) -> str:
    names = {bool: "true or false", list: "a list", dict: "an object", str: "a text"}
    return "null" if value is None else names.get(type(value), "a number")


def _row(line: Line, path: Path, cells: Mapping[str, str], fault: str) -> Row:
    place = f"{path.name}, line {line.number}"
    return Row(line.number, place, text_stamp(line.text), cells, fault)
