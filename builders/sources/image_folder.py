"""Any folder of images: `<class>/*.jpg`, or images without classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from occlufer.errors import MissingError, UsageError
from occlufer.record import Facts, Reject
from occlufer.schema import LABEL_SYNONYMS

from ..licences import read_rights
from .entry import Entry, read_file
from .files import (
    SYSTEM_FILE,
    fault,
    folders,
    is_system,
    name_of,
    source_folder,
    stamp_of,
    walk,
)
from .labels import label_of, read_label_map, said
from .row_facts import SPLIT_WORDS, check_stated, split_of, test_set_of

TERMS = None
GET = 'expected a folder of images, `<class>/*.jpg` or any with labels = "none"'


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "image_folder"."""

    path: Path
    """The folder."""
    labels: str = "folder"
    """"folder": the folders in it are the classes; "none": its images have no labels."""
    label_map: dict[str, str] = field(default_factory=dict)
    """Class folder = our label, or "unlabelled", where the folder's name does not say it."""
    content: str = "crop"
    """"crop": every picture is one face, published as it is; "photograph": the face is cut out."""
    source_split: str = ""
    """Which split of the original set this is, e.g. "train" or "test", if any."""
    test_set: str = ""
    """The benchmark's test set that this is, if any: it never trains. A "test" split is one."""
    licence: str = "unknown"
    """The terms, as an SPDX name, a URL or words."""
    rights: str = ""
    """"publishable", "index_only" or "blocked"; default: what the licence allows."""
    attribution: str = ""
    """Whom to name."""

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.labels not in ("folder", "none"):
            raise ValueError(f"labels: found {self.labels!r}, expected folder or none")
        check_stated(self)


def detect(path: Path) -> str | None:
    """Return what was recognised if the folder holds class folders, else None."""
    if not path.is_dir():
        return None
    classes = [name for name in folders(path) if name.lower() in LABEL_SYNONYMS]
    return f"{len(classes)} class folders: {', '.join(classes)}" if classes else None


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield every file under the folder, images or not, sorted by class and path.

    Raises MissingError if the folder is missing or holds no file, UsageError for a class folder
    whose name says nothing.
    """
    root = source_folder(settings.path, GET)
    labels = _labels(settings, root)
    found = False
    for path in walk(root):
        found = True
        yield _entry(path, root, labels, settings, name)
    if not found:
        raise MissingError(f"{root}: found no file in it; {GET}")


def _labels(settings: Settings, root: Path) -> dict[str, str | None]:
    """Return {class folder: label}, checked before anything is read."""
    if settings.labels == "none":
        return {}
    label_map = read_label_map(settings.label_map)
    words = [name for name in folders(root) if not is_system(name)]
    splits = [name for name in words if name.lower() in SPLIT_WORDS]
    if splits and not any(name.lower() in label_map for name in splits):
        raise UsageError(
            f"{root}: found the folders {', '.join(splits)}, expected class folders; "
            f'make each a source of its own: path = "{root / splits[0]}", '
            f'source_split = "{splits[0]}"'
        )
    return {word: label_of(word, label_map, str(root / word)) for word in words}


def _entry(
    path: Path, root: Path, labels: dict[str, str | None], settings: Settings, name: str
) -> Entry:
    inner = path.relative_to(root)
    reject = fault(path, root)
    if settings.labels == "folder":
        reject = reject or _misplaced(inner, root)
    label = labels.get(inner.parts[0])
    facts = Facts(
        **said(name, {label: 1} if label else {}),
        source_label=inner.parts[0] if inner.parts[0] in labels else None,
        content=settings.content,
        source_split=split_of(settings.source_split),
        test_set=test_set_of(settings.source_split, settings, name, splits_say=False),
        licence=settings.licence,
        attribution=settings.attribution,
        rights=read_rights(settings.rights, settings.licence),
    )
    return Entry(name_of(inner), stamp_of(path), facts, partial(read_file, path), reject)


def _misplaced(inner: Path, root: Path) -> Reject | None:
    """Return why a file is in no class, judged by where it lies; None if it is in one."""
    if len(inner.parts) == 1:
        return Reject("no_class", f"lies beside the class folders of {root.name}/")
    return SYSTEM_FILE if is_system(inner.parts[0]) else None
