"""What rows, and the user, say of pictures of no public set: columns, labels, splits, rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from occlufer.errors import UsageError
from occlufer.record import Facts
from occlufer.schema import LABELS, RIGHTS

from ..licences import read_rights
from .labels import UNLABELLED, label_of, quoted, read_label_map, said

# The columns that hold pictures and labels where they are not called "image" and "label";
# file_name is what `datasets` calls it beside a folder of images.
IMAGE_NAMES = ("image", "path", "file", "filename", "image_path", "filepath", "file_name")
LABEL_NAMES = ("label", "emotion", "expression", "class")
# Columns that count for their row alone: {how it may be called: what it says}.
ROW_NAMES = {
    "split": "split",
    "subject": "subject",
    "licence": "licence",
    "license": "licence",
    "attribution": "attribution",
    "rights": "rights",
    "test_set": "test_set",
}
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
WORDS_SHOWN = 10


class Stated(Protocol):
    """The settings in which the user states what a source is."""

    @property
    def label_map(self) -> dict[str, str]:
        """{word of the source: our label, or "unlabelled"}."""

    @property
    def content(self) -> str:
        """Either "crop" or "photograph"."""

    @property
    def test_set(self) -> str:
        """The benchmark's test set, if any."""

    @property
    def licence(self) -> str:
        """The terms."""

    @property
    def rights(self) -> str:
        """One of schema.RIGHTS; "": what the licence allows."""

    @property
    def attribution(self) -> str:
        """Whom to name."""


def check_stated(stated: Stated) -> None:
    """Raise ValueError for settings that mean nothing."""
    if stated.content not in ("crop", "photograph"):
        raise ValueError(f"content: found {stated.content!r}, expected crop or photograph")
    read_label_map(stated.label_map)
    read_rights(stated.rights, stated.licence)


def find_column(columns: list[str], wanted: str, usual: tuple[str, ...]) -> str | None:
    """Return the column `wanted`; if it is the first of `usual`, any one of them will do.

    None if there is none, or more than one.
    """
    if wanted in columns:
        return wanted if columns.count(wanted) == 1 else None
    found = [name for name in columns if name.lower() in usual] if wanted == usual[0] else []
    return found[0] if len(found) == 1 else None


def image_column(columns: list[str], wanted: str, place: str) -> str:
    """Return the column of the pictures; raises UsageError, naming `place`, if it is not clear."""
    found = find_column(columns, wanted, IMAGE_NAMES)
    if found is None:
        raise UsageError(
            f"{_found(columns, wanted, IMAGE_NAMES, place)}; say which column names the pictures "
            'with image_column = "..."'
        )
    return found


def label_column(columns: list[str], wanted: str, place: str) -> str:
    """Return the column of the labels, "" if `wanted` is; raises as `image_column` does."""
    found = find_column(columns, wanted, LABEL_NAMES) if wanted else ""
    if found is None:
        raise UsageError(
            f"{_found(columns, wanted, LABEL_NAMES, place)}; say which column holds the labels "
            'with label_column = "...", or label_column = "" if none does'
        )
    return found


def row_columns(columns: list[str]) -> dict[str, str]:
    """Return {what it says, see ROW_NAMES: the column}, of the columns that count for their row."""
    found: dict[str, str] = {}
    for column in columns:
        meaning = ROW_NAMES.get(column.lower())
        if meaning is not None and columns.count(column) == 1:
            found.setdefault(meaning, column)
    return found


def unknown_labels(words: Mapping[str, str], label_map: Mapping[str, str]) -> dict[str, str]:
    """Return those of {label word: where it is first} that neither the map nor usage explains."""
    known = read_label_map(label_map)
    found = {}
    for word, place in words.items():
        try:
            label_of(word, known, place)
        except UsageError:
            found[word] = place
    return found


def known_labels(words: Mapping[str, str], label_map: Mapping[str, str]) -> dict[str, str | None]:
    """Return {label word: our label, None if the map says it is unlabelled}.

    `words` is {label word: where it is first}. Raises UsageError for words that neither the map nor
    usage explains, with the map to write for all of them at once. A number is never guessed.
    """
    unknown = unknown_labels(words, label_map)
    if unknown:
        first = next(iter(unknown))
        shown = ", ".join(f'{quoted(word)} = "..."' for word in list(unknown)[:WORDS_SHOWN])
        more = len(unknown) - WORDS_SHOWN
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        rest = f", and {more} more" if more > 0 else ""
        raise UsageError(
            f"{unknown[first]}: found the label {first[:80]!r}{others}, expected one of "
            f"{', '.join(LABELS)} or a usual spelling; say what it means with "
            f'label_map = {{ {shown} }}{rest} (a class, or "{UNLABELLED}"), '
            'or label_column = "" if the column is none of labels'
        )
    known = read_label_map(label_map)
    return {word: label_of(word, known, place) for word, place in words.items()}


def row_fault(row: Mapping[str, str]) -> str:
    """Return why the columns that count for a row say what cannot be, "" if they do not."""
    rights = row.get("rights", "")
    if rights and rights not in RIGHTS:
        return f"found the rights {rights[:40]!r}, expected one of {', '.join(RIGHTS)}"
    return ""


def is_test(split: str) -> bool:
    """Return whether a split is one to compare on, e.g. "test", "PrivateTest", "test_mini"."""
    return "test" in split.lower()


def row_facts(
    row: Mapping[str, str],
    words: Mapping[str, int],
    label_word: str,
    stated: Stated,
    name: str,
    splits_say: bool,
) -> Facts:
    """Return the facts of one row.

    `row` is {what a column says, see ROW_NAMES: its text}, `words` what labels.said takes,
    `label_word` the label as it stands there. If `splits_say`, the stated test set is the split
    "test" only, else all.
    """
    split = row.get("split", "")
    licence = row.get("licence") or stated.licence
    return Facts(
        **said(name, words),
        source_label=label_word or None,
        content=stated.content,
        source_split=split_of(split),
        test_set=row.get("test_set") or test_set_of(split, stated, name, splits_say),
        subject=row.get("subject") or None,
        licence=licence,
        attribution=row.get("attribution") or stated.attribution,
        rights=read_rights(row.get("rights") or stated.rights, licence),
    )


def first_places(words: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return {word: where it is first} of (word, place); empty words, which say nothing, not."""
    found: dict[str, str] = {}
    for word, place in words:
        if word:
            found.setdefault(word, place)
    return found


def split_of(word: str) -> str | None:
    """Return the split that a word means, the word itself where usage does not say it."""
    return SPLIT_WORDS.get(word.lower(), word) or None


def test_set_of(split: str, stated: Stated, name: str, splits_say: bool) -> str | None:
    """Return the test set of what is in a split; see row_facts."""
    if is_test(split):
        return stated.test_set or f"{name} test"
    return None if splits_say else stated.test_set or None


def _found(columns: list[str], wanted: str, usual: tuple[str, ...], place: str) -> str:
    shown = ", ".join(columns[:30]) or "none"
    others = f", or one of {', '.join(usual[1:])}" if wanted == usual[0] else ""
    return f"{place}: found the columns {shown[:400]}, expected {wanted!r} once{others}"
