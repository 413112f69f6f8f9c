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
# Every tenth face without a name is held out; named ones are if the benchmark's pictures show them.
HELD_OUT_SHARE = 10
# Nameless ones that are copies of the benchmark's pictures.
COPIES_OF_TESTED = frozenset(
    f"cfmd/{name}.jpg"
    for name in (
        *("103722314fa7d61d", "3471ea96218278f1", "3cd17836b61bb538"),
        *("d1b755d1f02ae9b7", "d863499bef0cc1d3"),
    )
)


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
    """Return the faces to train on, and those held out; nobody with a name is among both.

    `folder` holds PICTURES, MESHES and MANIFEST. Whoever is shown in the test pictures that the
    manifest names is held out, and of the nameless ones their copies and a fixed share, by name.
    """
    for name in (PICTURES, MESHES, MANIFEST):
        if not (folder / name).is_file():
            raise MissingError(f"{folder / name}: no such file, expected the teacher's data")
    tested = _tested_identities(folder / MANIFEST)
    with np.load(folder / MESHES, allow_pickle=False) as table:
        columns = table["name"].tolist(), table["identity"].tolist()
        rows = list(zip(*columns, table["points"].astype(np.float32), strict=True))
    train: list[TaughtFace] = []
    held_out: list[TaughtFace] = []
    with zipfile.ZipFile(folder / PICTURES) as archive:
        for name, identity, mesh in rows:
            face = TaughtFace(name, identity, archive.read(f"parser_faces/{name}"), mesh)
            (held_out if _is_held_out(face, tested) else train).append(face)
    return train, held_out


def _is_held_out(face: TaughtFace, tested: set[str]) -> bool:
    if face.identity:
        return face.identity in tested
    return (
        face.name in COPIES_OF_TESTED
        or int(sha256(face.name.encode()).hexdigest(), 16) % HELD_OUT_SHARE == 0
    )


def _tested_identities(path: Path) -> set[str]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["identity"] for row in rows if row["identity"]}
