"""Occlusion lists: which pictures of public test sets are known to be occluded.

Those of RAN (Wang et al. 2020), in the forms they are in; its pose lists can be given in their
place. They name pictures, so a name is joined to records whose `source_name` it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from occlufer.config import ListsConfig
from occlufer.errors import MissingError, UsageError

from ..sources.rows import Line, lines

CITATION = (
    "Wang, Peng, Yang, Meng and Qiao, Region Attention Networks for Pose and Occlusion Robust "
    "Facial Expression Recognition, IEEE TIP 2020"
)
WHERE = "see github.com/kaiwang960112/Challenge-condition-FER-dataset"


@dataclass(frozen=True)
class ListForm:
    """How the lists of one set look."""

    kind: str
    """The kind of the sources whose pictures it names."""
    what: str
    """What the subset is, as the card says it."""
    file: str
    """How RAN calls the file."""
    example: str
    line: re.Pattern[str]
    """Its group "name" is the picture's name; the rest is checked and left."""


# Labels before a name or behind it count as each set's users do, from 0; types are undocumented.
FORMS = {
    "raf_db_occlu": ListForm(
        "raf_db",
        "pictures of RAF-DB's test set with an occluded face",
        "RAF_DB_dir/rafdb_occlusion_list.txt",
        "test_0003_aligned 3 4",
        re.compile(
            r"([0-6]/)?(?P<name>(test|train)_[0-9]+)(_aligned)?(\.[a-z]{3,4})?(\s+[0-6]\s+[0-4])?"
        ),
    ),
    "ferplus_occlu": ListForm(
        "ferplus",
        "pictures of FERPlus's test set with an occluded face",
        "FERplus_dir/jianfei_occlusion_list.txt",
        "1_fer0034656.png 8 0",
        re.compile(r"([0-7][_/])?(?P<name>fer[0-9]{7})(\.[a-z]{3,4})?(\s+[0-8]\s+[0-4])?"),
    ),
    "affectnet_occlu": ListForm(
        "affectnet",
        "pictures of AffectNet's validation set, first release, with an occluded face",
        "AffectNet_dir/occlusion_affectnet_list.txt",
        "val/0/bc9ad400db82eca1882b11c9603348fb3e92f5b0d67391ac22a1bc79/",
        re.compile(
            r"((val|train)/)?[0-7]/(?P<name>[0-9a-f]{16,})(/([0-9]+\.[a-z]{3,4})?|\.[a-z]+)?"
        ),
    ),
}


@dataclass(frozen=True)
class Listed:
    """What a list names; each of its lines is in one place."""

    names: dict[str, Line]
    """{name: the first line that holds it}"""
    duplicates: list[Line]
    """Lines whose name was listed before."""
    faults: list[Line]
    """Lines that name no picture; their `fault` says why."""


@dataclass(frozen=True)
class OcclusionList:
    """One list of the config."""

    name: str
    """One of FORMS."""
    file: str
    """The file's name, for messages."""
    sha256: str
    listed: Listed

    @property
    def form(self) -> ListForm:
        """How its lines look."""
        return FORMS[self.name]


def read_lines(found: Iterable[Line], form: ListForm) -> Listed:
    """Return what the lines name."""
    listed = Listed({}, [], [])
    for line in found:
        match = None if line.fault else form.line.fullmatch(line.text.strip())
        if match is None:
            fault = line.fault or f"found {line.text.strip()[:60]!r}, expected e.g. {form.example}"
            listed.faults.append(dataclasses.replace(line, fault=fault))
        elif match["name"] in listed.names:
            listed.duplicates.append(line)
        else:
            listed.names[match["name"]] = line
    return listed


def read_lists(config: ListsConfig) -> tuple[OcclusionList, ...]:
    """Return the lists that the config gives.

    Raises MissingError for a file that is not there, UsageError for one that cannot be read or
    names no picture.
    """
    paths = {name: getattr(config, name) for name in FORMS}
    return tuple(_read_list(name, path) for name, path in paths.items() if path is not None)


def _read_list(name: str, path: Path) -> OcclusionList:
    form = FORMS[name]
    try:
        data = path.read_bytes()
        listed = read_lines(lines(path), form)
    except FileNotFoundError:
        raise MissingError(
            f"[lists] {name}: {path}: no such file, expected RAN's {form.file}; {WHERE}"
        ) from None
    except OSError as error:
        raise UsageError(
            f"[lists] {name}: {path}: cannot be read ({error.strerror}), expected RAN's {form.file}"
        ) from None
    if not listed.names:
        first = f"line {listed.faults[0].number}: {listed.faults[0].fault}" if listed.faults else ""
        raise UsageError(
            f"[lists] {name}: {path}: found no line that names a picture, "
            f"{first or f'expected e.g. {form.example}'}"
        )
    return OcclusionList(name, path.name, hashlib.sha256(data).hexdigest(), listed)
