"""Lines of a text file, each on its own: nothing in one line can swallow the next."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Longer lines are no row of any set: FER2013's have 10 kB.
MAX_LINE_BYTES = 1_000_000
# By Python's own limit, 131072, a long cell would pass for one whose quotes do not match. A byte
# that is no UTF-8 is written as four characters.
csv.field_size_limit(4 * MAX_LINE_BYTES)


@dataclass(frozen=True)
class Line:
    """One line that is not blank."""

    number: int
    """Counted from 1, blank lines included."""
    text: str
    """Without its end; bytes that are no UTF-8 are written as backslash, x, hex."""
    fault: str = ""
    """Why it cannot be a row, if it cannot."""


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file: ends of any kind, a byte order mark, a last line without an end.

    A line beyond MAX_LINE_BYTES is cut short and has a fault.
    """
    with path.open("rb") as file:
        for number, line in enumerate(_ended(file), 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            long = len(line) >= MAX_LINE_BYTES
            fault = f"found a line of over {MAX_LINE_BYTES} bytes" if long else ""
            if text.strip() or fault:
                yield Line(number, text.decode("utf-8", "backslashreplace"), fault)


def _ended(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines without their ends, each cut to MAX_LINE_BYTES.

    A lone carriage return ends a line too, as old tables have it: such a file is one to `readline`.
    """
    begun = b""
    while piece := file.readline(MAX_LINE_BYTES):
        while piece.endswith(b"\r") and (more := file.read(1)):
            piece += more  # its line feed, or what the next line begins with
        *whole, rest = piece.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\r")
        if piece.endswith(b"\n"):
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield (begun + line)[:MAX_LINE_BYTES]
            begun = b""
        begun = (begun + rest)[:MAX_LINE_BYTES]
    yield begun


def csv_cells(text: str, delimiter: str = ",") -> list[str] | None:
    """Return the cells of one line of a CSV, stripped; None if its quotes do not match."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else None
