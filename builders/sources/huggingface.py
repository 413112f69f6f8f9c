"""Any Hugging Face dataset of pictures: of the Hub, saved in a folder, or a folder of Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.errors import UsageError
from occlufer.lock import LOCK_NAME
from occlufer.record import Facts, Reject
from occlufer.schema import LABELS

from .arrow_columns import is_plain, pictures_held, storage_of, stored, texts, word_of
from .entry import Entry, Reading, read_nothing
from .files import name_of, source_folder, stamp_of
from .named_files import read_named
from .opened_dataset import Opened, Place, folder_place, opened, picture_file
from .row_facts import (
    IMAGE_NAMES,
    LABEL_NAMES,
    check_stated,
    find_column,
    first_places,
    image_column,
    is_test,
    known_labels,
    label_column,
    row_columns,
    row_facts,
    row_fault,
    unknown_labels,
)
from .saved_dataset import parquet_of_pictures, saved_what

TERMS = None
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
VOTES = "votes"
ROWS_AT_A_TIME = 1000
GET = (
    "expected a folder of Parquet, or one that `datasets` has saved, or the name of a repository "
    'of the Hub: repository = "owner/name"'
)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "huggingface"."""

    path: Path | None = None
    """A folder of Parquet, e.g. one that occlufer has published, or one of save_to_disk."""
    repository: str = ""
    """Or "owner/name", a dataset of the Hub; a token, where one is needed, is huggingface_hub's."""
    revision: str = ""
    """Which of its commits, tags or branches; a commit alone names the same data for ever."""
    config: str = ""
    """Which of its configs; default: its own default."""
    split: str = ""
    """Which of its splits; default: all."""
    image_column: str = "image"
    """The column of pictures; another is found if it alone is of `datasets`' Image type."""
    label_column: str = "label"
    """The column of labels; another is found if it alone is a ClassLabel; "": there are none."""
    label_map: dict[str, str] = field(default_factory=dict)
    """Word, or number without a name, in the label column = our label, or "unlabelled"."""
    content: str = "crop"
    """"crop": every picture is one face, published as it is; "photograph": the face is cut out."""
    licence: str = "unknown"
    """The terms, as an SPDX name, a URL or words, where no column `licence` says them."""
    rights: str = ""
    """"publishable", "index_only" or "blocked", where no column `rights` says it; default: what the
    licence allows."""
    attribution: str = ""
    """Whom to name, where no column `attribution` says it."""
    test_set: str = ""
    """The benchmark's test set that the split "test" is, or all that is read if none is called so;
    it never trains."""

    def __post_init__(self) -> None:
        """Check the choices."""
        if (self.path is None) == (self.repository == ""):
            raise ValueError("path, repository: expected one of them, and not both")
        if self.repository and not REPOSITORY.fullmatch(self.repository):
            raise ValueError(f"repository: found {self.repository!r}, expected owner/name")
        if self.revision and not self.repository:
            raise ValueError("revision: expected with a repository only; a folder has none")
        check_stated(self)


@dataclass(frozen=True)
class Columns:
    """Which columns of a split count, and what the numbers in them are called."""

    image: str
    label: str
    row: Mapping[str, str]
    """{what it says, see row_facts.ROW_NAMES: column}"""
    names: Mapping[str, list[str] | None]
    """{column: the names of its numbers, if it is a ClassLabel}"""
    votes: bool
    """Whether there are the votes of a dataset that occlufer has published."""

    @property
    def plain(self) -> list[str]:
        """All but the pictures and the votes, once each."""
        return list(dict.fromkeys([*filter(None, [self.label]), *self.row.values()]))


def detect(path: Path) -> str | None:
    """Return what was recognised: pieces of a saved dataset, or Parquet with pictures in it."""
    if not path.is_dir():
        return None
    if (path / LOCK_NAME).is_file():
        return "Occlu-FER, a dataset that occlufer has published"
    saved = saved_what(path)
    if saved:
        return f"Hugging Face, {saved}"
    found = parquet_of_pictures(path)
    return (
        f"Hugging Face, Parquet with pictures: {name_of(found.relative_to(path))}"
        if found
        else None
    )


