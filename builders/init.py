"""A first config: looks at folders, recognises what they are, and writes it down with comments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.replacing import replaced
from occlufer.schema import LABEL_SYNONYMS

from .detection import datasets_in
from .detectors import open_detector
from .faces import faces_in
from .pixels import BadImageError, decode_rgb, read_bytes
from .sources import huggingface, image_folder, table
from .sources.adapters import ADAPTERS, recognised
from .sources.entry import Entry
from .sources.files import (
    IMAGE_SUFFIXES,
    fault,
    folders,
    is_system,
    name_of,
    source_folder,
    walk,
)
from .sources.labels import quoted
from .sources.row_facts import SPLIT_WORDS

# Where half of the faces fill less of their picture than this, the pictures are photographs.
CROP_FILL_RATIO = 0.6
LOOKED_AT = 24
ROWS_LOOKED_AT = 100_000
# More words than this are no classes.
WORDS_MAPPED = 30
# The kinds whose rows say what they are: their columns are looked at.
TABLES: dict[str, Any] = {"huggingface": huggingface, "table": table}

T = TypeVar("T")

HEADER = """\
# What `occlufer build` shall do. Paths are relative to this file.
# Leave out what you do not want to change; unknown keys are refused.

# out = "occlu_fer"          # the published folder
# workspace = ".occlufer"    # the catalog and the images, kept between builds
# seed = 0                   # of the split
# weights_dir = "weights"    # YuNet's, if not where `occlufer weights pull yunet` puts them

