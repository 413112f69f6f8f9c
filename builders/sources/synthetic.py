"""The built-in source: drawn faces, among them copies, siblings, scenes and broken files.

What is really there is known to the bit, so a build of it can be scored stage by stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from occlufer.record import Facts, Vote
from occlufer.schema import LABELS, OCCLUSION_TYPES, TABLE_1

from ..synthetic import DrawnFace, FacePlan, draw_face, encode_jpeg
from ..synthetic.scene import background, photographed
from .entry import Entry, Reading
from .terms import Terms

TERMS = Terms(
    title="the synthetic set",
    licence="CC0-1.0",
    attribution="drawn by occlufer",
    where="nowhere: it is drawn",
    must_accept=False,
    rights="publishable",
)

# How often each kind of record comes. The derived kinds are made from an earlier face.
KINDS = {
    "face": 0.86,
    "copy": 0.03,
    "mirror": 0.02,
    "crop": 0.02,
    "sibling": 0.02,
    "scene": 0.02,
    "blank": 0.01,
    "truncated": 0.01,
    "text": 0.005,
    "empty": 0.005,
}
DERIVED = ("copy", "mirror", "crop", "sibling")
BROKEN = ("blank", "truncated", "text", "empty")

RATERS = 5
RATER_ACCURACY = 0.8
# What people take an expression for when they miss it, in the order of LABELS.
CONFUSED_WITH = {
    "anger": "disgust",
    "disgust": "anger",
    "fear": "surprise",
    "happiness": "contempt",
    "neutral": "sadness",
    "sadness": "neutral",
    "surprise": "fear",
    "contempt": "neutral",
}
PHOTOS_PER_SUBJECT = 6
OCCLUDERS_PER_FACE = (0.3, 0.6, 0.1)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "synthetic"."""

    count: int = 1500
    """How many records, broken ones and copies included."""
    seed: int = 0
    """Another seed draws other people and other photographs."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.count <= 10_000_000:
            raise ValueError(f"count: found {self.count}, expected 1 to 10000000")
        if self.seed < 0:
            raise ValueError(f"seed: found {self.seed}, expected 0 or more")


def detect(path: Path) -> str | None:
    """Return None: no folder holds it."""
    return None


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield `count` entries; nothing is drawn before it is read."""
    for number in range(settings.count):
        kind, original = kind_of(number, settings.seed)
        plan = face_plan(original, settings)
        truth: dict[str, Any] = {"kind": kind, "family": _name(original)}
        if kind != "scene" and kind not in BROKEN:
            truth["label"] = plan.label
        facts = Facts(
            votes=_votes(number, plan.label, settings.seed) if "label" in truth else (),
            subject=f"subject_{plan.subject}" if "label" in truth else None,
            licence=TERMS.licence,
            attribution=TERMS.attribution,
            rights=TERMS.rights,
            truth=truth,
        )
        read = partial(READERS[kind], plan, _rng(settings.seed, number, 2))
        yield Entry(_name(number), "drawn", facts, read)


def kind_of(number: int, seed: int) -> tuple[str, int]:
    """Return the kind of a record and the face it is made from, its own number if it is one."""
    kind = _drawn_kind(number, seed)
    if kind not in DERIVED:
        return kind, number
    earlier = (n for n in range(number - 1, -1, -1) if _drawn_kind(n, seed) == "face")
    original = next(earlier, None)
    return ("face", number) if original is None else (kind, original)


def face_plan(number: int, settings: Settings) -> FacePlan:
    """Return what face `number` shows: classes as often as in Table 1, a few photos a subject."""
    rng = _rng(settings.seed, number, 1)
    weights = np.array(TABLE_1["train"], dtype=np.float64)
    label = LABELS[int(rng.choice(len(LABELS), p=weights / weights.sum()))]
    subjects = settings.count // PHOTOS_PER_SUBJECT + 1
    subject = int(rng.integers(subjects)) + settings.seed * subjects
    occluders = int(rng.choice(3, p=OCCLUDERS_PER_FACE))
    occlusion = rng.choice(OCCLUSION_TYPES, size=occluders, replace=False)
    return FacePlan(label, subject, number, tuple(str(o) for o in occlusion))


