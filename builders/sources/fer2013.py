"""FER2013: `fer2013.csv`, or the image release with a folder per split and class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from occlufer.errors import MissingError, UsageError
from occlufer.record import Facts, Reject

from ..pixels import BadImageError, encode_png
from . import class_tree
from .class_tree import Split, Tree
from .entry import Entry, Reading, read_nothing, text_stamp
from .files import source_folder
from .labels import said
from .rows import Line, lines
from .terms import Terms

SIDE_PX = 48
# Order of the CSV's `emotion` column.
CSV_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
CSV_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
CSV_HEADER = ["emotion", "pixels", "Usage"]
# The image release calls the public test "validation" in one packing and the whole test "test".
FOLDER_SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "test": "test",
}
# People tune on the public test and compare on the private one: nobody may train on either.
TEST_SETS = {"validation": "FER2013 public test", "test": "FER2013 test"}
TERMS = Terms(
    title="FER2013",
    licence="FER2013 (ICML 2013 challenge data, research use)",
    attribution="Goodfellow et al., Challenges in Representation Learning, ICML 2013",
    where="see Kaggle's FER2013 challenge",
    must_accept=False,
)
GET = f"expected fer2013.csv, or train/ and validation/ or test/; {TERMS.where}"
CLASSES = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
LOOKED_AT = 5
TREE = Tree(
    {folder: Split(name, TEST_SETS.get(name)) for folder, name in FOLDER_SPLITS.items()},
    CLASSES,
    TERMS,
    GET,
)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "fer2013"."""

    path: Path
    """The folder that holds fer2013.csv or train/ and its siblings, or the CSV itself."""


def detect(path: Path) -> str | None:
    """Return which release was recognised, else None."""
    if path.is_file():
        return "FER2013, fer2013.csv" if _is_csv(path) else None
    if (path / "fer2013.csv").is_file():
        return "FER2013, fer2013.csv"
    found = class_tree.class_folders(path, TREE)
    if not found or not all(set(CLASSES) >= set(words) != set() for words in found.values()):
        return None
    # Other sets use these words too: only this one is 48 px throughout.
    sizes = [class_tree.first_sizes_px(path.joinpath(*steps), LOOKED_AT) for steps in found]
    if set().union(*sizes) != {(SIDE_PX, SIDE_PX)}:
        return None
    return f"FER2013, the image release: {', '.join('/'.join(steps) for steps in found)}"


def _is_csv(path: Path) -> bool:
    first = next(lines(path), None)
    return first is not None and cells(first.text) == CSV_HEADER


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the CSV or a file of the image release at a time.

    Raises MissingError if neither is there, UsageError if the layout is another one.
    """
    path = settings.path
    if path.is_file():
        return _rows(path, name)
    source_folder(path, GET)
    if (path / "fer2013.csv").is_file():
        return _rows(path / "fer2013.csv", name)
    return class_tree.entries(path, TREE, name)


def _rows(path: Path, name: str) -> Iterator[Entry]:
    for number, line in enumerate(csv_rows(path)):
        yield _row(line, number, path, name)


def csv_rows(path: Path) -> Iterator[Line]:
    """Yield the rows of a fer2013.csv, its header left out; raises as `entries` does."""
    found = lines(path)
    first = next(found, None)
    if first is None:
        raise MissingError(f"{path}: found an empty file; {GET}")
    # Some copies were split and lack the header; a first line of data is data.
    head = cells(first.text)
    headless = head[0].isdigit()
    if not headless and head != CSV_HEADER:
        raise UsageError(
            f"{path}, line 1: found {', '.join(head)[:60]!r}, "
            f"expected {','.join(CSV_HEADER)} or a row of data"
        )
    yield from chain([first], found) if headless else found


def cells(text: str) -> list[str]:
    """Return the cells of a line: none holds a comma, and quotes go where they match."""
    found = [cell.strip() for cell in text.split(",")]
    return [cell[1:-1] if cell[:1] == cell[-1:] == '"' else cell for cell in found]


def _row(line: Line, number: int, path: Path, name: str) -> Entry:
    # Row numbers, not line numbers: FERPlus's votes join by row.
    row = cells(line.text)
    fault = row_fault(line)
    stamp = text_stamp(line.text)
    source_id, place = f"row_{number:05d}", f"{path.name}, line {line.number}"
    if fault:
        facts, reject = _facts(name, None, None, None), Reject("malformed_row", fault)
        return Entry(source_id, stamp, facts, read_nothing, reject, place)
    emotion, pixels, usage = row
    facts = _facts(name, CSV_LABELS[int(emotion)], CSV_SPLITS[usage], emotion)
    return Entry(source_id, stamp, facts, partial(read_pixels, pixels), place=place)


def row_fault(line: Line) -> str:
    """Return why a line is no row of the CSV; the pixels are looked at when they are read."""
    if line.fault:
        return line.fault
    row = cells(line.text)
    if len(row) != len(CSV_HEADER):
        return f"found {len(row)} cells, expected {len(CSV_HEADER)}"
    emotion, _, usage = row
    if emotion not in ("0", "1", "2", "3", "4", "5", "6"):
        return f"found emotion {emotion[:20]!r}, expected 0 to 6"
    if usage not in CSV_SPLITS:
        return f"found Usage {usage[:20]!r}, expected one of {', '.join(CSV_SPLITS)}"
    return ""


def read_pixels(pixels: str) -> Reading:
    """Return the PNG of a row's pixels; raises BadImageError if they are no 48x48 grey levels."""
    values = pixels.split()
    expected = SIDE_PX * SIDE_PX
    if len(values) != expected:
        raise BadImageError("malformed_row", f"found {len(values)} pixels, expected {expected}")
    bad = next((v for v in values if not _is_grey_level(v)), None)
    if bad is not None:
        raise BadImageError("malformed_row", f"found the pixel {bad[:20]!r}, expected 0-255")
    grey = np.array([int(value) for value in values], dtype=np.uint8)
    return Reading(encode_png(grey.reshape(SIDE_PX, SIDE_PX)))


def _is_grey_level(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 256


def _facts(name: str, label: str | None, split: str | None, there: str | None) -> Facts:
    return Facts(
        **said(name, {label: 1} if label else {}),
        source_label=there,
        source_split=split,
        test_set=None if split is None else TEST_SETS.get(split),
        licence=TERMS.licence,
        attribution=TERMS.attribution,
        rights=TERMS.rights,
    )
