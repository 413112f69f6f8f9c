"""ExpW: photographs from the web, and a list of the faces in them with their boxes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from occlufer.errors import MissingError
from occlufer.record import Facts, Reject

from ..cut import Box, cut_out
from ..pixels import MAX_PIXELS, MIN_SIDE_PX, BadImageError, decode_rgb, encode_png, read_bytes
from .entry import Entry, Reading, read_nothing, text_stamp
from .files import source_folder, stamp_of
from .labels import said
from .named_files import named_file
from .rows import Line, lines
from .terms import Terms

# Order of the list's last column.
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
COLUMNS = "image_name face_id top left right bottom confidence label"
HEADER_WORD = "image_name"  # the release has no header, tables made from it do
# Where the release has the list, and where copies of it have list and pictures.
LISTS = ("label.lst", "label/label.lst")
PICTURES = ("image/origin", "image", "origin")
# As in angry_actor_104.jpg: the words by which the picture was searched for, and a number.
IMAGE_NAME = re.compile(r"[a-z]+(_[a-z]+)*_\d+\.jpg")
ARCHIVE = re.compile(r"\.(7z|zip|rar|tar|tgz|gz)(\.\d+)*$|\.z\d+$", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?\d{1,7}(\.\d*)?(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
LOOKED_AT = 20
TERMS = Terms(
    title="ExpW",
    licence="ExpW (terms not verified: no redistribution)",
    attribution=(
        "Zhang et al., From Facial Expression Recognition to Interpersonal Relation Prediction, "
        "IJCV 2018"
    ),
    where="see mmlab.ie.cuhk.edu.hk/projects/socialrelation",
    must_accept=False,
)
GET = f"expected label.lst, and its pictures in image/; {TERMS.where}"


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "expw"."""

    path: Path
    """The folder that holds label.lst and image/."""
    margin: float = 0.25
    """What a crop keeps around the face's box, as a share of its longer side."""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.margin <= 2:
            raise ValueError(f"margin: found {self.margin}, expected 0 to 2")


def detect(path: Path) -> str | None:
    """Return what was recognised: the list by its rows, or the pictures by where they lie."""
    if not path.is_dir():
        return None
    found = [name for name in LISTS if (path / name).is_file() and _is_list(path / name)]
    places = [f"{name}/" for name in PICTURES if _holds_pictures(path / name)]
    if found:
        return f"ExpW, {found[0]} {f'with {places[0]}' if places else 'without its pictures'}"
    packed = [name for name in _archives(path) if Path(name).name.startswith("origin.7z.0")]
    if packed or _looks_like_expw(path / "image/origin"):
        return f"ExpW, {(packed or places)[0]} without a readable label.lst"
    return None


def _is_list(path: Path) -> bool:
    # The first rows may be damaged.
    return any(not _row_fault(_tokens(line.text)) for line in islice(lines(path), LOOKED_AT))