@dataclass(frozen=True)
class Listing:
    """What is known of a split before its rows are read."""

    found: Opened
    split: str
    columns: Columns
    labels: Mapping[str, str | None]
    """{label word: our label}"""
    splits_say: bool
    """Whether there is a split "test", so that the stated test set is that one only."""
    settings: Settings
    name: str


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the dataset at a time, split by split.

    Raises MissingError for a missing piece, a dataset that is not on the Hub or a Hub out of reach,
    UsageError for what is no dataset, for columns that are not clear and, all of them at once, for
    labels that nothing explains; see table.entries for why that takes a look at every row first.
    """
    found = _found(settings)
    columns = {split: _columns(found, split, settings) for split in _splits(found, settings)}
    labels = known_labels(_label_words(found, columns), settings.label_map)
    for split, there in columns.items():
        splits_say = "split" in there.row or any(map(is_test, columns))
        listing = Listing(found, split, there, labels, splits_say, settings, name)
        for index, row in enumerate(_rows(found.splits[split], there)):
            yield _entry(row, index, listing)


def unknown(settings: Settings) -> dict[str, str]:
    """Return {label word that nothing explains: where it is first}; raises as `entries` does."""
    found = _found(settings)
    columns = {split: _columns(found, split, settings) for split in _splits(found, settings)}
    return unknown_labels(_label_words(found, columns), settings.label_map)


def _found(settings: Settings) -> Opened:
    if settings.path is None:
        place = Place(None, settings.repository, settings.config, settings.revision)
    else:
        place = folder_place(source_folder(settings.path, GET), settings.config)
    return opened(place)


def _splits(found: Opened, settings: Settings) -> list[str]:
    splits = list(found.splits)
    if settings.split and settings.split not in splits:
        there = ", ".join(filter(None, splits)) or "one split without a name"
        raise UsageError(f"{found.place}: found {there}, expected the split {settings.split!r}")
    return [settings.split] if settings.split else splits


def _columns(found: Opened, split: str, settings: Settings) -> Columns:
    features = found.splits[split].features
    place = f"{found.place}, split {split}" if split else str(found.place)
    kinds = {field.name: field.type for field in features.arrow_schema}
    image = _typed(features, settings.image_column, IMAGE_NAMES, "Image")
    image = image or image_column(list(features), settings.image_column, place)
    if storage_of(kinds[image]) is None:
        raise UsageError(
            f"{place}: the column {image!r} holds no pictures but {kinds[image]}; say which does "
            'with image_column = "..."'
        )
    label = _typed(features, settings.label_column, LABEL_NAMES, "ClassLabel")
    label = label or label_column(list(features), settings.label_column, place)
    if label and not is_plain(kinds[label]):
        raise UsageError(
            f"{place}: the column {label!r} holds {kinds[label]}, expected texts or numbers"
        )
    rest = [c for c, kind in kinds.items() if c not in (image, label) and is_plain(kind)]
    names = {column: getattr(features[column], "names", None) for column in features}
    ours = bool(label) and names[label] == list(LABELS) and not settings.label_map
    votes = ours and _are_votes(kinds.get(VOTES))
    return Columns(image, label, row_columns(rest), names, votes)


def _typed(features: Any, wanted: str, usual: tuple[str, ...], kind: str) -> str | None:
    """Return the one column of a type of `datasets`, where the usual names lead to none."""
    if wanted != usual[0] or find_column(list(features), wanted, usual):
        return None
    found = [column for column in features if type(features[column]).__name__ == kind]
    return found[0] if len(found) == 1 else None


def _are_votes(kind: Any) -> bool:
    import pyarrow as pa

    is_list = kind is not None and (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))
    return bool(is_list and pa.types.is_integer(kind.value_type))


# Rows -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row without its picture."""

    cells: Mapping[str, str]
    has_bytes: bool
    picture: str
    """The path in the picture's place, or beside it."""
    votes: list[int | None] | None


