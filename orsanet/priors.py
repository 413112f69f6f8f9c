"""Built-in priors: part maps and point responses drawn from the dataset's own landmarks.

They stand in for the frozen networks (SegFace, MobileFaceNet) where those are not at hand. They
tell where the parts of a face lie, not how they look, and say no more than the landmarks do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS, LANDMARK_MIRROR, LANDMARK_PARTS

Floats = NDArray[np.float32]

# LaPa's eleven classes; ours goes on with "occluder", which points cannot show.
PART_NAMES = FACE_PARTS[:11]
PART_CHANNELS = len(PART_NAMES)
POINT_CHANNELS = 68
MAP_SIZE = 28
GRID = 7

_BROW_RATIO = 0.025  # half a brow's thickness, as a share of the width of the face
_HAIRLINE_RATIO = 0.45  # height of the forehead over the brows, as a share of brows to chin
_OUTLINES = {
    "left_eye": range(36, 42),
    "right_eye": range(42, 48),
    "nose": (27, 31, 32, 33, 34, 35),
    "upper_lip": (*range(48, 55), *range(64, 59, -1)),
    "inner_mouth": range(60, 68),
    "lower_lip": (48, *range(59, 53, -1), 64, 65, 66, 67, 60),
}
_MIRRORED_PARTS = tuple(
    PART_NAMES.index(
        name.replace("left", "right") if "left" in name else name.replace("right", "left")
    )
    for name in PART_NAMES
)
_CHUNK = 64


def part_maps(landmarks68: Floats, size: int = MAP_SIZE) -> Floats:
    """Return soft maps (B, 11, size, size) in [0, 1] of LaPa's classes; they sum to one.

    `landmarks68` is float (B, 68, 2), x before y, as shares of the picture's width and height;
    points outside the picture are allowed. Edges are soft over one cell. Hair stays zero: no
    landmark lies on it.
    """
    chunks = [
        _part_maps(landmarks68[start : start + _CHUNK].astype(np.float32), size)
        for start in range(0, len(landmarks68), _CHUNK)
    ]
    return np.concatenate([np.empty((0, PART_CHANNELS, size, size), np.float32), *chunks])


def point_maps(landmarks68: Floats, grid: int = GRID) -> Floats:
    """Return the responses (B, 68, grid, grid) in [0, 1] of every cell to every landmark.

    exp(-d^2 / 2) with d the distance from the cell's centre in cells; input as in `part_maps`.
    """
    cells = np.arange(grid, dtype=np.float32) + np.float32(0.5)
    offset = landmarks68.astype(np.float32)[..., None] * np.float32(grid) - cells
    response = np.exp(-(offset**2) / 2)
    return np.asarray(response[:, :, 1, :, None] * response[:, :, 0, None, :], dtype=np.float32)


def mirror_part_maps(maps: Floats) -> Floats:
    """Return part maps (B, 11, h, w) of the mirrored faces: left and right change channels too."""
    return maps[:, list(_MIRRORED_PARTS), :, ::-1]


def mirror_point_maps(maps: Floats) -> Floats:
    """Return point responses (B, 68, h, w) of the mirrored faces."""
    return maps[:, list(LANDMARK_MIRROR), :, ::-1]


def mirror_landmarks(landmarks68: Floats) -> Floats:
    """Return the landmarks (B, 68, 2), shares of the picture, of the mirrored faces."""
    mirrored = landmarks68[:, list(LANDMARK_MIRROR)].copy()
    mirrored[..., 0] = 1 - mirrored[..., 0]
    return mirrored


def _part_maps(p: Floats, size: int) -> Floats:
    width = np.linalg.norm(p[:, 16] - p[:, 0], axis=-1)[:, None, None]
    shapes = {
        name: _soft(_inside_distance(p[:, list(outline)], size), size)
        for name, outline in _OUTLINES.items()
    }
    for name in ("left_brow", "right_brow"):
        distance = _edge_distance(p[:, LANDMARK_PARTS[name]], size, closed=False)
        shapes[name] = _soft(_BROW_RATIO * width - distance, size)
    head = _soft(_inside_distance(_head_outline(p), size), size)
    maps = np.zeros((len(p), PART_CHANNELS, size, size), np.float32)
    for name, shape in shapes.items():
        maps[:, PART_NAMES.index(name)] = shape
    # Where soft edges overlap, the features share the cell.
    features = maps.sum(axis=1, keepdims=True)
    maps /= np.maximum(features, 1)
    features = np.minimum(features, 1)[:, 0]
    maps[:, PART_NAMES.index("skin")] = np.maximum(head - features, 0)
    maps[:, PART_NAMES.index("background")] = 1 - np.maximum(head, features)
    return maps


def _head_outline(p: Floats) -> Floats:
    """Return the jaw and seven points of the hairline over it, (B, 24, 2)."""
    brows = p[:, 17:27].mean(axis=1, keepdims=True)
    centre = (p[:, 0:1] + p[:, 16:17]) / 2
    across = (p[:, 16:17] - p[:, 0:1]) / 2
    up = (brows - p[:, 8:9]) * np.float32(_HAIRLINE_RATIO) + brows - centre
    angles = np.linspace(np.pi * 0.07, np.pi * 0.93, 7, dtype=np.float32)[None, :, None]
    return np.concatenate([p[:, :17], np.cos(angles) * across + np.sin(angles) * up + centre], 1)


def _soft(distance: Floats, size: int) -> Floats:
    """Return 0 to 1 for distances from -1 to +1 half cell, linear between."""
    return np.asarray(np.clip(distance * size + 0.5, 0, 1), np.float32)


def _inside_distance(polygon: Floats, size: int) -> Floats:
    """Return the distance (B, size, size) to the edge of polygons (B, K, 2), negative outside."""
    x, y = _cells(size)
    ends = np.roll(polygon, -1, axis=1)
    inside = np.zeros((len(polygon), size, size), bool)
    for start, end in zip(np.moveaxis(polygon, 1, 0), np.moveaxis(ends, 1, 0), strict=True):
        x0, y0, x1, y1 = (v[:, None, None] for v in (*start.T, *end.T))
        crosses = (y0 > y) != (y1 > y)
        rise = np.where(y1 == y0, 1, y1 - y0)
        inside ^= crosses & (x < x0 + (y - y0) / rise * (x1 - x0))
    distance = _edge_distance(polygon, size, closed=True)
    return np.where(inside, distance, -distance)


def _edge_distance(points: Floats, size: int, closed: bool) -> Floats:
    """Return the distance (B, size, size) to the nearest edge of the line through (B, K, 2)."""
    x, y = _cells(size)
    ends = np.roll(points, -1, axis=1)
    count = points.shape[1] if closed else points.shape[1] - 1
    nearest = np.full((len(points), size, size), np.inf, np.float32)
    for number in range(count):
        x0, y0 = (points[:, number, axis, None, None] for axis in (0, 1))
        dx, dy = (ends[:, number, axis, None, None] - v for axis, v in ((0, x0), (1, y0)))
        length = np.maximum(dx**2 + dy**2, np.float32(1e-12))
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1)
        squared = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
        np.minimum(nearest, squared, out=nearest)
    return np.sqrt(nearest)


def _cells(size: int) -> tuple[Floats, Floats]:
    """Return x (1, 1, size) and y (1, size, 1) of the cells' centres, as shares of the picture."""
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return centres[None, None, :], centres[None, :, None]
