"""Parsing: what covers a face and where its landmarks lie, by the built-in parser or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import FACE_CENTRE, FIRST_TYPE, MAP_PX, FaceParser
from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES, REGIONS

from ..regions import region_weights
from .frames import (
    Floats,
    Picture,
    cells_inside,
    cut_frame,
    frame_of_points,
    from_frame,
    to_frame,
)

# {number of a part: number of the occluder that it is where a face should be}
COVERS = {
    FACE_PARTS.index("background"): FIRST_TYPE + OCCLUSION_TYPES.index("object"),
    FACE_PARTS.index("hair"): FIRST_TYPE + OCCLUSION_TYPES.index("hair"),
}
# How often a face is looked at, at most, and what makes it worth another look: training has shown
# the network faces turned, sized and shifted so much, but few.
MOST_LOOKS = 3
ASTRAY_TURN = 0.26  # radians
ASTRAY_SCALE = 1.3
ASTRAY_SHIFT = 0.12  # of the frame
# Landmarks so much smaller or larger than the face that was looked for are those of none.
NO_FACE_SCALE = 4.0
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
    inside: NDArray[np.bool_]
    """(MAP_PX, MAP_PX): which places of the frame lie in the picture."""


@dataclass(frozen=True)
class Parsers:
    """Who says where the landmarks lie, and who says what every place shows."""

    points: FaceParser
    parts: FaceParser


def parse_faces(
    parsers: Parsers, images_rgb: Sequence[Picture], starts68_px: Sequence[Floats]
) -> list[ParsedFace]:
    """Return what each picture (H, W, 3) shows, one face each.

    `starts68_px` are landmarks (68, 2) as a detector's points or a box suggest them. A face that
    turns out to lie otherwise than they say is looked at again, from where it was found.
    """
    faces = _looked_at(parsers.points, images_rgb, starts68_px)
    for _ in range(MOST_LOOKS - 1):
        astray = [i for i, face in enumerate(faces) if _is_astray(face)]
        starts = [faces[i].landmarks68_px for i in astray]
        again = _looked_at(parsers.points, [images_rgb[i] for i in astray], starts)
        for i, face in zip(astray, again, strict=True):
            faces[i] = face
    if parsers.parts is parsers.points:
        return faces
    return _parted(parsers.parts, images_rgb, [face.landmarks68_px for face in faces])


def _looked_at(
    parser: FaceParser, images_rgb: Sequence[Picture], starts68_px: Sequence[Floats]
) -> list[ParsedFace]:
    if not images_rgb:
        return []
    frames = [frame_of_points(start) for start in starts68_px]
    classes, points = parser.parse(_cut(parser, images_rgb, frames))
    assert points is not None, f"{parser.name} knows no landmarks"
    return [
        ParsedFace(from_frame(p, f), c, f, cells_inside(f, image, MAP_PX))
        for p, c, f, image in zip(points, classes, frames, images_rgb, strict=True)
    ]


def _parted(
    parser: FaceParser, images_rgb: Sequence[Picture], landmarks68_px: Sequence[Floats]
) -> list[ParsedFace]:
    """Return the faces with these landmarks as a parser of parts alone sees them."""
    frames = [frame_of_points(points) for points in landmarks68_px]
    classes, _ = parser.parse(_cut(parser, images_rgb, frames))
    return [
        ParsedFace(p, _covers_told(c, to_frame(p, f)), f, cells_inside(f, image, MAP_PX))
        for p, c, f, image in zip(landmarks68_px, classes, frames, images_rgb, strict=True)
    ]


def _is_astray(face: ParsedFace) -> bool:
    """Return whether the landmarks lie far from where the face was thought to lie."""
    change = frame_of_points(to_frame(face.landmarks68_px, face.frame))
    turn = abs(float(np.arctan2(change[1, 0], change[0, 0])))
    scale = float(np.hypot(change[0, 0], change[1, 0]))
    if not 1 / NO_FACE_SCALE < scale < NO_FACE_SCALE:
        return False
    middle = change[:, :2] @ np.array(FACE_CENTRE, np.float32) + change[:, 2]
    shift = float(np.linalg.norm(middle - np.array(FACE_CENTRE)))
    sized = scale > ASTRAY_SCALE or scale < 1 / ASTRAY_SCALE
    return turn > ASTRAY_TURN or sized or shift > ASTRAY_SHIFT


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