def _rows(dataset: Any, columns: Columns) -> Iterator[Row]:
    """Yield the rows; the files are mapped, so the bytes of pictures are not read."""
    wanted = [*columns.plain, columns.image, *([VOTES] if columns.votes else [])]
    for table in dataset.select_columns(wanted).iter(ROWS_AT_A_TIME):
        for batch in table.to_batches():
            cells = [texts(batch.column(column)) for column in columns.plain]
            by_row = zip(*cells, strict=True) if cells else [()] * batch.num_rows
            votes = batch.column(VOTES).to_pylist() if columns.votes else [None] * batch.num_rows
            pictures = pictures_held(batch.column(columns.image))
            for row, (has_bytes, picture), said in zip(by_row, pictures, votes, strict=True):
                yield Row(dict(zip(columns.plain, row, strict=True)), has_bytes, picture, said)


def _label_words(found: Opened, columns: Mapping[str, Columns]) -> dict[str, str]:
    def words() -> Iterator[tuple[str, str]]:
        for split, there in columns.items():
            if not there.label:
                continue
            index = 0
            for table in found.splits[split].select_columns([there.label]).iter(ROWS_AT_A_TIME):
                for cells in table.column(there.label).chunks:
                    for text in texts(cells):
                        place = f"{found.place}, {_place(split, index)}"
                        yield word_of(text, there.names[there.label])[0], place
                        index += 1

    return first_places(words())


def _place(split: str, index: int) -> str:
    return f"split {split}, row {index}" if split else f"row {index}"


def _entry(row: Row, index: int, listing: Listing) -> Entry:
    found, split, columns = listing.found, listing.split, listing.columns
    facts, fault = _facts(row, listing)
    source_id = f"{split}/{index}" if split else str(index)
    stamp = f"{found.stamps[split]}:{index}"
    reject = Reject("malformed_row", fault) if fault else None
    if not fault and not row.has_bytes:
        path, reject = picture_file(row.picture, found.place)
        stamp = f"{stamp}:{stamp_of(path)}" if path else stamp
    read = partial(read_picture, found.place, split, index, columns.image)
    place = _place(split, index)
    return Entry(source_id, stamp, facts, read_nothing if reject else read, reject, place)


def _facts(row: Row, listing: Listing) -> tuple[Facts, str]:
    """Return the facts of a row, and why it says what cannot be, if so."""
    columns, settings = listing.columns, listing.settings
    word, fault = word_of(row.cells.get(columns.label, ""), columns.names.get(columns.label))
    said = {}
    for meaning, column in columns.row.items():
        said[meaning], bad = word_of(row.cells[column], columns.names[column])
        fault = fault or bad
    fault = fault or row_fault(said) or _votes_fault(row, columns)
    if fault:
        said, word = {}, ""
    said["split"] = said.get("split") or listing.split
    label = listing.labels.get(word)
    words: dict[str, int] = {label: 1} if label else {}
    if columns.votes and not fault:
        words = {label: votes or 0 for label, votes in zip(LABELS, row.votes or [], strict=True)}
    return row_facts(said, words, word, settings, listing.name, listing.splits_say), fault


def _votes_fault(row: Row, columns: Columns) -> str:
    if not columns.votes:
        return ""
    votes = row.votes
    if votes is None or len(votes) != len(LABELS) or any(v is None or v < 0 for v in votes):
        return f"found the votes {votes}, expected {len(LABELS)} numbers from 0 on"
    return ""


def read_picture(place: Place, split: str, index: int, column: str) -> Reading:
    """Return the picture of a row, as its bytes stand in the dataset or in the file it names.

    Raises BadImageError if there is none.
    """
    cells = opened(place).splits[split][index][column]
    data, named = stored(cells[0].as_py())
    if data is not None:
        return Reading(data)
    return read_named(*picture_file(named or "", place))
