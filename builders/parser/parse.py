"""Parsing: what covers a face and where its landmarks lie, by the built-in parser or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import MAP_PX, PARSED_CLASSES, FaceParser
from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES, REGIONS

from ..regions import region_weights
from .frames import Floats, Picture, cut_frame, frame_of_points, from_frame, to_frame

_FIRST_TYPE = len(PARSED_CLASSES) - len(OCCLUSION_TYPES)
# {number of a part: number of the occluder that it is where a face should be}
COVERS = {
    FACE_PARTS.index("background"): _FIRST_TYPE + OCCLUSION_TYPES.index("object"),
    FACE_PARTS.index("hair"): _FIRST_TYPE + OCCLUSION_TYPES.index("hair"),
}
# Outlines through 68 points err by about a cell or two.
EDGE_CELLS = 5


@dataclass(frozen=True)
class ParsedFace:
    """What a parser says of one face."""

    landmarks68_px: Floats
    """(68, 2), x before y, in pixels of the picture, covered points included."""
    classes: Floats
    """Probabilities (17, MAP_PX, MAP_PX) of PARSED_CLASSES in the face's own frame."""
    frame: Floats
    """(2, 3): from pixels of the picture to shares of that frame."""


@dataclass(frozen=True)
class Parsers:
    """Who says where the landmarks lie, and who says what every place shows."""

    points: FaceParser
    parts: FaceParser


def parse_faces(
    parsers: Parsers,
    images_rgb: Sequence[Picture],
    starts68_px: Sequence[Floats],
    passes: int = 1,
) -> list[ParsedFace]:
    """Return what each picture (H, W, 3) shows, one face each.

    `starts68_px` are landmarks (68, 2) as a detector's points or a box suggest them; each further
    pass starts from the landmarks that the former has found.
    """
    points = list(starts68_px)
    for _ in range(passes):
        frames = [frame_of_points(p) for p in points]
        classes, found = parsers.points.parse(_cut(parsers.points, images_rgb, frames))
        assert found is not None, f"{parsers.points.name} knows no landmarks"
        points = [from_frame(p, f) for p, f in zip(found, frames, strict=True)]
    if parsers.parts is not parsers.points:
        frames = [frame_of_points(p) for p in points]
        classes, _ = parsers.parts.parse(_cut(parsers.parts, images_rgb, frames))
        classes = np.stack(
            [
                _covers_told(c, to_frame(p, f))
                for c, p, f in zip(classes, points, frames, strict=True)
            ]
        )
    return [ParsedFace(p, c, f) for p, c, f in zip(points, classes, frames, strict=True)]


def _covers_told(classes: Floats, landmarks68: Floats) -> Floats:
    """Return classes (17, MAP_PX, MAP_PX) of a parser that knows no occluders with them in it.

    Well inside the outline that the landmarks (shares of the frame) give, what such a parser calls
    background is an object before the face, and what it calls hair is hair before it.
    """
    face = region_weights(landmarks68, MAP_PX)[REGIONS.index("face")]
    inside = cv2.erode((face > 0.5).astype(np.uint8), np.ones((EDGE_CELLS, EDGE_CELLS))) > 0
    told = classes.copy()
    for part, occluder in COVERS.items():
        told[occluder][inside] += told[part][inside]
        told[part][inside] = 0
    return told


def _cut(
    parser: FaceParser, images_rgb: Sequence[Picture], frames: Sequence[Floats]
) -> NDArray[np.uint8]:
    pairs = zip(images_rgb, frames, strict=True)
    return np.stack([cut_frame(image, frame, parser.input_px) for image, frame in pairs])
