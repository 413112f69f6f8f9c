"""CAER-S: `train/` and `test/` with a folder per class of whole frames of television series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import class_tree
from .class_tree import Split, Tree
from .entry import Entry
from .files import source_folder
from .terms import Terms

# Another set, NCAER-S, divides the same frames anew.
NAME = re.compile(r"(?<![a-z])caer[-_ ]?s(?![a-z])", re.IGNORECASE)
SPLITS = {"train": Split("train"), "test": Split("test", "CAER-S test")}
CLASSES = {
    "Anger": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}
FRAME_SIZE_PX = (712, 400)
LOOKED_AT = 3
TERMS = Terms(
    title="CAER-S",
    licence="CAER-S (terms not verified: no redistribution)",
    attribution="Lee et al., Context-Aware Emotion Recognition Networks, ICCV 2019",
    where="see caer-dataset.github.io",
    must_accept=False,
)
GET = f"expected train/ and test/ with Anger/ and its siblings; {TERMS.where}"
TREE = Tree(SPLITS, CLASSES, TERMS, GET, NAME, content="photograph")


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "caer_s"."""

    path: Path
    """The folder CAER-S with train/ and test/, or the one that holds it."""


def detect(path: Path) -> str | None:
    """Return which pieces were recognised, else None.

    The set is told from others with the same folders by its name, or by the size of its frames.
    """
    if not path.is_dir():
        return None
    root = class_tree.set_folder(path, TREE, alone=True)
    found = class_tree.class_folders(root, TREE)
    words = {word for inner in found.values() for word in inner}
    if class_tree.is_called(root, TREE):
        known = any(word.lower() in class_tree.labels_of(TREE) for word in words)
    else:
        known = bool(words) and words <= set(CLASSES)
        known = known and all(_are_frames(root.joinpath(*steps)) for steps in found)
    return f"CAER-S, {class_tree.told(found, TREE)}" if known else None


def _are_frames(folder: Path) -> bool:
    return class_tree.first_sizes_px(folder, LOOKED_AT) == {FRAME_SIZE_PX}


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a file at a time, sorted by path under the set's folder.

    Raises MissingError if there is no split or no class, UsageError if the layout is another one.
    """
    root = class_tree.set_folder(source_folder(settings.path, GET), TREE)
    return class_tree.entries(root, TREE, name)
