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

# A place with a probability p of some occluder counts as covered by p to this power. Chosen on
# FER2013 against real masks (masks_rwmfd), pictures that benchmarks/faces.py does not use. A
# threshold says nothing of what it is not sure of: by one of 0.7 a tenth of a face that was covered
# by something of its own colour was no more than bare in one of four. With 1, doubts about blurred
# faces and profiles add up.
DOUBT_POWER = 2.0
# A type is as sure as it is where it is surest: on this share of the face.
PEAK_SHARE = 0.03


def covers(face: ParsedFace) -> dict[str, Any]:
    """Return `covered` {region: {type: share}} and `peaks` {type: probability}, all in [0, 1].

    A place is covered as far as some occluder is probable, to the power DOUBT_POWER; it counts for
    the types by their probabilities. What lies beyond the picture's edge is left out. A peak is the
    mean probability of the type on the PEAK_SHARE of the face where it is likeliest.
    """
    landmarks = to_frame(face.landmarks68_px, face.frame)
    weights = region_weights(landmarks, MAP_PX) * face.inside
    types = face.classes[FIRST_TYPE:]
    occluder = types.sum(axis=0)
    told = types * occluder ** np.float32(DOUBT_POWER - 1)
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
