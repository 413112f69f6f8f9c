"""Gold samples: the user's known answers, which raters are measured by; they stay on our side."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from occlufer.csv_file import csv_rows
from occlufer.errors import UsageError
from occlufer.schema import ANSWERS, LABEL_SYNONYMS
from occlufer.workspace import Workspace

from .wanted import BEFORE_LABELS

log = logging.getLogger(__name__)

COLUMNS = ("record", "label")
NAMED_BY = "[annotation] gold names a CSV with the columns record,label"


@dataclass(frozen=True)
class GoldRow:
    """A line of the file."""

    place: str
    record: str
    answer: str


def read_gold(path: Path | None, workspace: Workspace) -> dict[str, str]:
    """Return {image: answer} of the file, {} without one.

    A record that the build has rejected is left out, with a warning. Raises MissingError if there
    is no such file, UsageError for a row that says what cannot be: a record that is none, a label
    that is no answer, the same record twice, two answers to one picture.
    """
    if path is None:
        return {}
    images: dict[GoldRow, str | None] = {}
    for row in _rows(path):
        record = workspace.catalog.record(row.record)
        if record is None:
            raise UsageError(
                f"{row.place}: found {row.record!r}, expected a record of the build, "
                "source/source_id"
            )
        images[row] = record.image
    passing = workspace.catalog.passing_among(filter(None, images.values()), BEFORE_LABELS)
    gold: dict[str, GoldRow] = {}
    for row, image in images.items():
        if image is None or image not in passing:
            log.warning("%s: %r is no sample of the build, and left out", row.place, row.record)
            continue
        before = gold.setdefault(image, row)
        if before.answer != row.answer:
            raise UsageError(
                f"{row.place}: found {row.answer!r} for {row.record!r}, and {before.answer!r} for "
                f"{before.record!r}, which is the same picture; expected one answer a picture"
            )
    return {image: row.answer for image, row in gold.items()}


def _rows(path: Path) -> Iterator[GoldRow]:
    """Yield the lines of the file; raises UsageError for one that cannot be read."""
    seen: dict[str, str] = {}
    for place, (record, word) in csv_rows(path, COLUMNS, NAMED_BY):
        if record in seen:
            raise UsageError(
                f"{place}: found {record!r}, which stands in {seen[record]} already; expected each "
                "record once"
            )
        seen[record] = place
        yield GoldRow(place, record, _answer(word, place))


def _answer(word: str, place: str) -> str:
    answer = LABEL_SYNONYMS.get(word.lower(), word.lower())
    if answer not in ANSWERS:
        raise UsageError(f"{place}: found label {word!r}, expected one of {', '.join(ANSWERS)}")
    return answer
