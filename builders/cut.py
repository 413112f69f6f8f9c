"""Cutting a face out of a photograph, by its box."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from .pixels import Pixels
from .regions import Points

CROP_PX = 224
Box = tuple[float, float, float, float]


def cut_out(image_rgb: Pixels, box_xyxy_px: Box, margin: float) -> tuple[Pixels, Points, float]:
    """Return the face as (CROP_PX, CROP_PX, 3), and shift and scale: crop = (x - shift) * scale.

    The crop is square, `margin` of the longer side wider on every side; what lies outside the
    photograph is black. Some of the box must lie in the photograph.
    """
    box = np.array(box_xyxy_px)
    side = max(float((box[2:] - box[:2]).max()), 1.0) * (1 + 2 * margin)
    shift = (box[:2] + box[2:]) / 2 - side / 2
    x0, y0 = (int(v) for v in np.floor(shift))
    x1, y1 = x0 + ceil(side), y0 + ceil(side)
    height, width = image_rgb.shape[:2]
    inner = image_rgb[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    edges = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
    square = cv2.copyMakeBorder(inner, *edges, borderType=cv2.BORDER_CONSTANT)
    scale = CROP_PX / (x1 - x0)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    crop = cv2.resize(square, (CROP_PX, CROP_PX), interpolation=method)
    return np.asarray(crop, np.uint8), np.array([x0, y0], np.float32), scale