def _looks_like_expw(folder: Path) -> bool:
    names = list(islice(_names(folder), LOOKED_AT))
    return bool(names) and all(map(IMAGE_NAME.fullmatch, names))


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the list, which is one face in a photograph, at a time.

    Raises MissingError if the list is not there, or no folder with pictures.
    """
    root = source_folder(settings.path, GET)
    found = next((root / inner for inner in LISTS if (root / inner).is_file()), None)
    if found is None:
        raise MissingError(f"{root}: found no label.lst in it or in label/, {GET}")
    rows = lines(found)
    first = next(rows, None)
    if first is None:
        raise MissingError(f"{found}: found an empty file; {GET}")
    places = _picture_folders(root)
    headless = first.text.split()[:1] != [HEADER_WORD]
    for line in chain([first], rows) if headless else rows:
        yield _entry(line, found, places, settings, name)


def _picture_folders(root: Path) -> list[Path]:
    places = [root / inner for inner in PICTURES if _holds_pictures(root / inner)]
    if places:
        return places
    expected = "expected the pictures in image/ or image/origin/"
    packed = list(_archives(root))
    if packed:
        raise MissingError(
            f"{root}: found {', '.join(packed[:3])}, not unpacked, {expected}: unpack it, a split "
            "archive by its first part"
        )
    raise MissingError(f"{root}: found no picture, {expected}; {TERMS.where}")


def _holds_pictures(folder: Path) -> bool:
    # Stops at the first picture: there are 90 000.
    return any(not ARCHIVE.search(name) and name != "origin" for name in _names(folder))


def _archives(root: Path) -> Iterator[str]:
    for inner in ("", "image"):
        names = sorted(islice(_names(root / inner), 1000))
        yield from (f"{inner}/{n}".lstrip("/") for n in names if ARCHIVE.search(n))


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        with os.scandir(folder) as found:
            yield from (entry.name for entry in found if not entry.name.startswith("."))


def _entry(line: Line, listed: Path, places: list[Path], settings: Settings, name: str) -> Entry:
    row = _tokens(line.text)
    place = f"{listed.name}, line {line.number}"
    stamp = text_stamp(line.text)
    fault = line.fault or _row_fault(row)
    if fault:
        reject = Reject("malformed_row", fault)
        return Entry(f"line {line.number}", stamp, _facts(name), read_nothing, reject, place)
    image_name, face_id, *numbers, label = row
    top, left, right, bottom, _ = map(float, numbers)
    path, no_file = _picture(image_name, places, settings.path)
    source_id = f"{image_name}:{face_id}"
    facts = _facts(name, LABELS[int(label)], label, image_name)
    if path is None or no_file is not None:
        return Entry(source_id, stamp, facts, read_nothing, no_file, place)
    read = partial(read_face, path, (left, top, right, bottom), settings.margin)
    return Entry(source_id, f"{stamp_of(path)}:{stamp}", facts, read, None, place)


def _tokens(text: str) -> list[str]:
    # From the right: only the image name may have blanks in it.
    return text.strip().rsplit(None, 7)


def _row_fault(row: list[str]) -> str:
    """Return why the tokens are no row of the list; whether the box lies in the picture is open."""
    if len(row) != 8:
        return f"found {len(row)} words, expected 8: {COLUMNS}"
    _, face_id, *numbers, label = row
    if not (face_id.isascii() and face_id.isdigit()):
        return f"found the face_id {face_id[:20]!r}, expected a number from 0 on"
    for column, number in zip(COLUMNS.split()[2:7], numbers, strict=True):
        if not NUMBER.fullmatch(number):
            return f"found {column} {number[:20]!r}, expected a number"
    top, left, right, bottom, _ = map(float, numbers)
    if left >= right or top >= bottom:
        return f"found the box {_words((left, top, right, bottom))}, expected one that is not empty"
    if label not in ("0", "1", "2", "3", "4", "5", "6"):
        return f"found label {label[:20]!r}, expected 0 to 6"
    return ""


def _picture(name: str, places: list[Path], root: Path) -> tuple[Path | None, Reject | None]:
    for place in places:
        path, fault = named_file(name, place, root)
        if fault is None or fault.reason != "missing_file":
            return path, fault
    where = " or ".join(f"{place.relative_to(root).as_posix()}/" for place in places)
    return path, Reject("missing_file", f"expected {name[:200]} in {where}")


def read_face(path: Path, box_xyxy_px: Box, margin: float) -> Reading:
    """Return a face as PNG, cut out of its photograph with a margin.

    What of the box lies outside the photograph is left off first. Raises BadImageError if nothing
    is left of it, or too little, or if the file is no picture.
    """
    image_rgb = decode_rgb(read_bytes(path))
    height, width = image_rgb.shape[:2]
    left, top, right, bottom = box_xyxy_px
    box = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    sides = box[2] - box[0], box[3] - box[1]
    if min(sides) <= 0:
        raise BadImageError(
            "malformed_row",
            f"found the box {_words(box_xyxy_px)}, expected one in the picture of {width}x{height}",
        )
    if min(sides) < MIN_SIDE_PX:
        raise BadImageError(
            "too_small",
            f"found a face of {sides[0]:g}x{sides[1]:g}, expected sides >= {MIN_SIDE_PX} px",
        )
    # A long strip of a picture would be cut out as a huge square.
    if (square := math.ceil(max(sides) * (1 + 2 * margin)) ** 2) > MAX_PIXELS:
        raise BadImageError(
            "too_many_pixels", f"found a face of {square} with its margin, expected <= {MAX_PIXELS}"
        )
    crop, _, _ = cut_out(image_rgb, box, margin)
    return Reading(encode_png(crop))


def _words(box_xyxy_px: Box) -> str:
    left, top, right, bottom = box_xyxy_px
    return f"top {top:g}, left {left:g}, right {right:g}, bottom {bottom:g}"


def _facts(
    name: str, label: str | None = None, there: str | None = None, image_name: str | None = None
) -> Facts:
    return Facts(
        **said(name, {label: 1} if label else {}),
        source_label=there,
        source_name=image_name,
        licence=TERMS.licence,
        attribution=TERMS.attribution,
        rights=TERMS.rights,
    )
