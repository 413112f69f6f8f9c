"""The canvas: anti-aliased shapes painted at once into the picture and into its truth maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES

from ..compiled import compiled
from .outlines import floats

SIZE_PX = 224
OCCLUDER = FACE_PARTS.index("occluder")
_SHIFT = 4  # sub-pixel bits of cv2's drawing functions

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Window = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True)
class Stencil:
    """The coverage in [0, 1] of a shape, as float32 over one window of the canvas."""

    window: Window
    alpha: Floats


@dataclass(frozen=True)
class Canvas:
    """A picture in the making; the arrays are painted in place.

    `rgb` is float32 (3, H, W) in 0..255, premultiplied by `coverage`, so that a canvas started
    empty can be laid over another one. Colour comes first because numpy broadcasts a mask over
    planes several times faster than over triples.
    """

    rgb: Floats
    coverage: Floats
    parts: Labels
    occluders: Labels


def new_canvas(background: Floats | None = None) -> Canvas:
    """Return a canvas over `background` (3, H, W), or an empty, transparent one."""
    shape = (SIZE_PX, SIZE_PX)
    return Canvas(
        rgb=np.zeros((3, *shape), np.float32) if background is None else background,
        coverage=np.full(shape, 0.0 if background is None else 1.0, np.float32),
        parts=np.zeros(shape, np.uint8),
        occluders=np.zeros(shape, np.uint8),
    )


def under(canvas: Canvas, window: Window) -> Floats:
    """Return the colours (3, h, w) of a window; changing them changes the canvas."""
    rows, columns = window
    return canvas.rgb[:, rows, columns]


def polygon(outline_px: Floats | list[Floats], soft_px: float = 0.0) -> Stencil:
    """Return the filled outline (n, 2), or several that do not meet, with a soft edge."""
    points = np.concatenate(outline_px) if isinstance(outline_px, list) else outline_px
    window = _window(points, 2.0 + 3.0 * soft_px)
    return Stencil(window, _soften(_filled(outline_px, window), soft_px))


def graded(shapes: Sequence[tuple[Floats, float]], soft_px: float) -> Stencil:
    """Return outlines (n, 2), each filled with its own level 0..255, as one stencil."""
    window = _window(np.concatenate([points for points, _ in shapes]), 2.0 + 3.0 * soft_px)
    mask = _blank(window)
    if mask.size:
        outlines = [points for points, _ in shapes]
        fixed = _split(_fixed(np.concatenate(outlines), window), outlines)
        for points, (_, level) in zip(fixed, shapes, strict=True):
            cv2.fillPoly(mask, [points], (level,), cv2.LINE_AA, _SHIFT)
    return Stencil(window, _soften(mask, soft_px))


def strokes(lines_px: Sequence[Floats], width_px: float, soft_px: float = 0.0) -> Stencil:
    """Return the open lines, each (n, 2), as one shape; widths under a pixel fade instead."""
    thickness = max(1, round(width_px))
    window = _window(np.concatenate(list(lines_px)), 2.0 + thickness + 3.0 * soft_px)
    mask = _blank(window)
    if mask.size:
        level = (round(255 * min(1.0, width_px / thickness)),)
        fixed = _split(_fixed(np.concatenate(list(lines_px)), window), lines_px)
        cv2.polylines(mask, fixed, False, level, thickness, cv2.LINE_AA, _SHIFT)
    return Stencil(window, _soften(mask, soft_px))


def cut(stencil: Stencil, outline_px: Floats | list[Floats], soft_px: float = 0.0) -> Stencil:
    """Return what lies in both `stencil` and the outline (n, 2), or several that do not meet."""
    mask = _filled(outline_px, stencil.window)
    return Stencil(stencil.window, stencil.alpha * _soften(mask, soft_px))


def within(stencil: Stencil, shape: Stencil) -> Stencil:
    """Return `stencil` cut to `shape`, in the window of `shape`."""
    (rows, columns), (top, left) = shape.window, (s.start for s in shape.window)
    (r, c), alpha = stencil.window, np.zeros_like(shape.alpha)
    low_r, high_r = max(r.start, top), min(r.stop, rows.stop)
    low_c, high_c = max(c.start, left), min(c.stop, columns.stop)
    if low_r < high_r and low_c < high_c:
        own = stencil.alpha[low_r - r.start : high_r - r.start, low_c - c.start : high_c - c.start]
        alpha[low_r - top : high_r - top, low_c - left : high_c - left] = own
    return Stencil(shape.window, alpha * shape.alpha)


def union(stencils: Sequence[Stencil]) -> Stencil:
    """Return one full-canvas stencil that covers what any of `stencils` covers."""
    alpha = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for stencil in stencils:
        np.maximum(alpha[stencil.window], stencil.alpha, out=alpha[stencil.window])
    return Stencil((slice(0, SIZE_PX), slice(0, SIZE_PX)), alpha)


def paint(
    canvas: Canvas,
    stencil: Stencil,
    colour: Floats | tuple[float, float, float],
    opacity: float = 1.0,
    part: int | None = None,
) -> None:
    """Lay `colour`, (3,) or (3, h, w) over the stencil's window, and mark the part, if any."""
    if not stencil.alpha.size:
        return
    alpha = stencil.alpha * np.float32(opacity) if opacity < 1 else stencil.alpha
    target = under(canvas, stencil.window)
    _lay(target, canvas.coverage[stencil.window], _planes(colour), alpha)
    if part is not None:
        mark(canvas, stencil, part)


