"""FERPlus: ten people's votes on each picture of FER2013, joined to fer2013.csv row by row."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

from occlufer.errors import MissingError, UsageError
from occlufer.record import Facts, Reject

from . import fer2013
from .entry import Entry, read_nothing, text_stamp
from .fer2013 import CSV_SPLITS, FOLDER_SPLITS, TEST_SETS, cells, csv_rows, read_pixels, row_fault
from .files import folders, source_folder
from .labels import rejected, said
from .rows import Line, lines
from .terms import Terms

VOTES_NAME = "fer2013new.csv"
PIXELS_NAME = "fer2013.csv"
HEADER = [
    *("Usage", "Image name", "neutral", "happiness", "surprise", "sadness", "anger"),
    *("disgust", "fear", "contempt", "unknown", "NF"),
]
# The columns of votes in their order; NF is "not a face".
VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "not_a_face"),
)
# Ten people voted on each picture. Not every row sums to ten: that of fer0010406 to nine.
MOST_VOTES = 10
# 173 rows have no name: FERPlus takes them out.
IMAGE_NAME = re.compile(r"(fer\d{7})(\.\w+)?", re.ASCII)
TERMS = Terms(
    title="FERPlus",
    licence=f"votes MIT (FERPlus), images {fer2013.TERMS.licence}",
    attribution=(
        "Barsoum et al., Training Deep Networks for Facial Expression Recognition with "
        f"Crowd-Sourced Label Distribution, ICMI 2016; images: {fer2013.TERMS.attribution}"
    ),
    where=f"see github.com/microsoft/FERPlus; for fer2013.csv {fer2013.TERMS.where}",
    must_accept=False,
)
GET = f"expected {VOTES_NAME}; {TERMS.where}"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "ferplus"."""

    path: Path
    """The folder that holds fer2013new.csv, or that file."""
    fer2013: Path | None = None
    """The folder that holds fer2013.csv, or that file; default: beside fer2013new.csv."""


def detect(path: Path) -> str | None:
    """Return what was recognised if the votes are there, with or without the pixels."""
    votes = path if path.is_file() else path / VOTES_NAME
    if not votes.is_file() or (votes == path and not _is_votes(path)):
        return None
    there = (votes.parent / PIXELS_NAME).is_file()
    return f"FERPlus, {votes.name} {'with' if there else 'without'} {PIXELS_NAME}"


def _is_votes(path: Path) -> bool:
    first = next(lines(path), None)
    return first is not None and (cells(first.text) == HEADER or _is_data(cells(first.text)))