def _drawn_kind(number: int, seed: int) -> str:
    return str(_rng(seed, number, 0).choice(list(KINDS), p=list(KINDS.values())))


def _votes(number: int, label: str, seed: int) -> tuple[Vote, ...]:
    rng = _rng(seed, number, 3)
    right = rng.random(RATERS) < RATER_ACCURACY
    return tuple(
        Vote(f"rater_{i}", label if right[i] else CONFUSED_WITH[label]) for i in range(RATERS)
    )


def _face(plan: FacePlan, rng: np.random.Generator) -> Reading:
    face = draw_face(plan)
    return Reading(_jpeg(face.image_rgb, rng), _truth(face, plan))


def _sibling(plan: FacePlan, rng: np.random.Generator) -> Reading:
    """The same photograph with something else before the face: no copy of it."""
    others = [kind for kind in OCCLUSION_TYPES if kind not in plan.occlusion]
    other = (str(rng.choice(others)),)
    plan = FacePlan(plan.label, plan.subject, plan.photo, other)
    face = draw_face(plan)
    return Reading(_jpeg(face.image_rgb, rng), _truth(face, plan))


def _copy(plan: FacePlan, rng: np.random.Generator) -> Reading:
    image = Image.fromarray(draw_face(plan).image_rgb)
    side = round(image.width * float(rng.uniform(0.6, 0.95)))
    return Reading(_jpeg(np.asarray(image.resize((side, side))), rng))


def _mirror(plan: FacePlan, rng: np.random.Generator) -> Reading:
    return Reading(_jpeg(np.ascontiguousarray(draw_face(plan).image_rgb[:, ::-1]), rng))


def _crop(plan: FacePlan, rng: np.random.Generator) -> Reading:
    image = draw_face(plan).image_rgb
    side = image.shape[0]
    left, top, right, bottom = (int(v) for v in rng.uniform(0.03, 0.09, size=4) * side)
    return Reading(_jpeg(image[top : side - bottom, left : side - right].copy(), rng))


def _scene(plan: FacePlan, rng: np.random.Generator) -> Reading:
    return Reading(_jpeg(photographed(background(rng), rng), rng))


def _blank(plan: FacePlan, rng: np.random.Generator) -> Reading:
    grey = np.full((224, 224, 3), rng.integers(256, size=3), dtype=np.uint8)
    return Reading(_jpeg(grey, rng))


def _truncated(plan: FacePlan, rng: np.random.Generator) -> Reading:
    data = _jpeg(draw_face(plan).image_rgb, rng)
    return Reading(data[: int(len(data) * rng.uniform(0.2, 0.8))])


def _text(plan: FacePlan, rng: np.random.Generator) -> Reading:
    return Reading(f"not a picture, but text number {rng.integers(10**9)}\n".encode())


def _empty(plan: FacePlan, rng: np.random.Generator) -> Reading:
    return Reading(b"")


READERS: dict[str, Callable[[FacePlan, np.random.Generator], Reading]] = {
    "face": _face,
    "copy": _copy,
    "mirror": _mirror,
    "crop": _crop,
    "sibling": _sibling,
    "scene": _scene,
    "blank": _blank,
    "truncated": _truncated,
    "text": _text,
    "empty": _empty,
}


def _truth(face: DrawnFace, plan: FacePlan) -> dict[str, Any]:
    return {
        "occlusion": list(plan.occlusion),
        "ratio": round(face.occlusion_ratio, 4),
        "visible": {region: round(share, 4) for region, share in face.visible.items()},
        "box": np.round(face.box_xyxy_px.astype(np.float64), 2).tolist(),
        "landmarks": np.round(face.landmarks68_px.astype(np.float64), 2).tolist(),
    }


def _jpeg(image_rgb: Any, rng: np.random.Generator) -> bytes:
    return encode_jpeg(image_rgb, int(rng.integers(70, 96)))


def _name(number: int) -> str:
    return f"{number:07d}"


def _rng(seed: int, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, purpose])
