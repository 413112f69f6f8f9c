"""Occlu-FER as its authors release it: `train/` and `valid/` with a folder per class."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from occlufer.schema import LABELS, TABLE_1

from . import class_tree
from .class_tree import Split, Steps, Tree
from .entry import Entry
from .files import source_folder
from .labels import read_label_map
from .terms import Terms

NAME = re.compile(r"occlu[-_ ]?fer", re.IGNORECASE)
SPLITS = {"train": Split("train"), "valid": Split("validation", "Occlu-FER validation")}
# How the folders are called is not published. Numbers are not guessed: Table 1 has one order of
# the classes, the authors' test.py, which reads folders sorted by name, another.
CLASSES = {label: label for label in LABELS}
MOST_FILES = max(map(max, TABLE_1.values()))
TERMS = Terms(
    title="Occlu-FER",
    licence="Occlu-FER (research at universities; not to be reproduced, passed on or sold)",
    attribution="Zhai et al., Rethinking Occlusion in FER: A Semantic-Aware Perspective and Go "
    "Beyond, ACM Multimedia 2025",
    where="ask its authors for Occlu-FER at wenyuzhy.github.io/Occlu-FER",
    must_accept=True,
)
GET = f"expected train/ and valid/ with a folder per class; {TERMS.where}"


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "occlu_fer"."""

    path: Path
    """The folder Occlu-FER with train/ and valid/, or the one that holds it."""
    label_map: dict[str, str] = field(default_factory=dict)
    """Class folder = our label, or "unlabelled", where the folder's name does not say it."""

    def __post_init__(self) -> None:
        """Check the labels."""
        read_label_map(self.label_map)


def tree_of(label_map: Mapping[str, str]) -> Tree:
    """Return the layout; `label_map` is what the user says of class folders."""
    return Tree(SPLITS, CLASSES, TERMS, GET, NAME, label_map=read_label_map(label_map))


def detect(path: Path) -> str | None:
    """Return which pieces were recognised, else None.

    Any user's own set may have these folders, so its name tells, or all 16 counts of Table 1.
    """
    if not path.is_dir():
        return None
    tree = tree_of({})
    root = class_tree.set_folder(path, tree, alone=True)
    found = class_tree.class_folders(root, tree)
    named = class_tree.is_called(root, tree) or class_tree.is_called(path, tree)
    if not any(found.values()) or not (named or _has_published_counts(root, found, tree)):
        return None
    return f"Occlu-FER, {class_tree.told(found, tree)}"


def _has_published_counts(root: Path, found: Mapping[Steps, list[str]], tree: Tree) -> bool:
    """Return whether the class folders hold as many files as Table 1 says; counts few more."""
    known = class_tree.labels_of(tree)
    places = [(steps, word) for steps, words in found.items() for word in words]
    if len(places) != sum(map(len, TABLE_1.values())):
        return False
    counts: dict[str, Counter[str]] = {split.name: Counter() for split in SPLITS.values()}
    for steps, word in places:
        label = known.get(word.lower()) or word
        split = SPLITS[steps[-1].lower()].name
        counts[split][label] += _files_up_to(root.joinpath(*steps, word), MOST_FILES + 1)
    return not check_table_1(counts)


def _files_up_to(folder: Path, most: int) -> int:
    try:
        with os.scandir(folder) as files:  # unsorted, so that no more than these are read
            return sum(1 for _ in islice(files, most))
    except OSError:  # may not be listed
        return 0


def check_table_1(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a line for each class and split whose count differs from Table 1 of the paper.

    `counts` is {split: {class: how many}}.
    """
    lines = []
    for split, published in TABLE_1.items():
        for label, expected in zip(LABELS, published, strict=True):
            found = counts.get(split, {}).get(label, 0)
            if found != expected:
                lines.append(f"{split}, {label}: found {found}, expected {expected}")
    return lines


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a file at a time, sorted by path under the set's folder.

    Raises MissingError if there is no split or no class, UsageError for a class folder whose name
    says nothing.
    """
    tree = tree_of(settings.label_map)
    root = class_tree.set_folder(source_folder(settings.path, GET), tree)
    return class_tree.entries(root, tree, name)
