"""Any table of pictures: CSV, TSV, JSON lines or Parquet with an image and a label column."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.record import Facts, Reject

from . import image_folder
from .arrow_columns import PATH, stored, word_of
from .entry import Entry, Reading, read_file, read_nothing
from .files import IMAGE_SUFFIXES, name_of, stamp_of
from .named_files import named_file, no_path, read_named
from .row_facts import (
    IMAGE_NAMES,
    LABEL_NAMES,
    check_stated,
    find_column,
    first_places,
    image_column,
    known_labels,
    label_column,
    row_columns,
    row_facts,
    row_fault,
    unknown_labels,
)
from .table_parquet import open_parquet, pictures
from .table_rows import Row, Table, open_csv, open_json_lines

TERMS = None
# By what a file's name ends with.
FORMATS: dict[str, Callable[[Path], Table]] = {
    ".csv": open_csv,
    ".tsv": open_csv,
    ".jsonl": open_json_lines,
    ".ndjson": open_json_lines,
    ".parquet": open_parquet,
}
LOOKED_AT = 20
GET = f"expected a table of pictures, {', '.join(FORMATS)}"


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "table"."""

    path: Path
    """The table, or the folder that holds it and no other."""
    images: Path | None = None
    """The folder that paths in the table are relative to; default: the one it lies in."""
    image_column: str = "image"
    """The column of paths, or in Parquet of pictures; "path", "filename" and the like do too."""
    label_column: str = "label"
    """The column of labels; "emotion", "expression", "class" do too; "": there are no labels."""
    label_map: dict[str, str] = field(default_factory=dict)
    """Word in the label column = our label, or "unlabelled", where usage does not say it."""
    content: str = "crop"
    """"crop": every picture is one face, published as it is; "photograph": the face is cut out."""
    source_split: str = ""
    """Which split of the original set this is, where no column `split` says it."""
    test_set: str = ""
    """The benchmark's test set that the split "test" is, or the whole table if it has no column
    `split`; it never trains."""
    licence: str = "unknown"
    """The terms, as an SPDX name, a URL or words, where no column `licence` says them."""
    rights: str = ""
    """"publishable", "index_only" or "blocked", where no column `rights` says it; default: what the
    licence allows."""
    attribution: str = ""
    """Whom to name, where no column `attribution` says it."""

    def __post_init__(self) -> None:
        """Check the choices."""
        check_stated(self)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table count, and what its label words mean."""

    image: str
    label: str
    row: Mapping[str, str]
    """{what it says, see row_facts.ROW_NAMES: column}"""
    names: list[str] | None
    """The names of label numbers, if the table itself says them."""

    @property
    def wanted(self) -> list[str]:
        """All of them, once each."""
        return list(dict.fromkeys([self.image, *filter(None, [self.label]), *self.row.values()]))


@dataclass(frozen=True)
class Listing:
    """What is known of a table before its rows are read."""

    table: Table
    called: str
    """The file's name, with which rows are named that name no picture."""
    stamp: str
    """Of the file."""
    columns: Columns
    images: Path
    """The folder in which its pictures lie."""
    labels: Mapping[str, str | None]
    """{label word: our label}"""
    settings: Settings
    name: str


def detect(path: Path) -> str | None:
    """Return what was recognised: a table that names pictures, or a folder that holds just one."""
    if path.is_dir() and image_folder.detect(path):
        return None  # its folders say more than a list of them
    try:
        table = _opened(path)
        column = find_column(table.columns, IMAGE_NAMES[0], IMAGE_NAMES)
        if column is None or not _names_pictures(table, column):
            return None
    except (OccluferError, OSError):
        return None
    label = find_column(table.columns, LABEL_NAMES[0], LABEL_NAMES)
    labels = f"labels in {label!r}" if label else "no column of labels"
    return f"a table of pictures, {table.path.name}: pictures in {column!r}, {labels}"