def mark(canvas: Canvas, stencil: Stencil, part: int) -> None:
    """Note that the pixels at least half under the stencil belong to the part."""
    canvas.parts[stencil.window][stencil.alpha >= 0.5] = part


def cover(
    canvas: Canvas,
    stencil: Stencil,
    colour: Floats | tuple[float, float, float],
    kind: str,
    opacity: float = 1.0,
) -> None:
    """Lay an occluder of OCCLUSION_TYPES over the face and note it in both truth maps."""
    paint(canvas, stencil, colour, opacity, OCCLUDER)
    if stencil.alpha.size:
        canvas.occluders[stencil.window][stencil.alpha >= 0.5] = 1 + OCCLUSION_TYPES.index(kind)


def shadow(
    canvas: Canvas, stencil: Stencil, light_xy: tuple[float, float], width_px: float
) -> None:
    """Darken what lies behind the shape, on the side away from the light."""
    if not stencil.alpha.size:
        return
    shift = floats(((1, 0, -light_xy[0] * width_px), (0, 1, -light_xy[1] * width_px)))
    rows, columns = stencil.alpha.shape
    moved = cv2.warpAffine(stencil.alpha, shift, (columns, rows))
    soft = blurred(np.asarray(moved, np.float32), width_px / 3)
    tint(canvas, Stencil(stencil.window, soft), 0.62)


def tint(canvas: Canvas, stencil: Stencil, factor: Floats | float) -> None:
    """Multiply the colours under the stencil by `factor`: a number, (h, w), (3,) or (3, h, w)."""
    if stencil.alpha.size:
        target = under(canvas, stencil.window)
        _scale(target, _planes(factor), stencil.alpha)


@compiled
def _lay(target: Any, coverage: Any, colour: Any, alpha: Any) -> None:
    """Move the colours (3, h, w), and their coverage (h, w), towards `colour` by `alpha`."""
    one = np.float32(1)
    tall, wide = int(colour.shape[1] > 1), int(colour.shape[2] > 1)
    for plane in range(3):
        for i in range(alpha.shape[0]):
            for j in range(alpha.shape[1]):
                change = colour[plane, i * tall, j * wide] - target[plane, i, j]
                target[plane, i, j] += change * alpha[i, j]
    for i in range(alpha.shape[0]):
        for j in range(alpha.shape[1]):
            coverage[i, j] += (one - coverage[i, j]) * alpha[i, j]


