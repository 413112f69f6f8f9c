"""Covers: how much of each region of a face each type of occluder covers, from class maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import FIRST_TYPE, MAP_PX
from occlufer.schema import OCCLUSION_TYPES, REGIONS

from .parser.frames import to_frame
from .parser.parse import ParsedFace
from .regions import region_weights

Floats = NDArray[np.float32]

# From this probability of some occluder on a place is covered. Chosen on FER2013 against real
# masks (masks_rwmfd), pictures that benchmarks/faces.py does not use: at one half, profiles and
# blurred faces come out covered; composites err by 4.8 points there, by 4.6 at 0.6 and 4.9 here.
COVERED_FROM = 0.7
# A type is as sure as it is where it is surest: on this share of the face.
PEAK_SHARE = 0.03


def covers(face: ParsedFace) -> dict[str, Any]:
    """Return `covered` {region: {type: share}} and `peaks` {type: probability}, all in [0, 1].

    A place is covered where some occluder has a probability over COVERED_FROM; it counts for the
    types by their probabilities. What lies beyond the picture's edge is left out. A peak is the
    mean probability of the type on the PEAK_SHARE of the face where it is likeliest.
    """
    landmarks = to_frame(face.landmarks68_px, face.frame)
    weights = region_weights(landmarks, MAP_PX) * face.inside
    types = face.classes[FIRST_TYPE:]
    occluder = types.sum(axis=0)
    told = types / np.maximum(occluder, 1e-6) * (occluder > COVERED_FROM)
    totals = np.maximum(weights.sum(axis=(1, 2)), 1e-6)
    shares = np.einsum("rhw,thw->rt", weights, told) / totals[:, None]
    return {
        "covered": {
            region: dict(zip(OCCLUSION_TYPES, row, strict=True))
            for region, row in zip(REGIONS, shares.tolist(), strict=True)
        },
        "peaks": dict(zip(OCCLUSION_TYPES, _peaks(types, weights[0]), strict=True)),
    }


def _peaks(types: Floats, face: Floats) -> list[float]:
    inside = types[:, face > 0.5]
    count = max(1, round(PEAK_SHARE * inside.shape[1]))
    if inside.shape[1] < count:
        return [0.0] * len(OCCLUSION_TYPES)
    highest = np.partition(inside, inside.shape[1] - count, axis=1)[:, -count:]
    return [float(value) for value in highest.mean(axis=1)]
