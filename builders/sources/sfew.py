"""SFEW 2.0: frames of films, whole or as the faces that its authors cut out and aligned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from occlufer.errors import MissingError

from . import class_tree
from .class_tree import Split, Steps, Tree
from .entry import Entry
from .files import source_folder
from .terms import Terms

NAME = re.compile(r"(?<![a-z])sfew", re.IGNORECASE)
# The film, the time, the number of the frame: Airheads_000519240_00000005.png
FRAME_NAME = re.compile(r".+_\d{9}_\d{8}\.png", re.IGNORECASE)
LOOKED_AT = 3
TRAIN = Split("train")
# The labels of the test are its authors' secret: people compare on the validation.
VALIDATION = Split("validation", "SFEW 2.0 validation")
TEST = Split("test", "SFEW 2.0 test", labelled=False)
FOLDERS = {
    "aligned": {
        "train_aligned_faces": TRAIN,
        "val_aligned_faces": VALIDATION,
        "val_aligned_faces_new": VALIDATION,
        "test_aligned_faces": TEST,
    },
    "frames": {"train": TRAIN, "val": VALIDATION, "test": TEST},
}
CONTENT = {"aligned": "crop", "frames": "photograph"}
WORDS = {"aligned": "aligned faces", "frames": "whole frames"}
CLASSES = {
    "Angry": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}
TERMS = Terms(
    title="SFEW 2.0",
    licence="SFEW 2.0 (given by its authors on request; terms not verified: no redistribution)",
    attribution=(
        "Dhall et al., Static Facial Expression Analysis in Tough Conditions, ICCV Workshops 2011; "
        "Dhall et al., Video and Image based Emotion Recognition Challenges in the Wild: "
        "EmotiW 2015, ICMI 2015"
    ),
    where="ask its authors for SFEW 2.0, see cs.anu.edu.au/few/AFEW.html",
    must_accept=True,
)
GET = {
    "aligned": "expected Train_Aligned_Faces/, Val_Aligned_Faces/ and Test_Aligned_Faces/, the "
    f"first two with Angry/ and its siblings; {TERMS.where}",
    "frames": "expected Train/, Val/ and Test/, the first two with Angry/ and its siblings; "
    f"{TERMS.where}",
}


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "sfew"."""

    path: Path
    """The folder that holds Train_Aligned_Faces or Train and its siblings, or the one above."""
    pictures: str = "aligned"
    """"aligned": the faces as the authors cut them out; "frames": whole frames, to be cut."""

    def __post_init__(self) -> None:
        """Check the choice."""
        if self.pictures not in FOLDERS:
            raise ValueError(f"pictures: found {self.pictures!r}, expected aligned or frames")


def tree_of(pictures: str) -> Tree:
    """Return the layout, in which the files of the other kind of pictures are left out."""
    splits = {
        folder: split if kind == pictures else replace(split, left_out=f'pictures = "{pictures}"')
        for kind, inner in FOLDERS.items()
        for folder, split in inner.items()
    }
    return Tree(splits, CLASSES, TERMS, GET[pictures], NAME, CONTENT[pictures])


def detect(path: Path) -> str | None:
    """Return which pieces were recognised, else None.

    The marks are the set's name or *_Aligned_Faces with class folders; of frames and of a test
    alone, which other sets name alike, how their files are called.
    """
    if not path.is_dir():
        return None
    tree = tree_of("aligned")
    root = class_tree.set_folder(path, tree, alone=True)
    found = class_tree.class_folders(root, tree)
    known = class_tree.labels_of(tree)
    classed = [steps for steps, words in found.items() if any(w.lower() in known for w in words)]
    tests = [steps for steps in found if tree.splits[steps[-1].lower()].name == "test"]
    if not (classed or tests) or not (
        class_tree.is_called(root, tree)
        or any(_pictures(steps) == "aligned" for steps in classed)
        or all(_are_frames_of_films(root.joinpath(*steps)) for steps in {*classed, *tests})
    ):
        return None
    kinds = [kind for kind in FOLDERS if any(_pictures(steps) == kind for steps in found)]
    return "SFEW 2.0, " + "; ".join(f"{WORDS[kind]}: {_told(found, kind)}" for kind in kinds)


def _told(found: Mapping[Steps, list[str]], kind: str) -> str:
    inner = {steps: words for steps, words in found.items() if _pictures(steps) == kind}
    tree = tree_of(kind)
    own = {folder: split for folder, split in tree.splits.items() if not split.left_out}
    return class_tree.told(inner, replace(tree, splits=own))


def _are_frames_of_films(folder: Path) -> bool:
    names = [path.name for path in class_tree.first_files(folder, LOOKED_AT)]
    return bool(names) and all(map(FRAME_NAME.fullmatch, names))


def _pictures(steps: Steps) -> str:
    return "aligned" if steps[-1].lower() in FOLDERS["aligned"] else "frames"


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a file at a time, sorted by path under the set's folder.

    Raises MissingError if there is no split or no class, or only pictures of the other kind, and
    UsageError if the layout is another one.
    """
    chosen = settings.pictures
    tree = tree_of(chosen)
    root = class_tree.set_folder(source_folder(settings.path, GET[chosen]), tree)
    found = class_tree.class_folders(root, tree)
    classed = {_pictures(steps) for steps, words in found.items() if words}
    kinds = classed or {_pictures(steps) for steps in found}
    if kinds and chosen not in kinds:
        (other,) = kinds
        there = ", ".join("/".join(steps) for steps in found if _pictures(steps) == other)
        raise MissingError(
            f'{root}: found {WORDS[other]} only ({there}), which pictures = "{other}" takes; '
            f"{GET[chosen]}"
        )
    return class_tree.entries(root, tree, name)
