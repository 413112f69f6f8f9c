"""Anatomy: the mean face in 68 three-dimensional points and the build of each subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LANDMARK_MIRROR, LANDMARK_PARTS

from .outlines import floats

Floats = NDArray[np.float32]
Point = tuple[float, float, float]

# The left half (of the picture) and the midline of a neutral frontal face: x to the right, y down,
# z to the viewer; the unit is half the width of the face, the origin lies between the eyes.
_HALF_FACE: dict[int, Point] = {
    **dict(
        enumerate(
            (
                *((-1.00, 0.02, -0.50), (-0.985, 0.29, -0.44), (-0.95, 0.55, -0.34)),
                *((-0.885, 0.80, -0.20), (-0.77, 1.04, -0.04), (-0.605, 1.23, 0.12)),
                *((-0.41, 1.39, 0.27), (-0.205, 1.495, 0.37), (0.0, 1.525, 0.40)),
            )
        )
    ),
    17: (-0.84, -0.20, 0.08),
    18: (-0.70, -0.31, 0.24),
    19: (-0.52, -0.35, 0.34),
    20: (-0.34, -0.33, 0.40),
    21: (-0.175, -0.27, 0.43),
    27: (0.0, -0.03, 0.46),
    28: (0.0, 0.16, 0.56),
    29: (0.0, 0.34, 0.68),
    30: (0.0, 0.52, 0.80),
    31: (-0.21, 0.63, 0.48),
    32: (-0.11, 0.68, 0.56),
    33: (0.0, 0.71, 0.60),
    36: (-0.64, 0.02, 0.10),
    37: (-0.53, -0.065, 0.20),
    38: (-0.385, -0.07, 0.24),
    39: (-0.255, 0.03, 0.22),
    40: (-0.38, 0.075, 0.23),
    41: (-0.52, 0.075, 0.20),
    48: (-0.40, 0.945, 0.30),
    49: (-0.27, 0.875, 0.42),
    50: (-0.11, 0.830, 0.50),
    51: (0.0, 0.850, 0.52),
    57: (0.0, 1.140, 0.48),
    58: (-0.13, 1.125, 0.46),
    59: (-0.28, 1.055, 0.40),
    60: (-0.35, 0.945, 0.32),
    61: (-0.13, 0.940, 0.44),
    62: (0.0, 0.945, 0.46),
    66: (0.0, 0.955, 0.46),
    67: (-0.13, 0.950, 0.44),
}
HAIRLINE_Y = -1.11
EAR_X = 1.09


def _whole_face() -> Floats:
    points = np.zeros((68, 3), np.float32)
    for index, point in _HALF_FACE.items():
        points[LANDMARK_MIRROR[index]] = floats(point) * floats((-1, 1, 1))
        points[index] = point
    return points


MEAN_FACE = _whole_face()
# The same face seen from the front, as shares of its box (ears, hairline to chin).
_CORNER = floats((-EAR_X, HAIRLINE_Y))
_EXTENT = floats((2 * EAR_X, MEAN_FACE[8, 1] - HAIRLINE_Y))
MEAN_FACE68: Floats = ((MEAN_FACE[:, :2] - _CORNER) / _EXTENT).astype(np.float32)

_SKIN_TONES = floats(
    (
        *((252, 222, 203), (243, 205, 180), (233, 188, 156), (221, 172, 136), (203, 151, 112)),
        *((178, 126, 89), (148, 98, 67), (120, 77, 53), (94, 60, 44), (72, 47, 37)),
    )
)
_HAIR_COLOURS = floats(
    (
        *((22, 18, 18), (38, 27, 22), (62, 42, 30), (92, 62, 40), (128, 88, 54)),
        *((178, 138, 86), (214, 180, 124), (140, 66, 36), (96, 34, 40)),
    )
)
_IRIS_COLOURS = floats(((58, 36, 22), (86, 54, 30), (104, 84, 46), (78, 104, 82), (82, 116, 148)))
HAIR_STYLES = ("bald", "crop", "parted", "long", "bob", "curls", "bun", "receding", "spiky")


@dataclass(frozen=True)
class Identity:
    """What stays the same in every photograph of a subject."""

    points: Floats  # (68, 3) in the units of MEAN_FACE, neutral
    skin: Floats
    hair: Floats
    brow: Floats
    iris: Floats
    lips: Floats
    hair_style: str
    hair_volume: float
    hairline: Floats  # (3,): lift of the middle, lift of the temples, side of the parting
    brow_width: float
    lashes: float
    age: float  # 0 young .. 1 old
    beard: float  # 0 none .. 1 full
    moustache: float
    freckles: float
    shine: float


def identity(subject: int) -> Identity:
    """Return the build and the colours of one subject; the same number gives the same person."""
    rng = np.random.default_rng([101, subject])
    tone = rng.uniform(0, len(_SKIN_TONES) - 1)
    skin = _between(_SKIN_TONES, tone) * rng.uniform(0.93, 1.04)
    skin = (skin * rng.normal(1, 0.012, 3)).astype(np.float32)
    age = float(rng.beta(1.3, 1.7))
    hair = _hair_colour(tone, age, rng)
    bearded = rng.random() < 0.22
    painted = not bearded and rng.random() < 0.3
    pink = floats((0.93, 0.66, 0.66) if not painted else (0.86, 0.42, 0.46))
    return Identity(
        points=_bones(rng),
        skin=skin,
        hair=hair,
        brow=(hair * 0.55 + skin * 0.12).astype(np.float32),
        iris=_between(_IRIS_COLOURS, rng.uniform(0, 4) if tone < 5 else rng.uniform(0, 1)),
        lips=(skin * pink + floats((8, 0, 2))).astype(np.float32),
        hair_style=str(rng.choice(HAIR_STYLES, p=_style_odds(bearded))),
        hair_volume=float(rng.uniform(0.6, 1.5)),
        hairline=floats(
            (rng.normal(0, 0.06), rng.normal(0.03, 0.05), rng.choice((-1, 1)) * rng.uniform(0.2, 1))
        ),
        brow_width=float(rng.uniform(0.035, 0.075) * (1.15 if bearded else 1)),
        lashes=float(rng.uniform(0.4, 1.0) * (1.2 if painted else 0.8)),
        age=age,
        beard=float(rng.uniform(0.25, 1)) if bearded else 0.0,
        moustache=float(rng.uniform(0, 1)) if bearded else 0.0,
        freckles=float(max(0.0, rng.normal(-0.3, 0.6))),
        shine=float(rng.uniform(0.3, 1)),
    )


def _between(anchors: Floats, position: float) -> Floats:
    low = min(int(position), len(anchors) - 2)
    share = np.float32(position - low)
    return np.asarray(anchors[low] * (1 - share) + anchors[low + 1] * share, np.float32)


def _hair_colour(tone: float, age: float, rng: np.random.Generator) -> Floats:
    darkest = 3 if tone > 5 else len(_HAIR_COLOURS)
    colour = _HAIR_COLOURS[rng.integers(0, darkest)] * np.float32(rng.uniform(0.8, 1.2))
    grey = np.clip((age - 0.55) * 2.2 + rng.normal(0, 0.15), 0, 1) * (rng.random() < 0.8)
    return np.asarray(colour * (1 - grey) + floats((176, 174, 172)) * grey, np.float32)


def _style_odds(bearded: bool) -> NDArray[np.float64]:
    # In float32 first: other digits would draw other people.
    odds = floats(
        (0.12, 0.22, 0.22, 0.02, 0.02, 0.1, 0.02, 0.14, 0.14)
        if bearded
        else (0.05, 0.1, 0.16, 0.2, 0.16, 0.12, 0.1, 0.05, 0.06)
    ).astype(np.float64)
    return np.asarray(odds / odds.sum())


def _bones(rng: np.random.Generator) -> Floats:
    """Return MEAN_FACE with one subject's lengths and widths."""
    p = MEAN_FACE.copy()
    widths = np.clip(rng.normal(0, 1, 12), -1.8, 1.8)
    drop = np.clip(p[:, 1], 0, None) / p[8, 1]
    p[:, 1] *= np.where(p[:, 1] > 0, 1 + 0.06 * widths[0], 1 + 0.05 * widths[1])
    jaw = LANDMARK_PARTS["jaw"]
    p[jaw, 0] *= (1 + 0.09 * widths[2] * drop[jaw] ** 1.5) * (1 + 0.04 * widths[3])
    p[5:12, 1] += np.float32(0.035 * widths[3])
    for eye, side in ((LANDMARK_PARTS["left_eye"], -1), (LANDMARK_PARTS["right_eye"], 1)):
        centre = p[eye].mean(axis=0)
        p[eye] = centre + (p[eye] - centre) * floats(
            (1 + 0.06 * widths[4], 1 + 0.13 * widths[5], 1)
        )
        p[eye, 1] -= (p[eye, 0] - centre[0]) * side * np.float32(0.07 * widths[6])
        p[eye, 0] += np.float32(side * 0.022 * widths[7])
    nose = LANDMARK_PARTS["nose"]
    p[nose, 0] *= 1 + 0.14 * widths[8]
    p[nose, 1] *= 1 + 0.05 * widths[9]
    p[48:68, 0] *= 1 + 0.08 * widths[10]
    middle = p[60, 1]
    p[48:60, 1] = middle + (p[48:60, 1] - middle) * (1 + 0.2 * widths[11])
    arch, height = rng.normal(0, 0.018), rng.normal(0, 0.025)
    p[17:27, 1] += np.float32(height) - np.float32(arch) * np.tile((0, 1, 1.4, 1, 0), 2)
    p[:, :2] += rng.normal(0, 0.006, (68, 2))
    return p.astype(np.float32)
