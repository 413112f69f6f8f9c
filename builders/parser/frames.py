"""Frames: a face of any photograph laid upright, centred and in one size before a parser."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import FACE_CENTRE, FACE_SHARE
from occlufer.schema import LANDMARK_PARTS

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

# Below this scale a warp would skip pixels: the picture is shrunk first.
SMALLEST_WARP = 0.6


def frame_of_points(landmarks68_px: Floats) -> Floats:
    """Return the frame (2, 3), from pixels to shares of it, in which these landmarks are upright.

    Their longer side is FACE_SHARE of the frame, their middle lies at FACE_CENTRE.
    """
    left = landmarks68_px[LANDMARK_PARTS["left_eye"]].mean(axis=0)
    right = landmarks68_px[LANDMARK_PARTS["right_eye"]].mean(axis=0)
    across = right - left
    length = max(float(np.linalg.norm(across)), 1e-3)
    cos, sin = across / length
    turn = np.array([[cos, sin], [-sin, cos]], np.float32)
    upright = landmarks68_px @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    scale = FACE_SHARE / max(float((high - low).max()), 1e-3)
    shift = np.array(FACE_CENTRE) - (low + high) / 2 * scale
    return np.hstack([turn * scale, shift[:, None]]).astype(np.float32)


def cut_frame(image_rgb: Picture, frame: Floats, side_px: int) -> Picture:
    """Return what the frame shows of a picture (H, W, 3), as (side_px, side_px, 3).

    Beyond the picture it is black.
    """
    matrix = frame.astype(np.float64) * side_px
    image_rgb, corner = _window(image_rgb, matrix, side_px)
    matrix[:, 2] += matrix[:, :2] @ corner
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < SMALLEST_WARP:
        height, width = image_rgb.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image_rgb = np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, 0] *= width / size[0]
        matrix[:, 1] *= height / size[1]
    # cv2 counts from the centre of a pixel, on both sides.
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    laid = cv2.warpAffine(image_rgb, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR)
    return np.asarray(laid, np.uint8)


def _window(
    image_rgb: Picture, matrix: NDArray[np.float64], side_px: int
) -> tuple[Picture, NDArray[np.float64]]:
    """Return the part of the picture that the frame can show, and its corner (x, y)."""
    corners = np.array([[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    height, width = image_rgb.shape[:2]
    low = np.clip(np.floor(seen.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + 2, low + 1, (width, height)).astype(int)
    return image_rgb[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)


def cells_inside(frame: Floats, image_rgb: Picture, cells: int) -> NDArray[np.bool_]:
    """Return which of the frame's cells x cells have their centre in the picture (H, W, 3)."""
    centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    x, y = np.meshgrid(centres, centres)
    places = from_frame(np.stack([x.ravel(), y.ravel()], axis=1), frame)
    height, width = image_rgb.shape[:2]
    inside = (places >= 0).all(axis=1) & (places < (width, height)).all(axis=1)
    return np.asarray(inside.reshape(cells, cells), np.bool_)


def to_frame(points_px: Floats, frame: Floats) -> Floats:
    """Return points (n, 2) of the picture as shares of the frame."""
    return np.asarray(points_px @ frame[:, :2].T + frame[:, 2], np.float32)


def from_frame(points: Floats, frame: Floats) -> Floats:
    """Return points (n, 2), shares of the frame, in pixels of the picture."""
    inverse = np.linalg.inv(frame[:, :2].astype(np.float64))
    return np.asarray((points - frame[:, 2]) @ inverse.T, np.float32)
