"""CSV files that people write by hand: their lines, or what is wrong with them in one line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from occlufer.errors import MissingError, UsageError


def csv_lines(path: Path, named_by: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells, stripped, of the first line, and of all that are not empty.

    Lines end as on any system, and a byte order mark is passed over. Raises MissingError, with what
    the file is `named_by`, if it is not there, UsageError if it is no CSV in UTF-8.
    """
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
