"""Lines of a text file, each on its own: nothing in one line can swallow the next."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Longer lines are no row of any set: FER2013's have 10 kB.
MAX_LINE_BYTES = 1_000_000


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
    number = 0
    with path.open("rb") as file:
        while piece := file.readline(MAX_LINE_BYTES):
            long = not piece.endswith(b"\n") and len(piece) == MAX_LINE_BYTES
            if long:
                while (more := file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
                    pass
            if not number:
                piece = piece.removeprefix(b"\xef\xbb\xbf")
            # A lone carriage return ends a line too, as old tables have it.
            for part in piece.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\r"):
                number += 1
                fault = f"found a line of over {MAX_LINE_BYTES} bytes" if long else ""
                if part.strip() or fault:
                    yield Line(number, part.decode("utf-8", "backslashreplace"), fault)


def csv_cells(text: str, delimiter: str = ",") -> list[str] | None:
    """Return the cells of one line of a CSV, stripped; None if its quotes do not match."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else None
