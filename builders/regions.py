"""Amodal regions of a face: where eyes, nose, mouth, cheeks and forehead lie, covered or not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.schema import REGIONS

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Height of the forehead over the brows, as a share of the distance from brows to chin. The 68
# points end at the brows; 0.45 puts the hairline at a third of the whole face, the classical canon.
FOREHEAD_RATIO = 0.45
# Regions are drawn so many times finer than the cells that they are measured in.
FINER = 4


def region_masks(landmarks68_px: Points, height: int, width: int) -> dict[str, Mask]:
    """Return the bool mask (height, width) of every region in REGIONS.

    `landmarks68_px` is float (68, 2), x before y, in pixels, iBUG order; points outside the
    picture are allowed, their part of a region is cut off.
    """
    polygons = region_polygons(landmarks68_px)
    return {name: _fill(polygons[name], height, width) for name in REGIONS}


def region_weights(landmarks68: Points, cells: int) -> NDArray[np.float32]:
    """Return how much of each cell belongs to each of REGIONS, (8, cells, cells) in [0, 1].

    `landmarks68` (68, 2) are shares of the square that the cells divide.
    """
    side = cells * FINER
    polygons = region_polygons(landmarks68 * np.float32(side))
    weights = np.zeros((len(REGIONS), cells, cells), np.float32)
    for number, name in enumerate(REGIONS):
        canvas = np.zeros((side, side), np.float32)
        # cv2 counts from the centre of a pixel, here in sixteenths.
        outline = np.round((polygons[name] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [outline], (1.0,), cv2.LINE_8, 4)
        weights[number] = cv2.resize(canvas, (cells, cells), interpolation=cv2.INTER_AREA)
    return weights


def region_polygons(landmarks68_px: Points) -> dict[str, Points]:
    """Return the closed outline of every region in REGIONS as float32 (n, 2) in pixels."""
    p = landmarks68_px.astype(np.float32)
    top = _hairline(p)
    return {
        "face": np.concatenate([p[0:17], top[::-1]]),
        "left_eye": np.concatenate([p[17:22], p[39:40], _below_eye(p, 36), p[36:37]]),
        "right_eye": np.concatenate([p[22:27], p[45:46], _below_eye(p, 42), p[42:43]]),
        "nose": _hull(p[27:36]),
        "mouth": _hull(p[48:60]),
        "left_cheek": np.stack([p[0], p[36], p[41], p[31], p[48], p[5], p[4], p[3], p[2], p[1]]),
        "right_cheek": np.stack(
            [p[16], p[45], p[46], p[35], p[54], p[11], p[12], p[13], p[14], p[15]]
        ),
        "forehead": np.concatenate([p[17:27], top[::-1]]),
    }


def _hairline(p: Points) -> Points:
    """Return seven points of the upper outline, from the left temple to the right one."""
    brows = p[17:27].mean(axis=0)
    up = (brows - p[8]) * FOREHEAD_RATIO
    across = (p[16] - p[0]) / 2
    centre = (p[0] + p[16]) / 2
    base = brows - centre  # lifts the ellipse's foot from the ears to the brows
    angles = np.linspace(np.pi * 0.93, np.pi * 0.07, 7, dtype=np.float32)
    arc = np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * (up + base) + centre
    return np.asarray(arc, dtype=np.float32)


def _below_eye(p: Points, first: int) -> Points:
    """Return the two lower lid points of the eye that starts at `first`, from right to left.

    They are lowered by half the eye's height so that lashes and a lens's rim count as the eye.
    """
    upper, lower = p[first + 1 : first + 3].mean(axis=0), p[first + 4 : first + 6]
    shift = (lower.mean(axis=0) - upper) / 2
    return np.asarray(lower + shift, dtype=np.float32)


def _hull(points: Points) -> Points:
    return np.asarray(cv2.convexHull(points), dtype=np.float32).reshape(-1, 2)


def _fill(polygon: Points, height: int, width: int) -> Mask:
    canvas = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon).astype(np.int32)], 1)
    return canvas.astype(bool)
