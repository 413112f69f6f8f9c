"""Sixty-eight landmarks: the mean face laid over a detector's five points, or over a box."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from occlufer.schema import LANDMARK_PARTS

from .regions import Points
from .synthetic import MEAN_FACE68

# A face that was not found is taken to lie in the middle of its crop, as large as is usual.
UNFOUND_SCALE = 0.8


def first_landmarks(points5_px: ArrayLike, box_xyxy_px: ArrayLike) -> Points:
    """Return where a parser begins to look: by five points (5, 2), by the box where there are none.

    In the second case the box is that of the whole picture.
    """
    points = np.asarray(points5_px, np.float32)
    if len(points):
        return landmarks_from_points(points)
    return landmarks_from_box(np.asarray(box_xyxy_px, np.float32))


def landmarks_from_points(points5_px: Points) -> Points:
    """Return the mean face as float32 (68, 2), laid over left eye, right eye, nose, mouth corners.

    The best affine map in the least-squares sense: it follows roll, size and the narrowing of a
    turned head, so it holds on covered faces too, but no expression.
    """
    source = np.hstack([five_points(MEAN_FACE68), np.ones((5, 1), np.float32)])
    affine, *_ = np.linalg.lstsq(source, points5_px.astype(np.float64), rcond=None)
    points = np.hstack([MEAN_FACE68, np.ones((68, 1))]) @ affine
    return np.asarray(points, dtype=np.float32)


def landmarks_from_box(box_xyxy_px: Points) -> Points:
    """Return the mean face as float32 (68, 2) in the middle of a crop that holds one face.

    It is not stretched: in a long picture it lies in the middle square.
    """
    low, high = box_xyxy_px[:2], box_xyxy_px[2:]
    side = (high - low).min()
    inner = (MEAN_FACE68 - 0.5) * np.float32(UNFOUND_SCALE)
    return np.asarray((low + high) / 2 + inner * side, np.float32)


def five_points(landmarks68: Points) -> Points:
    """Return left eye, right eye, nose tip, left and right mouth corner as (5, 2)."""
    left = landmarks68[LANDMARK_PARTS["left_eye"]].mean(axis=0)
    right = landmarks68[LANDMARK_PARTS["right_eye"]].mean(axis=0)
    return np.stack([left, right, landmarks68[30], landmarks68[48], landmarks68[54]])
