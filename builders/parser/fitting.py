"""Fitting: a photographed face as a head on which the painters of occluders can paint."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..synthetic.anatomy import MEAN_FACE, identity
from ..synthetic.outlines import floats
from ..synthetic.pose import PERSPECTIVE, Head, Pose

Floats = NDArray[np.float32]

# Points that move little with the expression: eye corners, nose, and the jaw near the ears.
_STEADY = (0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)


def fit_head(landmarks68_px: Floats, skin: Floats, hair: Floats) -> Head:
    """Return a head whose 68 points project exactly onto `landmarks68_px` (68, 2).

    Turn and size are the best weak-perspective fit of the mean face; its depths are kept. `skin`
    and `hair` are colours (3,) in 0..255 for what is painted in them.
    """
    pose = _pose(landmarks68_px)
    points = _lifted(landmarks68_px, pose)
    who = identity(0)
    fields = {**vars(who), "points": points, "skin": skin, "hair": hair}
    return Head(type(who)(**fields), {}, pose, points, landmarks68_px)


def _pose(px: Floats) -> Pose:
    steady = list(_STEADY)
    model = MEAN_FACE[steady] - MEAN_FACE[steady].mean(axis=0)
    target = px[steady] - px[steady].mean(axis=0)
    # Rows of the scaled rotation by least squares; made a rotation by its nearest orthogonal one.
    rows, *_ = np.linalg.lstsq(model.astype(np.float64), target.astype(np.float64), rcond=None)
    scale = float(np.sqrt(np.linalg.norm(rows[:, 0]) * np.linalg.norm(rows[:, 1])))
    first, second = (rows / max(scale, 1e-6)).T
    u, _, v = np.linalg.svd(np.stack([first, second, np.cross(first, second)]))
    rotation = (u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v).astype(np.float32)
    offset = px[steady].mean(axis=0) - (MEAN_FACE[steady].mean(axis=0) @ rotation.T)[:2] * scale
    return Pose(rotation, scale, offset.astype(np.float32))


def _lifted(px: Floats, pose: Pose) -> Floats:
    """Return points (68, 3) at the mean face's depths that `project` takes to `px`."""
    depth = (MEAN_FACE @ pose.rotation.T)[:, 2:]
    flat = (px - pose.offset_px) / np.float32(pose.unit_px) / (1 + PERSPECTIVE * depth)
    return np.asarray(np.hstack([flat, depth]) @ pose.rotation, np.float32)


def skin_colour(image_rgb: NDArray[np.uint8], landmarks68_px: Floats) -> Floats:
    """Return the median colour (3,) of the cheeks."""
    mask = np.zeros(image_rgb.shape[:2], np.uint8)
    for corners in ((1, 36, 31, 48, 4), (15, 45, 35, 54, 12)):
        cv2.fillConvexPoly(mask, cv2.convexHull(landmarks68_px[list(corners)].astype(np.int32)), 1)
    cheeks = image_rgb[mask > 0]
    return floats((180, 140, 120)) if len(cheeks) < 5 else floats(np.median(cheeks, axis=0))
