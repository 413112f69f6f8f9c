"""AffectNet's first release: tables of all pictures, and folders of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from occlufer.errors import MissingError, UsageError
from occlufer.record import Reject
from occlufer.schema import NO_CLASS

from .affectnet_labels import TERMS, WORDS, facts
from .entry import Entry, read_file, read_nothing, text_stamp
from .files import name_of, stamp_of
from .labels import rejected
from .named_files import named_file, own_folder
from .rows import Line, csv_cells, lines

HEADER = [
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
]
LANDMARK_NUMBERS = 136
# Validation first: a picture that both tables list must not train.
TABLE_SPLITS = {"validation.csv": "validation", "training.csv": "train"}
AUTOMATIC_TABLE = "automatically_annotated.csv"
MANUAL, AUTOMATIC = "Manually_Annotated_Images", "Automatically_Annotated_Images"
# Under the set's folder, as its archives unpack and as people put them together.
PLACES = {
    **dict.fromkeys(TABLE_SPLITS, ("", "Manually_Annotated_file_lists", "Manually_Annotated")),
    AUTOMATIC_TABLE: (
        "",
        "Automatically_annotated_file_list",
        "Automatically_Annotated_file_list",
        "Automatically_Annotated_file_lists",
        "Automatically_Annotated",
    ),
    MANUAL: ("", "Manually_Annotated"),
    AUTOMATIC: ("", "Automatically_Annotated"),
}
# The pieces that people have; what a network labelled is for those who ask for it.
WANTED = (*TABLE_SPLITS, MANUAL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def pieces(root: Path) -> list[str]:
    """Return which pieces of the release lie at `root`, as paths under it."""
    found = {piece: _find(root, piece) for piece in PLACES}
    # Tables of such names are many: it takes a look inside.
    real = (p for p in found.values() if p and (p.suffix != ".csv" or _is_ours(p)))
    return [name_of(path.relative_to(root)) for path in real]


def rows(root: Path, automatic: bool, name: str) -> Iterator[Entry]:
    """Yield a row of the tables at a time, the validation set's first.

    Raises MissingError for a missing table or folder of pictures, UsageError for another table.
    """
    tables = [(path, MANUAL, split) for path, split in _manual_tables(root)]
    if not tables and not automatic:
        raise MissingError(
            f"{root}: found {', '.join(pieces(root)) or 'nothing'}, "
            "expected training.csv or validation.csv, or automatic = true with "
            f"{AUTOMATIC_TABLE}; {TERMS.where}"
        )
    if automatic:
        tables.append((_piece(root, AUTOMATIC_TABLE), AUTOMATIC, "train"))
    # All of it before the first row: nobody shall wait an hour for a missing folder.
    opened = [
        (path, own_folder(_piece(root, folder), root), split, _data(path))
        for path, folder, split in tables
    ]
    for table, pictures, split, found in opened:
        for line in found:
            yield _row(line, table, pictures, root, split, name)


def _manual_tables(root: Path) -> Iterator[tuple[Path, str]]:
    for piece, split in TABLE_SPLITS.items():
        path = _find(root, piece)
        if path is not None:
            yield path, split


def _find(root: Path, piece: str) -> Path | None:
    there = Path.is_file if piece.endswith(".csv") else Path.is_dir
    return next((p for place in PLACES[piece] if there(p := root / place / piece)), None)


def _piece(root: Path, piece: str) -> Path:
    path = _find(root, piece)
    if path is None:
        places = " or ".join(f"{place}/{piece}".lstrip("/") for place in PLACES[piece])
        raise MissingError(
            f"{root}: found {', '.join(pieces(root)) or 'nothing'}, expected {places}; "
            f"{TERMS.where}"
        )
    return path


def _data(table: Path) -> Iterator[Line]:
    """Return the lines after the header, which some copies lack."""
    found = lines(table)
    first = next(found, None)
    if first is None:
        return iter(())
    cells = csv_cells(first.text) or []
    if _is_header(cells):
        return found
    if HEADER[0].lower() in [cell.lower() for cell in cells]:
        raise UsageError(
            f"{table}, line 1: found {','.join(cells)[:200]!r}, expected {','.join(HEADER)}"
        )
    return chain([first], found)


def _is_header(cells: list[str]) -> bool:
    return [cell.lower() for cell in cells] == [word.lower() for word in HEADER]


def _is_ours(table: Path) -> bool:
    first = next(lines(table), None) if table.is_file() else None
    cells = csv_cells(first.text) if first else None
    return _is_header(cells or []) or not _row_fault(cells)


def _row(line: Line, table: Path, folder: Path, root: Path, split: str, name: str) -> Entry:
    place = f"{table.name}, line {line.number}"
    source_id = f"{name_of(table.relative_to(root))}:{line.number}"
    stamp = text_stamp(line.text)
    cells = csv_cells(line.text)
    bad = line.fault or _row_fault(cells)
    if bad or cells is None:
        reject: Reject | None = Reject("malformed_row", bad)
        return Entry(source_id, stamp, facts(name, None, None, split), read_nothing, reject, place)
    number = cells[HEADER.index("expression")]
    path, reject = named_file(cells[0], folder, root)
    if path is None:
        said = facts(name, number, None, split)
        return Entry(source_id, stamp, said, read_nothing, reject, place)
    if WORDS[number] in NO_CLASS:
        reject = rejected({WORDS[number]: 1}) or reject
    return Entry(
        name_of(path.relative_to(root)),
        f"{stamp_of(path)}:{stamp}",
        facts(name, number, name_of(Path(path.stem)), split),
        partial(read_file, path),
        reject,
        place,
    )


def _row_fault(cells: list[str] | None) -> str:
    if cells is None:
        return "found quotes that do not match"
    if len(cells) != len(HEADER):
        return f"found {len(cells)} cells, expected {len(HEADER)}"
    _, *box, landmarks, number, _, _ = cells
    for column, cell in zip(HEADER[1:5], box, strict=True):
        if not _NUMBER.fullmatch(cell):
            return f"found {column} {cell[:20]!r}, expected a number"
    count = sum(1 for value in landmarks.split(";") if value)
    if count not in (0, LANDMARK_NUMBERS):
        return f"found {count} numbers as landmarks, expected {LANDMARK_NUMBERS} or none"
    if number not in WORDS:
        return f"found the expression {number[:20]!r}, expected 0 to 10"
    return ""
