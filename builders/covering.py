"""Covering: photographed faces with a drawn occluder before them, to test a model on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from PIL import Image

from occlufer.config import OcclusionConfig

from .parser.fitting import fit_head, skin_colour
from .parser.frames import Floats, cut_frame, frame_of_points, to_frame
from .parser.parse import parse_faces
from .parts import open_parsers
from .pixels import Pixels
from .synthetic import MEAN_FACE68
from .synthetic.canvas import SIZE_PX, new_canvas
from .synthetic.light import random_light
from .synthetic.occluders import OCCLUDERS

# Nobody's hair is known: what falls over the face is a darker shade of its skin.
HAIR_LIGHT = 0.35


def covered_by(
    kind: str, image_rgb: Pixels, landmarks68_px: Floats, rng: np.random.Generator
) -> Pixels:
    """Return a picture (H, W, 3) with an occluder of a kind in OCCLUDERS painted before its face.

    `landmarks68_px` (68, 2), x before y. What is not covered, and not in the occluder's shadow,
    stays as it is to the bit.
    """
    frame = frame_of_points(landmarks68_px)
    face = cut_frame(image_rgb, frame, SIZE_PX)
    points = to_frame(landmarks68_px, frame) * np.float32(SIZE_PX)
    skin = skin_colour(face, points)
    canvas = new_canvas(face.astype(np.float32).transpose(2, 0, 1).copy())
    head = fit_head(points, skin, skin * np.float32(HAIR_LIGHT))
    OCCLUDERS[kind](canvas, head, random_light(rng), rng)
    # What the painter has changed is laid back, not the cut: a warped face would be blurred.
    change = np.clip(canvas.rgb, 0, 255).transpose(1, 2, 0) - face
    covered = image_rgb + _laid_back(change, frame, image_rgb)
    return np.asarray(np.clip(np.round(covered), 0, 255), np.uint8)


def finder() -> Callable[[Any, Any], Floats]:
    """Return what finds the landmarks (68, 2) of a covered face, by the built-in parser.

    Of the bare face it is told the box around its landmarks alone, as by a detector.
    """
    parsers = open_parsers(OcclusionConfig())

    def find(picture: Any, bare68_px: Any) -> Floats:
        start = _in_box_of(np.array(bare68_px, np.float32))
        (found,) = parse_faces(parsers, [np.array(picture.convert("RGB"))], [start])
        return found.landmarks68_px

    return find


def _in_box_of(landmarks68_px: Floats) -> Floats:
    """Return the mean face (68, 2), upright, as large as these landmarks and where they are."""
    low, high = landmarks68_px.min(axis=0), landmarks68_px.max(axis=0)
    mean_low, mean_high = MEAN_FACE68.min(axis=0), MEAN_FACE68.max(axis=0)
    scale = float((high - low).max() / (mean_high - mean_low).max())
    middle = (mean_low + mean_high) / 2
    return np.asarray((MEAN_FACE68 - middle) * scale + (low + high) / 2, np.float32)


def _drawn(face: tuple[Any, Any], rng: np.random.Generator, kind: str) -> Any:
    """Return the covered picture of a face: PIL's picture and its landmarks."""
    picture, landmarks = face
    points = np.array(landmarks, np.float32)
    return Image.fromarray(covered_by(kind, np.array(picture), points, rng))


DRAWN = {f"drawn {kind}": partial(_drawn, kind=kind) for kind in OCCLUDERS}
"""{name: what paints an occluder before a face, PIL's picture and landmarks in its pixels}"""


def _laid_back(change: Any, frame: Floats, image_rgb: Pixels) -> Any:
    """Return what lies on the canvas (SIZE_PX, SIZE_PX, 3) as it lies on the picture (H, W, 3)."""
    matrix = frame.astype(np.float64) * SIZE_PX
    # cv2 counts from the centre of a pixel, on both sides.
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    height, width = image_rgb.shape[:2]
    return cv2.warpAffine(
        np.ascontiguousarray(change),
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
