"""Outlines: ellipses, smooth curves and tapered strokes as arrays of points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def floats(values: ArrayLike) -> Floats:
    """Return the values as a float32 array."""
    return np.array(values, np.float32)


_ACROSS = floats((-1, 1))
_TURNS = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1).astype(np.float32)


def ellipse(centre_px: Floats, radii_px: tuple[float, float], angle: float = 0.0) -> Floats:
    """Return the outline (24, 2) of an ellipse turned by `angle` radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]], np.float32)
    return np.asarray(_CIRCLE * floats(radii_px) @ turn + centre_px, np.float32)


def curve(points: Floats, closed: bool = False, steps: int = 5) -> Floats:
    """Return a Catmull-Rom curve through the points (n, d), `steps` points for each span."""
    return _catmull_rom(len(points), closed, steps) @ points


def tapered(line: Floats, width_px: float, blunt: float = 0.0) -> Floats:
    """Return the outline (2 n, 2) of a stroke along `line` (n, 2), thin at both ends.

    `blunt` in [0, 1] is the share of the width that the first end keeps.
    """
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    length = np.sqrt(along[:, 0] ** 2 + along[:, 1] ** 2) + np.float32(1e-6)
    half = _profile(len(line), blunt) * np.float32(width_px / 2) / length
    side = along[:, ::-1] * half[:, None] * _ACROSS
    return np.concatenate([line + side, (line - side)[::-1]])


@lru_cache(maxsize=128)
def _profile(count: int, blunt: float) -> Floats:
    """Return the width of a tapered stroke at each of its points, 1 at the widest."""
    share = np.linspace(0, 1, count, dtype=np.float32)
    return floats(np.maximum(np.sin(np.pi * share), blunt * (1 - share)))


@lru_cache(maxsize=128)
def _catmull_rom(count: int, closed: bool, steps: int) -> Floats:
    """Return the matrix that turns `count` control points into the points of the curve."""
    spans = count if closed else count - 1
    weights = np.zeros((spans * steps + (not closed), count), np.float32)
    for row in range(len(weights)):
        span, t = divmod(row / steps, 1.0)
        basis = (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (-(t**2) + t**3) / 2,
        )
        for offset, weight in enumerate(basis):
            index = int(span) + offset - 1
            weights[row, index % count if closed else min(max(index, 0), count - 1)] += weight
    return weights
