"""CSV files that people write by hand: their rows, or what is wrong with them in one line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from occlufer.errors import MissingError, UsageError


def csv_rows(path: Path, columns: Sequence[str], named_by: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the place, "FILE, line N", and the cells of every row below the heading `columns`.

    Lines end as on any system; empty ones, a byte order mark and what is white around a cell are
    passed over. Raises MissingError, with what the file is `named_by`, if it is not there,
    UsageError if it is no CSV in UTF-8, has another heading, or a row that is not full.
    """
    expected = ",".join(columns)
    heading = True
    for number, cells in _lines(path, named_by):
        place = f"{path}, line {number}"
        right = cells == [*columns] if heading else len(cells) == len(columns) and all(cells)
        if not right:
            raise UsageError(f"{place}: found {','.join(cells)[:60]!r}, expected {expected}")
        if not heading:
            yield place, cells
        heading = False


def _lines(path: Path, named_by: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of the first line, and of all that are not empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file; {named_by}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = csv.reader(lines)
    try:
        for row in reader:
            if row or reader.line_num == 1:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise UsageError(f"{place}: cannot be read as CSV ({error})") from None