@compiled
def _scale(target: Any, factor: Any, alpha: Any) -> None:
    """Multiply the colours (3, h, w) by `factor`, where `alpha` (h, w) is one, in place."""
    one = np.float32(1)
    deep, tall = int(factor.shape[0] > 1), int(factor.shape[1] > 1)
    wide = int(factor.shape[2] > 1)
    for plane in range(3):
        for i in range(alpha.shape[0]):
            for j in range(alpha.shape[1]):
                change = factor[plane * deep, i * tall, j * wide] - one
                target[plane, i, j] *= change * alpha[i, j] + one


def emboss(stencil: Stencil, light_xy: tuple[float, float], width_px: float) -> Floats:
    """Return shades (h, w) that round the shape off as `light_xy` falls on it.

    `light_xy` points to the light; `width_px` is the sigma of the rounded rim.
    """
    if not stencil.alpha.size:
        return np.ones(stencil.alpha.shape, np.float32)
    height = blurred(stencil.alpha, width_px)
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=width_px / 4)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=width_px / 4)
    shade = 1 - 0.9 * (across * light_xy[0] + down * light_xy[1])
    return np.asarray(np.minimum(np.maximum(shade, 0.45), 1.5), np.float32)


def lit(colour: Floats, shade: Floats) -> Floats:
    """Return `colour`, (3,) or (3, h, w), under shades (h, w), as (3, h, w)."""
    return _planes(colour) * shade


def _planes(colour: Floats | tuple[float, float, float] | float) -> Floats:
    """Return a colour (3,) as (3, 1, 1), a number as (1, 1, 1), a mask (h, w) as (1, h, w)."""
    values = np.asarray(colour, np.float32)
    if values.ndim == 1:
        return values[:, None, None]
    return values if values.ndim == 3 else values.reshape(1, *(values.shape or (1, 1)))


def _window(points_px: Floats, margin_px: float) -> Window:
    x, y, width, height = cv2.boundingRect(points_px)
    margin = int(margin_px) + 1
    left, right = _clipped(x - margin), _clipped(x + width + margin)
    top, bottom = _clipped(y - margin), _clipped(y + height + margin)
    return slice(top, bottom), slice(left, right)


def _clipped(position: int) -> int:
    return min(max(position, 0), SIZE_PX)


def _blank(window: Window) -> Labels:
    rows, columns = window
    return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)


def _filled(outline_px: Floats | list[Floats], window: Window) -> Labels:
    mask = _blank(window)
    if mask.size:
        outlines = outline_px if isinstance(outline_px, list) else [outline_px]
        fixed = [_fixed(points, window) for points in outlines]
        cv2.fillPoly(mask, fixed, (255,), cv2.LINE_AA, _SHIFT)
    return mask


def _fixed(points_px: Floats, window: Window) -> NDArray[np.int32]:
    """Return the points in the window's frame, in cv2's fixed-point numbers."""
    scale = 1 << _SHIFT
    origin = floats((window[1].start * scale, window[0].start * scale))
    return (points_px * np.float32(scale) - origin).astype(np.int32)


def _split(joined: NDArray[np.int32], pieces: Sequence[Floats]) -> list[NDArray[np.int32]]:
    """Return `joined` cut again into the lengths of `pieces`."""
    result, start = [], 0
    for piece in pieces:
        result.append(joined[start : start + len(piece)])
        start += len(piece)
    return result


def blurred(plane: Floats, sigma_px: float) -> Floats:
    """Return the plane (h, w) under two box filters: nearly a Gaussian, and much faster."""
    width = 2 * round((np.sqrt(6 * sigma_px**2 + 1) - 1) / 2) + 1
    once = cv2.blur(plane, (width, width), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(once, (width, width), borderType=cv2.BORDER_REPLICATE), np.float32)


def _soften(mask: Labels, soft_px: float) -> Floats:
    if soft_px > 0.5 and mask.size:  # anti-aliasing alone is as soft as that
        if soft_px > 1:
            return blurred(mask.astype(np.float32) * np.float32(1 / 255), soft_px)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px), np.uint8)
    return mask.astype(np.float32) * np.float32(1 / 255)
