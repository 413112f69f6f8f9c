"""The teacher's faces: photographs without occluders, each with a mesh, by identity."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError

Floats = NDArray[np.float32]

PICTURES, MESHES, MANIFEST = "parser_faces.zip", "parser_faces_mesh478.npz", "MANIFEST.tsv"
# Every tenth nameless person is held out; named ones are if the benchmark's pictures show them.
HELD_OUT_SHARE = 10
# Which nameless faces may show one person, by benchmarks/same_people.py; the others are alone.
SAME_PEOPLE = Path(__file__).with_name("same_people.tsv")
# The person of those who may be shown in the benchmark's pictures.
TESTED = "tested"


@dataclass(frozen=True)
class TaughtFace:
    """A photograph and where its face lies."""

    name: str
    identity: str
    picture: bytes
    """An encoded picture."""
    mesh: Floats
    """(478, 2), x before y, as shares of the picture's width and height."""


def read_faces(folder: Path) -> tuple[list[TaughtFace], list[TaughtFace]]:
    """Return the faces to train on, and those held out; nobody is among both.

    `folder` holds PICTURES, MESHES and MANIFEST. Whoever is shown in the test pictures that the
    manifest names is held out; of the nameless ones whoever looks like somebody there, and a fixed
    share of the other people.
    """
    for name in (PICTURES, MESHES, MANIFEST):
        if not (folder / name).is_file():
            raise MissingError(f"{folder / name}: no such file, expected the teacher's data")
    tested = _tested_identities(folder / MANIFEST)
    people = _people()
    with np.load(folder / MESHES, allow_pickle=False) as table:
        columns = table["name"].tolist(), table["identity"].tolist()
        rows = list(zip(*columns, table["points"].astype(np.float32), strict=True))
    train: list[TaughtFace] = []
    held_out: list[TaughtFace] = []
    with zipfile.ZipFile(folder / PICTURES) as archive:
        for name, identity, mesh in rows:
            face = TaughtFace(name, identity, archive.read(f"parser_faces/{name}"), mesh)
            (held_out if _is_held_out(face, tested, people) else train).append(face)
    return train, held_out


def _is_held_out(face: TaughtFace, tested: set[str], people: dict[str, str]) -> bool:
    if face.identity:
        return face.identity in tested
    person = people.get(face.name, face.name)
    share = int(sha256(person.encode()).hexdigest(), 16) % HELD_OUT_SHARE
    return person == TESTED or share == 0


def _people() -> dict[str, str]:
    """Return the person of every nameless face that is not alone, or in the test pictures."""
    with SAME_PEOPLE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row["person"] for row in csv.DictReader(file, delimiter="\t")}


def _tested_identities(path: Path) -> set[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["identity"] for row in rows if row["identity"]}
