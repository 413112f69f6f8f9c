"""Real photographs of faces of known people, and the masks to paste on them."""

from __future__ import annotations

import csv
import io
import os
import random
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _edits import Floats
from PIL import Image

UNKNOWN = "unknown:"


@dataclass(frozen=True)
class Face:
    """One photograph of a person whose name is known."""

    name: str
    identity: str
    data: bytes
    points: Floats
    """(478, 2), x before y, as shares of the picture's sides."""

    @property
    def image(self) -> Image.Image:
        """The picture, in RGB."""
        return Image.open(io.BytesIO(self.data)).convert("RGB")


def real_data() -> Path:
    """Return the folder of real photographs, which are not part of the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("OCCLUFER_REAL_DATA", default))


def fer8_faces(folder: Path) -> list[Face]:
    with np.load(folder / "mesh478.npz") as mesh:
        points = dict(zip(mesh["path"].tolist(), mesh["points"].astype(np.float64), strict=True))
    with (folder / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = [(row["path"], row["identity"]) for row in csv.DictReader(file, delimiter="\t")]
    return [
        Face(path, identity, (folder / path).read_bytes(), points[path])
        for path, identity in rows
        if path.startswith("fer8/") and identity and not identity.startswith(UNKNOWN)
    ]


def parser_faces(folder: Path) -> list[Face]:
    with np.load(folder / "parser_faces_mesh478.npz") as mesh:
        names, identities = mesh["name"].tolist(), mesh["identity"].tolist()
        points = mesh["points"].astype(np.float64)
    with zipfile.ZipFile(folder / "parser_faces.zip") as archive:
        return [
            Face(name, identity, archive.read(f"parser_faces/{name}"), mesh)
            for name, identity, mesh in zip(names, identities, points, strict=True)
            if name.startswith("lfw/")
        ]


def mask_templates(folder: Path) -> list[Image.Image]:
    """Return the templates of masks seen from the front, RGBA."""
    paths = sorted((folder / "occluders_maskthe_face").glob("*.png"))
    return [
        Image.open(path).convert("RGBA")
        for path in paths
        if not path.stem.endswith(("_left", "_right"))
    ]


def pairs_of_strangers(faces: Sequence[Face]) -> int:
    count, people = len(faces), Counter(face.identity for face in faces)
    return (count * (count - 1) - sum(n * (n - 1) for n in people.values())) // 2


def chosen(faces: Sequence[Face], count: int, seed: int) -> list[Face]:
    """Return some faces, the same ones in every run."""
    return random.Random(seed).sample(list(faces), min(count, len(faces)))