def _is_data(row: list[str]) -> bool:
    return len(row) == len(HEADER) and row[0] in CSV_SPLITS


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the votes with its row of the pixels at a time.

    Raises MissingError if either file is not there, UsageError if one is another table, or if a
    row of the two is of different splits: then votes would be joined to other people's faces.
    """
    votes, pixels = _votes_file(settings.path), _pixels_file(settings)
    _check_splits(votes, pixels)
    counts = [0, 0]
    pairs = zip_longest(_vote_rows(votes), csv_rows(pixels))
    for number, (vote_row, pixel_row) in enumerate(pairs):
        counts[0] += vote_row is not None
        counts[1] += pixel_row is not None
        named = {votes.name: vote_row, pixels.name: pixel_row}
        place = "; ".join(f"{file}, line {row.number}" for file, row in named.items() if row)
        yield _entry(number, vote_row, pixel_row, place, name)
    if counts[0] != counts[1]:
        log.warning(
            "%s has %d rows and %s %d, expected as many: if a row is gone before the end, "
            "the votes after it are those of other pictures",
            *(votes, counts[0], pixels, counts[1]),
        )


def _check_splits(votes: Path, pixels: Path) -> None:
    for vote_row, pixel_row in zip(_vote_rows(votes), csv_rows(pixels), strict=False):
        if _votes_fault(vote_row) or row_fault(pixel_row):
            continue
        there = cells(vote_row.text)[0], cells(pixel_row.text)[2]
        if there[0] != there[1]:
            raise UsageError(
                f"{votes}, line {vote_row.number}: found Usage {there[0]!r}, and {there[1]!r} in "
                f"{pixels}, line {pixel_row.number}: the two files do not hold the same rows, and "
                "votes would be those of other pictures; get both anew"
            )


def _votes_file(path: Path) -> Path:
    if path.is_file():
        return path
    votes = source_folder(path, GET) / VOTES_NAME
    if not votes.is_file():
        raise MissingError(f"{path}: found no {VOTES_NAME} in it, {GET}")
    return votes


def _pixels_file(settings: Settings) -> Path:
    place = settings.fer2013 or _votes_file(settings.path).parent
    if place.is_file():
        return place
    if (place / PIXELS_NAME).is_file():
        return place / PIXELS_NAME
    splits = [name for name in folders(place) if name in FOLDER_SPLITS] if place.is_dir() else []
    images = f" (only {', '.join(splits)}: the image release has no rows to join)" if splits else ""
    raise MissingError(
        f"{place / PIXELS_NAME}: no such file{images}; the votes of {VOTES_NAME} belong to its "
        f"pixels, row by row; put it there or name it, fer2013 = "
        f'".../{PIXELS_NAME}"; {fer2013.TERMS.where}'
    )


def _vote_rows(path: Path) -> Iterator[Line]:
    found = lines(path)
    first = next(found, None)
    if first is None:
        raise MissingError(f"{path}: found an empty file; {GET}")
    head = cells(first.text)
    if head != HEADER and not _is_data(head):
        raise UsageError(
            f"{path}, line 1: found {', '.join(head)[:60]!r}, "
            f"expected {','.join(HEADER)} or a row of data"
        )
    yield from found if head == HEADER else chain([first], found)


def _entry(number: int, votes: Line | None, pixels: Line | None, place: str, name: str) -> Entry:
    both = "".join(line.text for line in (votes, pixels) if line)
    stamp = text_stamp(both)
    row_id = f"row_{number:05d}"
    reject = _reject(votes, pixels)
    if votes is None or pixels is None or reject is not None:
        return Entry(row_id, stamp, _facts(name), read_nothing, reject, place)
    usage, image_name, *counts = cells(votes.text)
    words = dict(zip(VOTES, map(int, counts), strict=True))
    match = IMAGE_NAME.fullmatch(image_name)
    fer_name = match[1] if match else None
    reject = rejected(words)
    if fer_name is None:
        reject = reject or Reject("removed", "has no image name: FERPlus takes it out")
    facts = _facts(name, words, CSV_SPLITS[usage], ",".join(counts), fer_name)
    read = partial(read_pixels, cells(pixels.text)[1])
    return Entry(fer_name or row_id, stamp, facts, read, reject, place)


def _reject(votes: Line | None, pixels: Line | None) -> Reject | None:
    """Return why the two rows give no sample, whatever was voted."""
    if votes is None:
        return Reject("malformed_row", f"found no row of votes for it, {VOTES_NAME} has ended")
    fault = _votes_fault(votes)
    if fault:
        return Reject("malformed_row", fault)
    if pixels is None:
        return Reject("missing_file", f"found no row of pixels for it, {PIXELS_NAME} has ended")
    fault = row_fault(pixels)
    if fault:
        return Reject("malformed_row", f"{PIXELS_NAME}: {fault}")
    return None


def _votes_fault(line: Line) -> str:
    if line.fault:
        return line.fault
    row = cells(line.text)
    if len(row) != len(HEADER):
        return f"found {len(row)} cells, expected {len(HEADER)}"
    usage, image_name, *counts = row
    if usage not in CSV_SPLITS:
        return f"found Usage {usage[:20]!r}, expected one of {', '.join(CSV_SPLITS)}"
    if image_name and not IMAGE_NAME.fullmatch(image_name):
        return f"found the image name {image_name[:40]!r}, expected e.g. fer0034656.png, or none"
    for column, count in zip(HEADER[2:], counts, strict=True):
        if not _is_count(count):
            return f"found {count[:20]!r} votes for {column}, expected 0 to {MOST_VOTES}"
    return ""


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= MOST_VOTES


def _facts(
    name: str,
    words: Mapping[str, int] | None = None,
    split: str | None = None,
    there: str | None = None,
    fer_name: str | None = None,
) -> Facts:
    return Facts(
        **said(name, words or {}),
        source_label=there,
        source_name=fer_name,
        source_split=split,
        test_set=None if split is None else TEST_SETS.get(split),
        licence=TERMS.licence,
        attribution=TERMS.attribution,
        rights=TERMS.rights,
    )
