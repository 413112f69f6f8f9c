"""Cutting a face out of a photograph, by its box."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from .pixels import Pixels
from .regions import Points

CROP_PX = 224
Box = tuple[float, float, float, float]
Square = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the upright photograph; some of it may lie outside."""


def cut_out(image_rgb: Pixels, box_xyxy_px: Box, margin: float) -> tuple[Pixels, Points, float]:
    """Return the face as (CROP_PX, CROP_PX, 3), and shift and scale: crop = (x - shift) * scale.

    It is what `cut_square` cuts of the square around the box.
    """
    square = square_around(box_xyxy_px, margin)
    return cut_square(image_rgb, square), *placement(square)


def square_around(box_xyxy_px: Box, margin: float) -> Square:
    """Return the square that is cut for a box, `margin` of its longer side wider on every side."""
    box = np.array(box_xyxy_px)
    side = max(float((box[2:] - box[:2]).max()), 1.0) * (1 + 2 * margin)
    shift = (box[:2] + box[2:]) / 2 - side / 2
    x0, y0 = (int(v) for v in np.floor(shift))
    return x0, y0, x0 + ceil(side), y0 + ceil(side)


def cut_square(image_rgb: Pixels, square_xyxy_px: Square) -> Pixels:
    """Return the square of an upright photograph as (CROP_PX, CROP_PX, 3).

    What lies outside the photograph is black; some of the square must lie in it. The same pixels
    and the same square give the same crop, to the bit: rebuilding rests on that.
    """
    x0, y0, x1, y1 = square_xyxy_px
    height, width = image_rgb.shape[:2]
    inner = image_rgb[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    edges = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
    square = cv2.copyMakeBorder(inner, *edges, borderType=cv2.BORDER_CONSTANT)
    method = cv2.INTER_AREA if x1 - x0 > CROP_PX else cv2.INTER_CUBIC
    crop = cv2.resize(square, (CROP_PX, CROP_PX), interpolation=method)
    return np.asarray(crop, np.uint8)


def placement(square_xyxy_px: Square) -> tuple[Points, float]:
    """Return the shift and the scale that lead from the photograph into the crop."""
    x0, y0, x1, _ = square_xyxy_px
    return np.array([x0, y0], np.float32), CROP_PX / (x1 - x0)
