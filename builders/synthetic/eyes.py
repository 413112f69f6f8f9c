"""Eyes and brows, painted unlit; both sides at once, because they share their colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .canvas import Canvas, Stencil, cut, mark, paint, polygon, strokes, tint
from .outlines import curve, ellipse, floats, tapered
from .pose import Head

Floats = NDArray[np.float32]

_EYES = {36: FACE_PARTS.index("left_eye"), 42: FACE_PARTS.index("right_eye")}
_BROWS = {17: FACE_PARTS.index("left_brow"), 22: FACE_PARTS.index("right_brow")}


def paint_eyes(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """Paint lids, whites, irises and lashes."""
    unit, who = head.pose.unit_px, head.who
    outlines = [_outline(head, first) for first in _EYES]
    uppers = [outline[:16] for outline in outlines]
    lids = [curve(_lid(head, first)) for first in _EYES]
    sockets = [np.concatenate([lid, up[::-1]]) for lid, up in zip(lids, uppers, strict=True)]
    tint(canvas, polygon(sockets, 0.03 * unit), floats((0.86, 0.8, 0.8)))
    whites = polygon(outlines)
    paint(canvas, whites, (226.0, 220.0, 214.0))
    for outline, part in zip(outlines, _EYES.values(), strict=True):
        mark(canvas, polygon(outline), part)
    corners = [ellipse(head.px[i], (0.09 * unit, 0.09 * unit)) for i in (36, 39, 42, 45)]
    tint(canvas, cut(whites, corners, 0.8), floats((0.87, 0.78, 0.77)))
    _paint_irises(canvas, head, whites, rng)
    low = floats((0, 0.025 * unit))
    shadows = [np.concatenate([up, (up + low)[::-1]]) for up in uppers]
    tint(canvas, cut(whites, shadows, 0.6), 0.55)
    ink = who.skin * np.float32(0.12) + floats((12, 8, 8))
    width = (0.04 + 0.035 * who.lashes) * unit
    lashes = [tapered(up - floats((0, 0.01 * unit)), width, 0.5) for up in uppers]
    paint(canvas, polygon(lashes), ink, 0.9)
    rims = [tapered(outline[15:], 0.022 * unit) for outline in outlines]
    paint(canvas, polygon(rims), ink + who.skin * np.float32(0.3), 0.65)
    folds = [tapered(lid, 0.035 * unit) for lid in lids]
    tint(canvas, polygon(folds), floats((0.55, 0.48, 0.48)))


def paint_sparkle(canvas: Canvas, head: Head, light_xy: tuple[float, float]) -> None:
    """Paint the lamp's reflex on both eyes, after the shading."""
    unit = head.pose.unit_px
    eyes = polygon([_outline(head, first) for first in _EYES])
    shift = floats(light_xy) * np.float32(0.035 * unit)
    radii = (0.022 * unit, 0.022 * unit)
    glints = [ellipse(_pupil(head, first) + shift, radii) for first in _EYES]
    paint(canvas, cut(eyes, glints), (250.0, 250.0, 250.0), 0.85)


def paint_brows(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """Paint both brows, the thicker end inside, and single hairs on them."""
    unit, who = head.pose.unit_px, head.who
    down = floats((0, who.brow_width * 0.6 * unit))
    hairs: list[Floats] = []
    for first, part in _BROWS.items():
        points = head.px[first : first + 5]
        outward = 1 if first == 22 else -1
        line = curve(points[::outward], steps=4)
        body = polygon(tapered(line, 2.1 * who.brow_width * unit, 0.85))
        paint(canvas, body, who.brow, 0.72, part=part)
        at = line[rng.integers(0, len(line) - 2, 12)]
        reach = floats((outward * 0.09 * unit, 0.07 * unit))
        lean = floats(rng.uniform((0.5, -0.9), (1.1, -0.2), (12, 2))) * reach
        hairs.extend(np.stack([at + down, at + down + lean], axis=1))
    paint(canvas, strokes(hairs, 0.018 * unit), who.brow * np.float32(0.6), 0.6)


def _paint_irises(canvas: Canvas, head: Head, whites: Stencil, rng: np.random.Generator) -> None:
    unit, iris = head.pose.unit_px, head.who.iris
    gaze = np.clip(rng.normal(0, 0.02, 2), -0.05, 0.05).astype(np.float32) * np.float32(unit)
    centres = [_pupil(head, first) + gaze for first in _EYES]
    for radius, colour in (
        (0.098, iris * np.float32(0.35)),
        (0.08, iris),
        (0.04, floats((12, 10, 10))),
    ):
        discs = [ellipse(centre, (radius * unit, radius * unit)) for centre in centres]
        paint(canvas, cut(whites, discs), colour)


def _outline(head: Head, first: int) -> Floats:
    upper, lower = head.px[first : first + 4], head.px[[first + 3, first + 4, first + 5, first]]
    return np.concatenate([curve(upper), curve(lower)[1:-1]])


def _lid(head: Head, first: int) -> Floats:
    """Return the fold of the upper lid."""
    lift = ((0, 0.0), (1, -0.09), (2, -0.09), (3, -0.01))
    return head.near(*((first + i, 0, y) for i, y in lift))


def _pupil(head: Head, first: int) -> Floats:
    """Return where the iris stands when the gaze is straight: it does not move with the lids."""
    corners = (head.px[first] + head.px[first + 3]) / 2
    return np.asarray(corners - floats((0, 0.015 * head.pose.unit_px)), np.float32)