# [split]
# validation_share = 0.114   # of every class; Table 1's by default
"""


def write_config(paths: list[Path], config: Path, force: bool = False) -> list[tuple[Path, str]]:
    """Write `config` for the datasets at `paths`, or in the folders of the current folder.

    Returns (path, what it was recognised as). Raises MissingError if a folder is missing or
    nothing is recognised, UsageError if `config` is there already and not to be replaced.
    """
    if config.exists() and not force:
        raise UsageError(f"{config}: is there already; --force writes over it")
    found = [table for path in paths or [Path()] for table in _tables(path, bool(paths))]
    if not found:
        where = ", ".join(str(path) for path in paths) or "the current folder"
        raise MissingError(f"{where}: found no folder with images in it; name your dataset folders")
    asked = sorted({kind for _, _, kind, _ in found if _must_accept(kind)})
    texts = [*_questions(asked), HEADER]
    names: set[str] = set()
    for path, what, kind, lines in found:
        name = _unique(path.stem if path.is_file() else path.resolve().name, names)
        place = _place(path, config.resolve().parent)
        said = ["[[sources]]", f"kind = {quoted(kind)}", f"name = {quoted(name)}"]
        said += [f"path = {quoted(place)}", *lines]
        texts.append(f"# {what}\n" + "\n".join(said) + "\n")
    with replaced(config) as part:
        part.write_text("\n".join(texts), encoding="utf-8")
    return [(path, what) for path, what, _, _ in found]


def _must_accept(kind: str) -> bool:
    terms = ADAPTERS[kind].TERMS
    return terms is not None and terms.must_accept


def _questions(kinds: list[str]) -> list[str]:
    """Return the comment, if any, that asks whether the terms of these sets are accepted."""
    if not kinds:
        return []
    asked = [terms for kind in kinds if (terms := ADAPTERS[kind].TERMS) is not None]
    lines = [f"# {terms.title}: {terms.licence}." for terms in asked]
    accepted = ", ".join(map(quoted, kinds))
    lines += ["# Once you hold them under these terms, take the # off the next line."]
    return ["\n".join([*lines, f"# accept_terms = [{accepted}]", ""])]


def _place(path: Path, folder: Path) -> str:
    """Return the path as seen from the config, or whole where that would be a long way round."""
    relative = Path(os.path.relpath(path.resolve(), folder)).as_posix()
    try:
        relative.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name_of(path)}: the name is no UTF-8, rename the folder") from None
    if relative.startswith("~"):
        return f"./{relative}"  # a name, no home folder
    return path.resolve().as_posix() if relative.startswith("../../") else relative


Found = tuple[Path, str, str, list[str]]


def _tables(path: Path, named: bool) -> Iterator[Found]:
    """Yield the config tables for `path`, or for the folders in it if it is none itself."""
    if path.is_file():
        found = _table(path)
        if found is None:
            formats = ", ".join(table.FORMATS)
            raise UsageError(
                f"{path}: found a file, expected a folder or a table of pictures ({formats})"
            )
        yield found
        return
    source_folder(path, "expected a dataset folder")
    found = _table(path) if named else None
    if found is not None and not _holds_datasets(path):
        yield found
        return
    inner = [path / name for name in folders(path) if not name.startswith(".")]
    yield from (found for found in map(_table, inner) if found is not None)


def _holds_datasets(path: Path) -> bool:
    """Return whether a folder without classes is a shelf of datasets rather than one."""
    return not recognised(path) and bool(datasets_in(path))


def _table(path: Path) -> Found | None:
    found = recognised(path)
    if found is not None:
        kind, what = found
        if ADAPTERS[kind].TERMS is not None:
            return path, what, kind, []
        if kind in TABLES:
            return path, what, kind, _lines_of_rows(path, kind)
    return None if path.is_file() else _image_folder(path)


def _image_folder(path: Path) -> Found | None:
    images = _spread_out(_images(path))
    if not images:
        return None
    lines = _stated([partial(read_bytes, image) for image in images])
    if path.name.lower() in SPLIT_WORDS:
        lines.append(f"source_split = {quoted(path.name)}")  # or a test would train
    classes = image_folder.detect(path)
    if classes is None:
        return path, "images without classes", "image_folder", [*lines, 'labels = "none"']
    words = (name for name in folders(path) if not is_system(name))
    unknown = [word for word in words if word.lower() not in LABEL_SYNONYMS]
    return path, classes, "image_folder", [*lines, *_label_map(unknown)]


def _lines_of_rows(path: Path, kind: str) -> list[str]:
    """Return what to say of a dataset whose rows have columns; what is wrong, the build says."""
    adapter, lines = TABLES[kind], []
    settings = adapter.Settings(path)
    try:
        unknown = list(adapter.unknown(settings))
    except MissingError:
        return _stated([])
    except UsageError:
        unknown = []
        settings = replace(settings, label_column="")
        lines = ['label_column = ""   # or the name of the column that holds labels']
    if len(unknown) > WORDS_MAPPED:
        settings = replace(settings, label_column="")
        lines = [f'label_column = ""   # the one found has {len(unknown)} words that are no class']
    elif unknown:
        settings = replace(settings, label_map=dict.fromkeys(unknown, "unlabelled"))
        lines = _label_map(unknown)
    try:
        entries = islice(adapter.entries(settings, path.stem), ROWS_LOOKED_AT)
        pictures = [_picture(entry) for entry in _spread_out(entries) if entry.reject is None]
    except OccluferError:
        pictures = []
    return [*_stated(pictures), *lines]


def _picture(entry: Entry) -> Callable[[], bytes]:
    return lambda: entry.read().data


def _stated(pictures: list[Callable[[], bytes]]) -> list[str]:
    """Return what only the user knows of a dataset, with a guess where pictures allow one."""
    content = 'content = "crop"   # or "photograph": the face is cut out'
    if _content(pictures) == "photograph":
        content = 'content = "photograph"   # or "crop": every picture is one face already'
    return [content, '# licence = "..."      # the terms you have these pictures under']


def _label_map(words: list[str]) -> list[str]:
    if not words:
        return []
    mapped = ", ".join(f'{quoted(word)} = "unlabelled"' for word in words)
    return [f"label_map = {{ {mapped} }}   # say what these are, or leave them unlabelled"]


def _images(path: Path) -> Iterator[Path]:
    return (f for f in walk(path) if f.suffix.lower() in IMAGE_SUFFIXES and not fault(f, path))


def _spread_out(items: Iterable[T]) -> list[T]:
    """Return at most LOOKED_AT of the items, evenly spaced: folders often begin with one kind."""
    kept: list[T] = []
    step = 1
    for number, item in enumerate(items):
        if number % step == 0:
            kept.append(item)
        if len(kept) == 2 * LOOKED_AT:
            kept, step = kept[::2], 2 * step
    count = min(len(kept), LOOKED_AT)
    return [kept[i * len(kept) // count] for i in range(count)]


def _content(pictures: list[Callable[[], bytes]]) -> str:
    """Return "crop" or "photograph": what most of these pictures are, by their main faces."""
    detect = open_detector("mtcnn", None).detect
    ratios = []
    for read in pictures:
        try:
            image_rgb = decode_rgb(read())
        except (OSError, BadImageError):
            continue  # the build will say what is wrong with it
        height, width = image_rgb.shape[:2]
        for face in faces_in(image_rgb, detect)[:1]:
            x0, y0, x1, y1 = face.box_xyxy_px
            ratios.append(max(x1 - x0, y1 - y0) / min(width, height))
    return "crop" if not ratios or median(ratios) >= CROP_FILL_RATIO else "photograph"


def _unique(name: str, taken: set[str]) -> str:
    kept = "".join(c if f"_{c}".isidentifier() or c == "-" else "_" for c in name)
    clean = kept.strip("_-") or "source"
    clean = clean if clean[0].isidentifier() else f"set_{clean}"
    number, candidate = 1, clean
    while candidate in taken:
        number += 1
        candidate = f"{clean}_{number}"
    taken.add(candidate)
    return candidate
