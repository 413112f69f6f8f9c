"""Same people: which of the teacher's nameless faces may show one person, by dlib's embedding.

It writes builders/parser/same_people.tsv, by which they are kept on one side of the training.
On these small crops strangers lie nearer than dlib's 0.6: at 0.35 chains join a hundred people.

    pip install dlib-bin face_recognition_models
    python benchmarks/same_people.py
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import dlib
import numpy as np
from _faces import real_data
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.parser.teacher import SAME_PEOPLE, TESTED, TaughtFace, read_faces

SAME_PERSON = 0.3
# Who may be in a test picture is held out rather too often than too seldom.
SAME_AS_TESTED = 0.35
CROPS = "masks_cfmd"
Floats = NDArray[np.float64]


def main() -> None:
    folder = real_data()
    nameless = [face for side in read_faces(folder) for face in side if not face.identity]
    nameless.sort(key=lambda face: face.name)
    embed = Embedding(models_folder())
    taught = np.array([embed.of_face(face) for face in nameless])
    with np.load(folder / "mesh478.npz") as table:
        rows = zip(table["path"].tolist(), table["points"], strict=True)
        tested = np.array([embed.of_file(folder / p, m) for p, m in rows if p.startswith(CROPS)])
    people = clusters(distances(taught, taught) < SAME_PERSON)
    near = distances(taught, tested).min(axis=1) < SAME_AS_TESTED
    shown = {person for person, is_near in zip(people, near, strict=True) if is_near}
    lines = ["name\tperson\n"]
    for face, person in zip(nameless, people, strict=True):
        if person in shown or people.count(person) > 1:
            told = TESTED if person in shown else nameless[person].name
            lines.append(f"{face.name}\t{told}\n")
    SAME_PEOPLE.write_text("".join(lines), encoding="utf-8")
    print(f"{SAME_PEOPLE}: {len(lines) - 1} of {len(nameless)} nameless faces, {near.sum()} near")


def models_folder() -> Path:
    """Return where the models lie; importing their package would want setuptools."""
    from importlib.util import find_spec

    spec = find_spec("face_recognition_models")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models"


class Embedding:
    """Dlib's 128 numbers for a face."""

    def __init__(self, folder: Path) -> None:
        """Read both models."""
        self.points = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        name = "dlib_face_recognition_resnet_model_v1.dat"
        self.net = dlib.face_recognition_model_v1(str(folder / name))

    def of_face(self, face: TaughtFace) -> Floats:
        return self._of(io.BytesIO(face.picture), face.mesh)

    def of_file(self, path: Path, mesh: NDArray[Any]) -> Floats:
        return self._of(path, mesh)

    def _of(self, source: Any, mesh: NDArray[Any]) -> Floats:
        """Return (128,); `mesh` (478, 2) tells where the face is, NaN that it fills the picture."""
        with Image.open(source) as file:
            image = np.asarray(file.convert("RGB"))
        height, width = image.shape[:2]
        box = (0.1 * width, 0.1 * height, 0.9 * width, 0.9 * height)
        if np.isfinite(mesh).all():
            points = mesh * (width, height)
            low, high = points.min(axis=0), points.max(axis=0)
            half = 0.45 * (high - low).max()
            x, y = (low + high) / 2
            box = (x - half, y - half, x + half, y + half)
        shape = self.points(image, dlib.rectangle(*(int(v) for v in box)))
        return np.array(self.net.compute_face_descriptor(image, shape))


def distances(a: Floats, b: Floats) -> Floats:
    """Return Euclidean distances (A, B)."""
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def clusters(joined: NDArray[np.bool_]) -> list[int]:
    """Return for each the lowest number among those it is joined to, over any others."""
    found = list(range(len(joined)))
    for a, b in np.argwhere(joined):
        low, high = sorted((found[a], found[b]))
        found = [low if one == high else one for one in found]
    return found


if __name__ == "__main__":
    main()
