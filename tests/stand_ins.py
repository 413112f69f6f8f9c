"""Stand-ins: small folders of drawn faces in the layouts that RAF-DB and AffectNet are given in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
from occlufer.schema import OCCLUSION_TYPES

# In the order of their numbers: RAF-DB counts from 1, AffectNet from 0.
RAF_DB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
AFFECTNET = (
    *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
)
# {split: how many of each class}
RAF_DB_COUNTS = {"train": 6, "test": 2}
AFFECTNET_COUNTS = {"train_set": 6, "val_set": 2}
ALIGNED_PX, AFFECTNET_PX = 100, 224
FERPLUS_HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)


def raf_db(folder: Path) -> Path:
    """Write `basic/` as its authors give it, 56 aligned faces, and return it."""
    basic, rows = folder / "basic", []
    (basic / "Image" / "aligned").mkdir(parents=True)
    (basic / "EmoLabel").mkdir()
    for split, count in RAF_DB_COUNTS.items():
        for number in range(count * len(RAF_DB)):
            place = number % len(RAF_DB)
            name = f"{split}_{number + 1:05d}"
            subject = number + 1000 * (split == "test")
            picture = face(RAF_DB[place], subject, ALIGNED_PX)
            (basic / "Image" / "aligned" / f"{name}_aligned.jpg").write_bytes(picture)
            rows.append(f"{name}.jpg {place + 1}\n")
    (basic / "EmoLabel" / "list_patition_label.txt").write_text("".join(rows))
    return basic


def affectnet(folder: Path) -> Path:
    """Write AffectNet's later release, 64 faces with their arrays, and return it."""
    root = folder / "AffectNet"
    for split, count in AFFECTNET_COUNTS.items():
        for inner in ("images", "annotations"):
            (root / split / inner).mkdir(parents=True)
        for number in range(count * len(AFFECTNET)):
            label = number % len(AFFECTNET)
            subject = 2000 + number + 1000 * (split == "val_set")
            picture = face(AFFECTNET[label], subject, AFFECTNET_PX)
            (root / split / "images" / f"{number}.jpg").write_bytes(picture)
            for name, data in arrays(label).items():
                (root / split / "annotations" / f"{number}_{name}.npy").write_bytes(data)
    return root


def arrays(label: int) -> Mapping[str, bytes]:
    """Return what AffectNet says of a picture: class, valence, arousal, landmarks; as text."""
    values = {"exp": str(label), "val": "0.5", "aro": "-0.5", "lnd": np.zeros(136)}
    return {name: npy(value) for name, value in values.items()}


def npy(value: object) -> bytes:
    """Return an array as the bytes of a file."""
    file = io.BytesIO()
    np.save(file, np.asarray(value))
    return file.getvalue()


@cache
def face(label: str, subject: int, side_px: int) -> bytes:
    """Return a drawn face as a JPEG; of two subjects one has something before it."""
    kinds = [*OCCLUSION_TYPES]
    covered = (kinds[subject // 2 % len(kinds)],) if subject % 2 else ()
    drawn = draw_face(FacePlan(label, subject, subject, covered)).image_rgb
    size = (side_px, side_px)
    data: bytes = encode_jpeg(np.asarray(Image.fromarray(drawn).resize(size)), 90)
    return data


def fer2013(folder: Path) -> Path:
    """Write fer2013.csv, in a folder of its own as well, and FERPlus's votes; return the CSV."""
    rows, votes = ["emotion,pixels,Usage"], [FERPLUS_HEADER]
    for number in range(16):
        picture = Image.open(io.BytesIO(face(AFFECTNET[1 + number % 2], 4000 + number, 224)))
        grey = np.asarray(picture.convert("L").resize((48, 48)))
        usage = "PublicTest" if number >= 14 else "Training"
        rows.append(f"{3 + number % 2},{' '.join(map(str, grey.flatten()))},{usage}")
        happy, sad = ("10", "0") if number % 2 == 0 else ("0", "10")
        votes.append(f"{usage},fer{number:07d}.png,0,{happy},0,{sad},0,0,0,0,0,0")
    for name in ("fer2013", "FERPlus"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in (folder / "fer2013.csv", folder / "fer2013" / "fer2013.csv"):
        path.write_text("\n".join(rows) + "\n")
    (folder / "FERPlus" / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    return folder / "fer2013.csv"


def by_class(folder: Path, first_subject: int) -> Path:
    """Write a face of each expression into a folder of its name, and return the whole."""
    for number, label in enumerate(AFFECTNET):
        (folder / label).mkdir(parents=True)
        (folder / label / "a.jpg").write_bytes(face(label, first_subject + number, 160))
    return folder
