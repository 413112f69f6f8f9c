"""Occlusion: how much of a face is covered, how severely, and by what, from what a parser saw.

What is kept here are scores, and the decisions that the config derives from them: another
threshold asks no network again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from occlufer.config import BuildConfig, OcclusionConfig
from occlufer.record import Result
from occlufer.schema import OCCLUSION_TYPES
from occlufer.stages import ImageItem, ImageStage

VERSION = 2
# A type is certain where a parser is, on a share of the face from here on.
CERTAIN_SHARE = 0.03
# Of another face's box over this one, from here on: boxes are wider than faces.
CERTAIN_OVERLAP = 0.25


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage."""
    function = partial(find_occlusion, settings=config.occlusion)
    before = ("faces", "parts")
    return ImageStage("occlusion", before, before, params(config.occlusion), function)


def params(settings: OcclusionConfig) -> dict[str, Any]:
    """Return what the decisions depend on, as JSON has it."""
    return {
        "version": VERSION,
        "type_threshold": settings.type_threshold,
        "severity_percent": list(settings.severity_percent),
    }


def find_occlusion(item: ImageItem, settings: OcclusionConfig) -> Result:
    """Return the `occlusion` of the image's face."""
    faces, parts = item.values["faces"], item.values["parts"]
    overlap = extraneous_overlap(faces["box"], faces["others"])
    return Result(item.image, occlusion(parts, overlap, settings))


def occlusion(
    parts: Mapping[str, Any], overlap: float, settings: OcclusionConfig
) -> dict[str, Any]:
    """Return `ratio`, `visible` {region: share}, `confidences` {type}, `types` and `severity`.

    Shares and confidences are in [0, 1]; the severity is the lower end of its bin, in percent of
    the face. `parts` are the `covered` and `peaks` of `covers`, `overlap` is the share of the
    face's box that another face's box covers.
    """
    visible = {
        region: round(max(0.0, 1 - sum(shares.values())), 4)
        for region, shares in parts["covered"].items()
    }
    ratio = round(1 - visible["face"], 4)
    confidences = type_confidences(parts, overlap)
    return {
        "ratio": ratio,
        "visible": visible,
        "confidences": {name: round(value, 4) for name, value in confidences.items()},
        "types": [n for n in OCCLUSION_TYPES if confidences[n] >= settings.type_threshold],
        "severity": severity(ratio, settings.severity_percent),
    }


def type_confidences(parts: Mapping[str, Any], overlap: float) -> dict[str, float]:
    """Return how sure it is that each type is there, in [0, 1].

    As sure as the parser is where it is surest, less so where the type covers next to nothing.
    """
    covered, peaks = parts["covered"]["face"], parts["peaks"]
    found = {
        name: peaks[name] * min(1.0, covered[name] / CERTAIN_SHARE) for name in OCCLUSION_TYPES
    }
    other_face = min(1.0, overlap / CERTAIN_OVERLAP)
    return found | {"extraneous_face": max(found["extraneous_face"], other_face)}


def severity(ratio: float, percents: tuple[int, ...]) -> int:
    """Return the highest of `percents` that the ratio reaches, 0 if none."""
    return max((p for p in percents if 100 * ratio >= p), default=0)


def extraneous_overlap(box: list[float], others: list[list[float]]) -> float:
    """Return the largest share of the face box that another face's box covers."""
    area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
    return max((_intersection(box, other) / area for other in others), default=0.0)


def _intersection(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