def _names_pictures(table: Table, column: str) -> bool:
    if table.storage(column) != PATH:
        return table.storage(column) is not None
    names = [row.cells.get(column, "") for row in islice(table.rows([column]), LOOKED_AT)]
    return any(name.lower().endswith(IMAGE_SUFFIXES) for name in names)


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the table at a time.

    Raises MissingError for a missing table or folder, UsageError for columns that are not clear
    and, all of them at once, for labels that nothing explains: that takes a look at every row, but
    costs seconds, where a label that is noticed at its own row costs what was read until then.
    """
    table = _opened(settings.path)
    called, stamp = name_of(Path(table.path.name)), stamp_of(table.path)
    columns = _columns(table, settings)
    images = _images(table, settings)
    labels = known_labels(_label_words(table, columns), settings.label_map)
    listing = Listing(table, called, stamp, columns, images, labels, settings, name)
    for row in table.rows(columns.wanted):
        yield _entry(row, listing)


def unknown(settings: Settings) -> dict[str, str]:
    """Return {label word that nothing explains: where it is first}; raises as `entries` does."""
    table = _opened(settings.path)
    words = _label_words(table, _columns(table, settings))
    return unknown_labels(words, settings.label_map)


def table_file(path: Path) -> Path:
    """Return the table that `path` is, or that lies in it; raises if there is none, or several."""
    if not path.exists():
        raise MissingError(f"{path}: no such file or folder; {GET}")
    if not path.is_dir():
        return path
    with os.scandir(path) as files:  # may be as many as there are pictures
        names = [file.name for file in files if Path(file.name).suffix.lower() in FORMATS]
    found = sorted(file for file in map(path.joinpath, names) if file.is_file())
    if not found:
        raise MissingError(f"{path}: found no table in it, {GET}")
    if len(found) > 1:
        told = ", ".join(name_of(Path(file.name)) for file in found[:5])
        raise UsageError(f"{path}: found {told}, expected one table: name it in `path`")
    return found[0]


def _opened(path: Path) -> Table:
    file = table_file(path)
    if file.suffix.lower() not in FORMATS:
        raise UsageError(f"{file}: found a file of another kind, {GET}")
    return FORMATS[file.suffix.lower()](file)


def _columns(table: Table, settings: Settings) -> Columns:
    place = str(table.path)
    image = image_column(table.columns, settings.image_column, place)
    if table.storage(image) is None:
        raise UsageError(
            f"{place}: the column {image!r} holds no pictures, expected paths, bytes or "
            'both in {"bytes", "path"}; say which does with image_column = "..."'
        )
    label = label_column(table.columns, settings.label_column, place)
    if label and not table.is_plain(label):
        raise UsageError(f"{place}: the column {label!r} holds neither texts nor numbers")
    # Which of several columns of one name is meant nobody can say.
    once = [c for c in table.columns if table.columns.count(c) == 1]
    rest = [c for c in once if c not in (image, label) and table.is_plain(c)]
    names = table.class_names(label) if label else None
    return Columns(image, label, row_columns(rest), names)


def _images(table: Table, settings: Settings) -> Path:
    folder = settings.images or table.path.parent
    if not folder.is_dir():
        raise MissingError(
            f"{folder}: no such folder, expected the one that paths in {table.path.name} are "
            "relative to; say which with `images`"
        )
    return folder


def _label_words(table: Table, columns: Columns) -> dict[str, str]:
    if not columns.label:
        return {}
    rows = table.rows([columns.label])
    return first_places((_label_word(row, columns)[0], row.place) for row in rows)


def _label_word(row: Row, columns: Columns) -> tuple[str, str]:
    return word_of(row.cells.get(columns.label, ""), columns.names)


def _entry(row: Row, listing: Listing) -> Entry:
    facts, fault = _facts(row, listing)
    table, column, images = listing.table, listing.columns.image, listing.images
    source_id = f"{listing.called}:{row.number}"
    if fault:
        reject = Reject("malformed_row", fault)
        return Entry(source_id, row.stamp, facts, read_nothing, reject, row.place)
    path, no_file = _file(row.cells[column], images)
    if table.storage(column) != PATH:
        stamp = f"{listing.stamp}:{row.number}:{row.stamp}:{stamp_of(path) if path else ''}"
        read = partial(read_stored, table.path, column, listing.stamp, row.number, images)
        return Entry(source_id, stamp, facts, read, None, row.place)
    if path is None:
        return Entry(source_id, row.stamp, facts, read_nothing, no_file, row.place)
    stamp = f"{stamp_of(path)}:{row.stamp}"
    inner = name_of(path.relative_to(images))
    return Entry(inner, stamp, facts, partial(read_file, path), no_file, row.place)


def _facts(row: Row, listing: Listing) -> tuple[Facts, str]:
    """Return the facts of a row, and why it is malformed, if it is."""
    columns, settings = listing.columns, listing.settings
    word, bad_label = _label_word(row, columns)
    said = {meaning: row.cells.get(column, "").strip() for meaning, column in columns.row.items()}
    fault = row.fault or bad_label or row_fault(said)
    if fault:
        said, word = {}, ""
    said["split"] = said.get("split") or settings.source_split
    label = listing.labels.get(word)
    words = {label: 1} if label else {}
    return row_facts(said, words, word, settings, listing.name, "split" in columns.row), fault


def read_stored(table: Path, column: str, stamp: str, number: int, folder: Path) -> Reading:
    """Return the picture of a row of a Parquet file, or of the file in `folder` that it names.

    Raises BadImageError if there is none.
    """
    data, named = stored(pictures(table, column, stamp)[number])
    if data is not None:
        return Reading(data)
    return read_named(*_file(named or "", folder))


def _file(picture: str, folder: Path) -> tuple[Path | None, Reject | None]:
    reject = no_path(picture, "found nothing, expected the path of a picture")
    return (None, reject) if reject else named_file(picture, folder, folder)
