"""AffectNet's later release: a picture and its arrays, by number."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from occlufer.errors import MissingError
from occlufer.record import Reject

from .affectnet_labels import CLASSES, TERMS, facts
from .entry import Entry, read_file, read_nothing
from .files import fault, name_of, stamp_of
from .named_files import own_folder

SPLITS = {"val_set": "validation", "train_set": "train"}
IMAGES, ANNOTATIONS = "images", "annotations"
WANTED = tuple(f"{split}/{folder}" for split in SPLITS for folder in (IMAGES, ANNOTATIONS))
LABEL_END = "_exp.npy"
# A label is an array of 132 bytes.
MAX_LABEL_BYTES = 4_096


def pieces(root: Path) -> list[str]:
    """Return which pieces of the release lie at `root`, as paths under it."""
    return [folder for folder in WANTED if (root / folder).is_dir()]


def files(root: Path, name: str) -> Iterator[Entry]:
    """Yield a picture at a time, then the labels whose picture is gone.

    Raises MissingError for a set that lacks its pictures or its annotations.
    """
    found = pieces(root)
    splits = [split for split in SPLITS if any(piece.startswith(split) for piece in found)]
    for split in splits:
        for piece in (f"{split}/{IMAGES}", f"{split}/{ANNOTATIONS}"):
            if piece not in found:
                raise MissingError(
                    f"{root}: found {', '.join(found)}, expected {piece}/; {TERMS.where}"
                )
            own_folder(root / piece, root)
    for split in splits:
        # Names only: 300 000 of them are 20 MB.
        names = _names(root / split / IMAGES)
        for picture in names:
            yield _entry(root / split, picture, root, name)
        yield from _without_picture(root / split, names, name)


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found)


def _entry(folder: Path, picture: str, root: Path, name: str) -> Entry:
    path = folder / IMAGES / picture
    stem = path.stem
    annotation = folder / ANNOTATIONS / f"{stem}{LABEL_END}"
    reject = fault(path, root)
    if reject and path.is_dir():
        reject = Reject("not_a_file", "found a folder, expected a picture")
    number = None if reject else read_label(annotation, root)
    if isinstance(number, Reject):
        number, reject = None, number
    stamp = f"{stamp_of(path)}:{stamp_of(annotation)}"
    if reject and reject.reason == "unreadable":
        stamp = ""  # it is tried again, as gather does with a picture
    return Entry(
        name_of(path.relative_to(root)),
        stamp,
        facts(name, number, name_of(Path(stem)), SPLITS[folder.name]),
        partial(read_file, path),
        reject,
    )


def _without_picture(folder: Path, names: list[str], name: str) -> Iterator[Entry]:
    stems = {Path(picture).stem for picture in names}
    with os.scandir(folder / ANNOTATIONS) as found:
        labels = (entry.name for entry in found if entry.name.endswith(LABEL_END))
        alone = sorted(label for label in labels if label.removesuffix(LABEL_END) not in stems)
    for label in alone:
        path = folder / ANNOTATIONS / label
        stem = name_of(Path(label.removesuffix(LABEL_END)))
        yield Entry(
            name_of(path.relative_to(folder.parent)),
            stamp_of(path),
            facts(name, None, stem, SPLITS[folder.name]),
            read_nothing,
            Reject("missing_file", f"expected {folder.name}/{IMAGES}/{stem}.jpg"),
        )


# Labels -------------------------------------------------------------------------------------------


def read_label(path: Path, root: Path) -> str | Reject:
    """Return the label's number in an _exp.npy file, or why there is none."""
    shown = name_of(Path(path.name))
    reject = fault(path, root)
    if reject is not None:
        if not os.path.lexists(path):
            return Reject("no_class", f"expected its label in {ANNOTATIONS}/{shown}")
        return Reject(reject.reason, f"{shown}: {reject.detail}")
    try:
        with path.open("rb") as file:
            number = only_value(file.read(MAX_LABEL_BYTES + 1))
    except OSError as error:
        return Reject("unreadable", f"{shown}: {error.strerror}")
    except ValueError as error:
        return Reject("malformed_file", f"{shown}: {error}")
    if number not in CLASSES:
        return Reject(
            "malformed_file", f"{shown}: found the label {number[:20]!r}, expected 0 to 7"
        )
    return number


# numpy takes 100 us for a file, and 290 000 files have eight contents.
@lru_cache(maxsize=256)
def only_value(data: bytes) -> str:
    """Return the one text or whole number of an .npy file; raises ValueError for anything else."""
    if len(data) > MAX_LABEL_BYTES:
        raise ValueError(f"found over {MAX_LABEL_BYTES} bytes, expected one number")
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a header is parsed as Python, which fails in many ways
        raise ValueError("found no array that numpy reads, expected one number") from error
    if not isinstance(array, np.ndarray):
        raise ValueError("found an archive of arrays, expected one number")
    if array.shape != () or array.dtype.kind not in "Uiu":
        raise ValueError(f"found {array.dtype} in the shape {array.shape}, expected one number")
    return str(array[()])
